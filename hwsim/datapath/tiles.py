# SPDX-License-Identifier: Apache-2.0
"""Register tiles of vectors inside compiled kernels: one step of a matrix product, unrolled.

Elementwise functions of `hwsim.datapath.simd` take tiles too. All is unchecked, as there.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from hwsim.datapath.vectors import Tile, Vec, address, intrinsic, is_contiguous, load_vec, scalar_type, spread

__all__ = [
    "tile_and",
    "tile_get",
    "tile_load",
    "tile_map",
    "tile_splat",
    "tile_step",
    "tile_store",
]


def _tuple(members: list[Any]) -> Any:
    make: Any = types.Tuple
    return make(members)


def _members(of: Any) -> list[Any]:
    is_tuple = isinstance(of, types.BaseTuple)
    members: Any = of
    return list(members) if is_tuple else [of]


def _parts(builder: Any, value: Any) -> list[Any]:
    unpack: Any = cgutils.unpack_tuple
    return list(unpack(builder, value))


def _assembled(builder: Any, tile: Tile, vectors: list[Any]) -> Any:
    out = ir.Constant(tile.llvm, ir.Undefined)
    for at, vector in enumerate(vectors):
        out = builder.insert_value(out, vector, at)
    return out


def _places(builder: Any, tile: Tile, at: Any, stride: Any) -> list[Any]:
    """Return the indices of a tile's vectors in an array whose rows are `stride` apart."""
    rows = [builder.add(at, builder.mul(stride, ir.Constant(at.type, row))) for row in range(tile.rows)]
    steps = [ir.Constant(at.type, each * tile.vec.count) for each in range(tile.vectors)]
    return [builder.add(row, step) for row in rows for step in steps]


@intrinsic(prefer_literal=True)
def tile_splat(_context: Any, vec: Any, rows: Any, vectors: Any) -> Any:
    """Return a Tile of `rows` x `vectors` times a Vec."""
    if not isinstance(vec, Vec) or not isinstance(rows, types.IntegerLiteral):
        return None
    tile = Tile(vec, rows.literal_value, vectors.literal_value)

    def codegen(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _assembled(builder, tile, [values[0]] * (tile.rows * tile.vectors))

    return tile(vec, rows, vectors), codegen


@intrinsic(prefer_literal=True)
def tile_load(_context: Any, array: Any, at: Any, stride: Any, rows: Any, vectors: Any, count: Any) -> Any:
    """Return a Tile of vectors of `count` elements: its rows are `stride` elements apart, the first at index `at`."""
    if not is_contiguous(array) or not isinstance(count, types.IntegerLiteral):
        return None
    tile = Tile(Vec(array.dtype, count.literal_value), rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        places = _places(builder, tile, values[1], values[2])
        return _assembled(
            builder, tile, [load_vec(context, builder, array, values[0], place, tile.vec) for place in places]
        )

    return tile(array, types.intp, types.intp, rows, vectors, count), codegen


@intrinsic
def tile_store(_context: Any, array: Any, at: Any, stride: Any, tile: Any) -> Any:
    """Store a Tile, its rows `stride` elements apart."""
    if not is_contiguous(array) or not isinstance(tile, Tile) or tile.vec.dtype != array.dtype:
        return None

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        for number, place in enumerate(_places(builder, tile, values[1], values[2])):
            where = address(context, builder, array, values[0], place, tile.vec.llvm)
            builder.store(builder.extract_value(values[3], number), where, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), codegen


@intrinsic(prefer_literal=True)
def tile_get(_context: Any, tile: Any, row: Any, vector: Any) -> Any:
    """Return one Vec of a Tile."""
    if not isinstance(tile, Tile) or not isinstance(row, types.IntegerLiteral):
        return None
    at = row.literal_value * tile.vectors + vector.literal_value
    return tile.vec(tile, row, vector), lambda _context, builder, _signature, values: builder.extract_value(
        values[0], at
    )


@intrinsic(prefer_literal=True)
def tile_step(_context: Any, step: Any, state: Any, left: Any, right: Any, extra: Any) -> Any:
    """Return a Tile, or a tuple of Tiles, after ``step(state, a, b, extra)`` for each of its vectors.

    left is ``(a, a_at, a_stride)`` and right ``(b, b_at)``: arrays, and where the step's operands begin in them.
    `step` is a function with ``@numba.njit(forceinline=True)`` that takes and gives a Vec, or a tuple of Vecs. Its a is
    the element of array a of the row, at ``a_at + row * a_stride``, in all elements of a Vec, its b the vector at
    ``b_at + vector * count`` of array b. `extra` is anything, such as a tuple of constants or of Vecs.
    """
    (a, _, _), (b, _) = left, right
    tiles = _members(state)
    if not all(isinstance(tile, Tile) for tile in tiles) or not (is_contiguous(a) and is_contiguous(b)):
        return None
    shape = tiles[0]
    vec_a, vec_b = Vec(a.dtype, shape.vec.count), Vec(b.dtype, shape.vec.count)
    vecs = _tuple([tile.vec for tile in tiles]) if isinstance(state, types.BaseTuple) else state.vec
    signature = step.get_call_type(_context, (vecs, vec_a, vec_b, extra), {})

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        call = context.get_function(step, signature)
        _, tile_values, value_a, value_b, given = values
        array_a, at_a, stride = _parts(builder, value_a)
        array_b, at_b = _parts(builder, value_b)
        parts = _parts(builder, tile_values) if isinstance(state, types.BaseTuple) else [tile_values]
        index = at_b.type
        vectors = [
            load_vec(context, builder, b, array_b, builder.add(at_b, ir.Constant(index, each * vec_b.count)), vec_b)
            for each in range(shape.vectors)
        ]
        out = [ir.Constant(tile.llvm, ir.Undefined) for tile in tiles]
        for row in range(shape.rows):
            place = builder.add(at_a, builder.mul(stride, ir.Constant(index, row)))
            scalar = builder.load(address(context, builder, a, array_a, place, scalar_type(a.dtype)))
            broadcast = spread(context, builder, scalar, a.dtype, vec_a)
            for each in range(shape.vectors):
                at = row * shape.vectors + each
                now: Any = [builder.extract_value(part, at) for part in parts]
                packed = context.make_tuple(builder, vecs, now) if isinstance(state, types.BaseTuple) else now[0]
                after = call(builder, (packed, broadcast, vectors[each], given))
                news = _parts(builder, after) if isinstance(state, types.BaseTuple) else [after]
                out = [builder.insert_value(tile, new, at) for tile, new in zip(out, news, strict=True)]
        return context.make_tuple(builder, state, out) if isinstance(state, types.BaseTuple) else out[0]

    return state(step, state, _tuple([a, types.intp, types.intp]), _tuple([b, types.intp]), extra), codegen


@intrinsic
def tile_map(_context: Any, step: Any, state: Any, x: Any, y: Any, extra: Any) -> Any:
    """Return a Tile after ``step(state, x, y, extra)`` for each of its vectors, as in `tile_step`.

    x is a Tile of the same shape, y a Vec.
    """
    if not isinstance(state, Tile) or not isinstance(x, Tile):
        return None
    signature = step.get_call_type(_context, (state.vec, x.vec, y, extra), {})

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        call = context.get_function(step, signature)
        _, tile, other, vec, given = values
        each = [
            call(builder, (builder.extract_value(tile, at), builder.extract_value(other, at), vec, given))
            for at in range(state.rows * state.vectors)
        ]
        return _assembled(builder, state, each)

    return state(step, state, x, y, extra), codegen


@intrinsic
def tile_and(_context: Any, tile: Any) -> Any:
    """Return the Vec of all vectors of a Tile of integers or masks, AND-ed."""
    if not isinstance(tile, Tile):
        return None

    def codegen(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        total = builder.extract_value(values[0], 0)
        for at in range(1, tile.rows * tile.vectors):
            total = builder.and_(total, builder.extract_value(values[0], at))
        return total

    return tile.vec(tile), codegen
