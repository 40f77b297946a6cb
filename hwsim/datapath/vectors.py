# SPDX-License-Identifier: Apache-2.0
"""Numba types of LLVM vectors, and what the functions on them in `hwsim.datapath.simd` and `tiles` are made from."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import config, extending, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.registry import cpu_target

__all__ = [
    "HAS_FMA",
    "NATIVE",
    "REGISTERS",
    "REGISTER_BITS",
    "Emit",
    "Tile",
    "Typed",
    "Vec",
    "address",
    "call_llvm",
    "compiled",
    "dtype_of",
    "elementwise",
    "intrinsic",
    "is_contiguous",
    "is_float",
    "is_signed",
    "load_vec",
    "mask_of",
    "scalar_type",
    "spread",
    "vec_of",
]

Emit = Callable[..., Any]
Typed = tuple[Any, Emit]

intrinsic: Any = extending.intrinsic  # a checker would take the arguments of a definition for those of a call


def compiled() -> bool:
    """Tell whether vectors can be used: not where kernels run as Python, nor where every index is checked."""
    return not (getattr(config, "DISABLE_JIT", 0) or getattr(config, "BOUNDSCHECK", 0))


def _machine() -> tuple[int, int, bool]:
    """Return bits of a vector register, number of them, and whether the machine multiplies and adds in one."""
    if getattr(config, "DISABLE_JIT", 0):
        return 128, 16, True
    codegen: Any = cpu_target.target_context.codegen()
    triple, _, listed = codegen.magic_tuple()
    features = {name[1:] for name in str(listed).split(",") if name.startswith("+")}
    if str(triple).startswith(("aarch64", "arm64")):
        return 128, 32, True
    if "avx512f" in features:
        return 512, 32, True
    return (256 if "avx2" in features else 128), 16, "fma" in features


REGISTER_BITS, REGISTERS, HAS_FMA = _machine()
"""The vector registers that kernels are compiled for (`NUMBA_CPU_FEATURES`, or this machine's), and fused multiply-add.

Kernels may have these as constants: Numba's cache on disk keeps those of other machines apart."""

NATIVE = 0
"""As a count: as many elements as a register holds."""


class Vec(types.Type):
    """`count` elements of a Numba scalar type, or as many as a register holds (`NATIVE`)."""

    def __init__(self, dtype: Any, count: int) -> None:
        bits = 1 if isinstance(dtype, types.Boolean) else dtype.bitwidth
        self.dtype: Any = dtype
        self.count: int = REGISTER_BITS // bits if count == NATIVE else count
        super().__init__(name=f"Vec({dtype}, {self.count})")

    @property
    def llvm(self) -> ir.Type:
        """The LLVM vector."""
        return ir.VectorType(scalar_type(self.dtype), self.count)


class Tile(types.Type):
    """`rows` x `vectors` of a Vec."""

    def __init__(self, vec: Vec, rows: int, vectors: int) -> None:
        self.vec, self.rows, self.vectors = vec, rows, vectors
        super().__init__(name=f"Tile({vec}, {rows}, {vectors})")

    @property
    def llvm(self) -> ir.Type:
        """An LLVM array of vectors, the rows one after the other."""
        return ir.ArrayType(self.vec.llvm, self.rows * self.vectors)


class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Any) -> None:
        initialize: Any = super().__init__
        initialize(manager, of, of.llvm)


extending.register_model(Vec)(_Model)
extending.register_model(Tile)(_Model)


def scalar_type(dtype: Any) -> ir.Type:
    """Return the LLVM type of a Numba scalar type, as an element of a vector."""
    if isinstance(dtype, types.Float):
        return ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
    return ir.IntType(1 if isinstance(dtype, types.Boolean) else dtype.bitwidth)


def is_float(of: Any) -> bool:
    """Tell whether the elements are floats."""
    return isinstance(of, Vec | Tile) and isinstance(vec_of(of).dtype, types.Float)


def is_signed(of: Any) -> bool:
    """Tell whether the elements are signed integers."""
    return isinstance(of, Vec | Tile) and vec_of(of).dtype in types.signed_domain


def vec_of(of: Vec | Tile) -> Vec:
    """Return a tile's Vec, or the Vec itself."""
    return of.vec if isinstance(of, Tile) else of


def mask_of(of: Vec | Tile) -> Vec:
    """Return the Vec of truth values of the same length."""
    return Vec(types.boolean, vec_of(of).count)


def dtype_of(of: Any) -> Any:
    """Return the element type that an argument such as `np.int32` names."""
    return (
        of.dtype if isinstance(of, types.NumberClass) else of.key if isinstance(of, types.DType) else of.instance_type
    )


def spread(context: Any, builder: Any, value: Any, of: Any, vec: Vec) -> Any:
    """Return a scalar of the Numba type `of` in each element of a vector."""
    scalar = context.cast(builder, value, of, vec.dtype)
    if isinstance(vec.dtype, types.Boolean):
        scalar = builder.trunc(scalar, ir.IntType(1)) if scalar.type.width > 1 else scalar
    one = builder.insert_element(ir.Constant(vec.llvm, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vec.count), [0] * vec.count)
    return builder.shuffle_vector(one, ir.Constant(vec.llvm, ir.Undefined), mask)


def call_llvm(builder: Any, name: str, result: ir.Type, arguments: list[Any], *, of: ir.Type | None = None) -> Any:
    """Emit a call of the LLVM intrinsic `name`, overloaded on the vector type `of` (the result's, if not given)."""
    vector = result if of is None else of
    element = vector.element
    letter = f"i{element.width}" if isinstance(element, ir.IntType) else "f32" if element == ir.FloatType() else "f64"
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    insert: Any = cgutils.get_or_insert_function
    callee = insert(builder.module, function, f"{name}.v{vector.count}{letter}")
    return builder.call(callee, arguments)


def elementwise(operands: tuple[Any, ...], emit: Emit, vec: Vec | None = None) -> Typed | None:
    """Return what an intrinsic returns for ``emit(builder, *vectors)`` on Vecs or Tiles of one shape, and scalars.

    The result is of `vec`, or of the first operand that is no scalar. An operand that is a dtype is not handed on.
    """
    shaped = [of for of in operands if isinstance(of, Vec | Tile)]
    if not shaped:
        return None
    like = next((of for of in shaped if isinstance(of, Tile)), shaped[0])
    to = vec_of(shaped[0]) if vec is None else vec
    result = Tile(to, like.rows, like.vectors) if isinstance(like, Tile) else to
    beside = vec_of(next((of for of in shaped if not isinstance(vec_of(of).dtype, types.Boolean)), shaped[0]))

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = [
            (of, value if isinstance(of, Vec | Tile) else spread(context, builder, value, of, beside))
            for of, value in zip(signature.args, values, strict=True)
            if isinstance(of, Vec | Tile | types.Number | types.Boolean)
        ]
        if not isinstance(result, Tile):
            return emit(builder, *(value for _, value in given))
        out = ir.Constant(result.llvm, ir.Undefined)
        for at in range(result.rows * result.vectors):
            each = [builder.extract_value(value, at) if isinstance(of, Tile) else value for of, value in given]
            out = builder.insert_value(out, emit(builder, *each), at)
        return out

    return result(*operands), codegen


def address(context: Any, builder: Any, array_type: Any, array: Any, at: Any, to: ir.Type) -> Any:
    """Emit the address of element `at`, as one of `to`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), to.as_pointer())


def load_vec(context: Any, builder: Any, array_type: Any, array: Any, at: Any, vec: Vec) -> Any:
    """Emit the load of a vector."""
    value = builder.load(address(context, builder, array_type, array, at, vec.llvm))
    value.align = array_type.dtype.bitwidth // 8
    return value


def is_contiguous(array: Any) -> bool:
    """Tell whether a Numba type is an array that `place` can index."""
    return isinstance(array, types.Array) and array.layout == "C"
