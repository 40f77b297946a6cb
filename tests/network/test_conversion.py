# SPDX-License-Identifier: Apache-2.0
"""Cast: the tables of the standard's text, and ONNX Runtime and onnx's reference over all pairs of types."""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from hwsim.network.conversion import ROUND_MODES, cast
from hwsim.network.element_types import ElementType, element_type, element_type_of

Array = npt.NDArray[Any]
FLOAT8 = ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")
FLOATS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", *FLOAT8, "FLOAT8E8M0", "FLOAT4E2M1", "FLOAT6E2M3", "FLOAT6E3M2")
INTEGERS = tuple(f"{sign}INT{bits}" for bits in (2, 4, 8, 16, 32, 64) for sign in ("", "U"))
LARGEST = dict(zip(FLOAT8, (448.0, 240.0, 57344.0, 57344.0), strict=True))  # onnx.ai/onnx/technical/float8.html
NEW = {"FLOAT8E8M0": 24, "INT2": 25, "UINT2": 25, "FLOAT6E2M3": 28, "FLOAT6E3M2": 28}  # since which Cast
NEWEST_CAST = onnx.defs.get_schema("Cast").since_version
NAMES = tuple(name for name in (*FLOATS, *INTEGERS, "BOOL") if NEW.get(name, 0) <= NEWEST_CAST)


def kind(name: str) -> ElementType:
    return element_type(TensorProto.DataType.Value(name))


def table(opset: int, saturate: bool) -> dict[str, list[str]]:
    """Return one of the two tables of Cast's text: column by row."""
    text = onnx.defs.get_schema("Cast", opset).doc or ""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    starts = [index for index, line in enumerate(lines) if "E4M3FN " in line]
    rows = lines[starts[0] : starts[1]] if saturate else lines[starts[1] :]
    cells = [[cell.strip().replace("\\", "") for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in cells if len(row) == 5 and not row[0].startswith("-" * 3)}


@pytest.mark.parametrize(("opset", "saturate"), list(product((19, NEWEST_CAST), (True, False))))
def test_conversion_follows_the_table_of_float8(opset: int, saturate: bool) -> None:
    inputs = {
        "0": [0.0], "-0": [-0.0], "NaN": [np.nan], "-NaN": [-np.nan], "Inf": [np.inf], "-Inf": [-np.inf],
        "[x] > FLT_MAX": [1e6, 3e38], "[x] < -FLT_MAX": [-1e6, -3e38],
    }  # fmt: skip
    compared = 0
    for row, cells in table(opset, saturate).items():
        for name, cell in zip(FLOAT8, cells, strict=True):
            for x in inputs.get(row, []):
                y = cast(np.array([x], np.float32), kind(name), saturate=saturate, opset=opset)
                value = float(y.astype(np.float64)[0])
                largest = LARGEST[name]
                expected = {"FLT_MAX": largest, "-FLT_MAX": -largest, "Inf": np.inf, "-Inf": -np.inf}
                if "NaN" in cell:
                    assert np.isnan(value), (row, name)
                    if row in ("NaN", "-NaN", "-Inf") and "UZ" not in name:
                        assert (int(y.view(np.uint8)[0]) >= 128) == cell.startswith("-"), (row, name)
                else:
                    number = expected[cell] if cell in expected else float(cell)
                    assert value == number, (row, name)
                    assert np.signbit(value) == np.signbit(number), (row, name)
                compared += 1
    assert compared == 4 * (9 if saturate else 10)


def test_conversion_follows_the_table_of_e8m0() -> None:
    # ONNX Cast-24: the two columns "saturate + up" and "non-saturate + nearest"; -0 and x < 0 are unspecified.
    low, high = 2.0**-127, 2.0**127
    x = np.array([0, np.nan, np.inf, 1.5 * high, 2.0**-128, 2.0**-149, low, high, 1.5, 3.0, 2.0, 1.25], np.float32)
    up = cast(x, kind("FLOAT8E8M0"), round_mode="up").view(np.uint8)
    assert up.tolist() == [0, 255, 254, 254, 0, 0, 0, 254, 128, 129, 128, 128]
    nearest = cast(x, kind("FLOAT8E8M0"), saturate=False, round_mode="nearest").view(np.uint8)
    assert nearest.tolist() == [255, 255, 255, 255, 255, 255, 0, 254, 128, 129, 128, 127]  # ties round up
    down = cast(x, kind("FLOAT8E8M0"), round_mode="down").view(np.uint8)
    assert down.tolist() == [0, 255, 254, 254, 0, 0, 0, 254, 127, 128, 128, 127]


def test_conversion_follows_the_pages_of_narrow_types() -> None:
    # float4.md: NaN to 6. float6.md: NaN to the largest, no -0. int4.md, int2.md: nearest even, then the low bits.
    x = np.array([np.nan, -np.inf, np.inf, -0.0, 2.5, 25.0], np.float32)
    assert cast(x, kind("FLOAT4E2M1")).astype(np.float32).tolist() == [6, -6, 6, 0, 2, 6]
    assert np.signbit(cast(x, kind("FLOAT4E2M1")).astype(np.float32)[3])
    halves = np.array([-0.5, 0.5, 1.5, 2.5, -2.5, 8.0, -9.0, 100.6], np.float32)
    assert cast(halves, kind("INT4")).astype(np.int8).tolist() == [0, 0, 2, 2, -2, -8, 7, 5]
    assert cast(halves, kind("UINT4")).astype(np.uint8).tolist() == [0, 0, 2, 2, 14, 8, 7, 5]
    assert cast(halves, kind("INT8")).tolist() == [0, 0, 1, 2, -2, 8, -9, 100]
    if "FLOAT6E2M3" in NAMES:
        assert cast(x, kind("FLOAT6E2M3")).view(np.uint8).tolist() == [0x1F, 0x3F, 0x1F, 0, 0b10_010, 0x1F]
        assert cast(x, kind("FLOAT6E3M2")).astype(np.float32).tolist() == [28, -28, 28, 0, 2.5, 24]


def test_conversion_of_wide_integers_rounds_once(rng: np.random.Generator) -> None:
    # 2**60 + 2**36 + 1 lies above the midpoint of two float32, 2**60 + 2**36 of two: float64 between would lose the 1.
    x = np.array([2**60 + 2**36 + 1, 2**60 + 2**36, -(2**60 + 2**36 + 1), 2**63 - 1, -(2**63)])
    got = cast(x, kind("FLOAT"))
    assert got.tolist() == [2.0**60 + 2**37, 2.0**60, -(2.0**60 + 2**37), 2.0**63, -(2.0**63)]
    assert cast(np.asarray(-(2**63)), kind("FLOAT16")) == -np.inf
    many = rng.integers(-(2**63), 2**63, 20000)
    np.testing.assert_array_equal(
        cast(many, kind("FLOAT")), many.astype(np.float32)
    )  # IEEE conversion, of the C library
    np.testing.assert_array_equal(cast(many.view(np.uint64), kind("FLOAT")), many.view(np.uint64).astype(np.float32))
    np.testing.assert_array_equal(cast(many, kind("DOUBLE")), many.astype(np.float64))
    np.testing.assert_array_equal(cast(many, kind("UINT16")), many.astype(np.uint16))


def test_conversion_of_strings() -> None:
    texts = np.array(["3.14", "1e-5", "+INF", "inf", "-Inf", "nan", "1000", "-1E8"], object)
    got = cast(texts, kind("FLOAT"))
    expected = np.array([3.14, 1e-5, np.inf, np.inf, -np.inf, np.nan, 1000, -1e8], np.float32)
    np.testing.assert_array_equal(got, expected)
    assert cast(np.array(["100.5", "-7", "0"], object), kind("INT32")).tolist() == [100, -7, 0]
    assert cast(np.array(["1", "0"], object), kind("BOOL")).tolist() == [True, False]
    # Just above the midpoint of 1 and the next float16: by way of float64 it would be a tie.
    assert cast(np.array(["1.00048828125000000000001"], object), kind("FLOAT16")).tolist() == [1 + 2.0**-10]
    numbers = np.array([314.15926, 1, np.nan, np.inf, -np.inf, 1e-7], np.float32)
    assert cast(numbers, kind("STRING")).tolist() == ["314.15927", "1.0", "NaN", "INF", "-INF", "0.0000001"]
    assert cast(np.array([True, False]), kind("STRING")).tolist() == ["1", "0"]
    assert cast(np.array([-(2**63)]), kind("STRING")).tolist() == ["-9223372036854775808"]
    with pytest.raises(ValueError, match="the string 'Hello World!' is no number, and its cast is undefined"):
        cast(np.array(["Hello World!"], object), kind("FLOAT"))


def test_conversion_round_mode_wrong() -> None:
    with pytest.raises(ValueError, match="round_mode must be one of up, down, nearest, not 'even'"):
        cast(np.zeros(1, np.float32), kind("FLOAT8E8M0"), round_mode="even")


def test_conversion_to_integers_of_what_is_none() -> None:
    for value, name in product((np.nan, np.inf, -np.inf), ("INT8", "INT4", "UINT64")):
        with pytest.raises(ValueError, match=f"the standard gives {value} no value as {name}"):
            cast(np.array([0, value], np.float32), kind(name))


def test_conversion_takes_any_shape() -> None:
    for shape in ((), (0,), (2, 0, 3), (1, 2, 3)):
        for name in NAMES:
            got = cast(np.ones(shape, np.float32), kind(name))
            assert got.shape == shape
            assert got.dtype == kind(name).dtype


def samples(name: str, rng: np.random.Generator) -> Array:
    """Return all values of a type of up to 16 bits, else random ones and corners."""
    source = kind(name)
    if name == "BOOL":
        return np.array([True, False])
    assert source.spec is not None
    if source.spec.bits <= 16:
        return source.array(np.arange(1 << source.spec.bits).astype(np.uint8 if source.spec.bits <= 8 else np.uint16))
    if source.is_integer:
        info = np.iinfo(source.dtype)
        many = rng.integers(info.min, info.max, 3000, dtype=source.dtype, endpoint=True)
        return np.concatenate([many, many >> (source.spec.bits // 2), np.array([info.min, info.max], source.dtype)])
    corners = [0, -0.0, np.nan, np.inf, -np.inf, 448, 464, 465, 480, 57344, 61440, 61441, 65504, 65520, 240, 248, 249]
    spread = rng.standard_normal(4000) * 10.0 ** rng.integers(-8, 8, 4000)
    parts = (spread, rng.uniform(-20, 20, 2000), np.arange(-40, 40, 0.25), corners, [2.0**-127, 2.0**-128, 3e38])
    return np.concatenate(parts).astype(source.dtype)


def wide(x: Array) -> npt.NDArray[np.float64]:
    """Return values as float64, without a word on signalling NaN."""
    with np.errstate(invalid="ignore"):
        return x.astype(np.float64)


def defined(x: Array, source: str, target: str) -> Array:
    """Keep the inputs whose cast the standard defines (integers out of a float's range are not, nor x < 0 in E8M0)."""
    if target == "FLOAT8E8M0":
        return np.asarray(x[~np.signbit(wide(x))])
    if not target.removeprefix("U").startswith("INT") or source in (*INTEGERS, "BOOL"):
        return x
    values = np.nan_to_num(wide(x), nan=np.inf)
    bits = int(target.removeprefix("U").removeprefix("INT"))
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1)) if target[0] == "I" else (0.0, 2.0**bits)
    return np.asarray(x[(np.rint(values) >= low) & (np.rint(values) < min(high, 2.0**62))])


def model(x: Array, target: str, opset: int, back: int | None, **attributes: Any) -> onnx.ModelProto:
    """Return a graph that casts a constant, and casts the result to a type that every runtime can hand out."""
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=kind(target).number, **attributes)]
    if back is not None:
        nodes.append(helper.make_node("Cast", ["y"], ["z"], to=back))
    output = helper.make_tensor_value_info("z" if back else "y", back or kind(target).number, ["n"])
    graph = helper.make_graph(nodes, "cast", [], [output], [numpy_helper.from_array(x, "x")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11 if opset > 21 else 10)


def same(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    """Compare values and signs; NaN equals NaN, for its sign is not what either library promises."""
    if element_type_of(a).is_integer or a.dtype == np.bool_:
        return np.asarray(a == b)
    one, other = wide(a), wide(b)
    signed = (one == other) & (np.signbit(one) == np.signbit(other))
    return np.asarray((np.isnan(one) & np.isnan(other)) | signed)


def excused_reference(x: Array, target: str, saturate: bool) -> npt.NDArray[np.bool_]:
    """Return where onnx's reference is not held to: what the standard's text says otherwise.

    FLOAT4E2M1 and FLOAT6 of NaN (their pages: the largest value), FLOAT6 of what becomes -0 (float6.md: 0), INT4 and
    INT2 between integers (int4.md: to nearest even; the reference truncates), FLOAT8E8M0 below 2**-126 (one binade too
    high), of integers beyond 2**24 (it rounds to FLOAT first), of infinity (Cast's table: E8M0_MAX), and where nothing
    saturates, of 0 and above E8M0_MAX (Cast's table: NaN).
    """
    values = wide(x)
    nothing = np.zeros(x.shape, np.bool_)
    if target == "FLOAT4E2M1":
        return np.asarray(np.isnan(values))
    if target.startswith("FLOAT6"):
        return np.asarray(np.isnan(values) | (np.signbit(values) & (np.abs(values) <= 0.0625)))
    if target in ("INT4", "UINT4", "INT2", "UINT2"):
        return np.asarray(values != np.trunc(values))
    if target == "FLOAT8E8M0":
        by_float32 = (values > 2.0**24) & (x.dtype.kind in "iu")
        return np.asarray(by_float32 | (values < 2.0**-126) | np.isinf(values) | ((values > 2.0**127) & (not saturate)))
    return nothing


def excused_runtime(x: Array, source: str, target: str, saturate: bool) -> npt.NDArray[np.bool_]:
    """Return where ONNX Runtime is not held to: what the standard's text says otherwise.

    Without saturation it takes what rounds to 480 to 448 in E4M3FN (Cast's table: NaN), and what rounds to 65536 to NaN
    in E5M2 (Cast's table: infinity). To INT4 and INT2 ties go away from zero (int4.md: to even). A float8 -0 is True as
    BOOL (Cast: False).
    """
    values = wide(x)
    if not saturate and target == "FLOAT8E4M3FN":
        return np.asarray((np.abs(values) > 464) & (np.abs(values) <= 496))
    if not saturate and target == "FLOAT8E5M2":
        return np.asarray((np.abs(values) >= 61440) & (np.abs(values) < 65536))
    if target in ("INT4", "UINT4", "INT2", "UINT2"):
        return np.asarray(np.abs(values - np.trunc(values)) == 0.5)
    if target == "BOOL" and source.startswith("FLOAT8"):
        return np.asarray(values == 0)
    return np.zeros(x.shape, np.bool_)


def settings(target: str) -> list[dict[str, Any]]:
    if target == "FLOAT8E8M0":
        return [{"saturate": s, "round_mode": mode} for s in (1, 0) for mode in ROUND_MODES]
    return [{"saturate": 1}, {"saturate": 0}] if target in FLOAT8 else [{}]


@pytest.mark.parametrize("source", NAMES)
def test_conversion_equals_onnx_reference(source: str, rng: np.random.Generator) -> None:
    compared = held = 0
    refused = []
    for target in NAMES:
        for attributes in settings(target):
            if source == target:
                continue
            x = defined(samples(source, rng), source, target)
            saturate = bool(attributes.get("saturate", 1))
            ours = cast(x, kind(target), saturate=saturate, round_mode=attributes.get("round_mode", "up"))
            excused = excused_reference(x, target, saturate)
            try:
                with np.errstate(all="ignore"):
                    found = ReferenceEvaluator(model(x, target, NEWEST_CAST, None, **attributes)).run(None, {})
            except TypeError:  # ml_dtypes has no cast between some pairs of its own types
                refused.append(target)
                continue
            theirs = np.asarray(next(iter(found)))
            assert ours.dtype == theirs.dtype
            assert (same(ours, theirs) | excused).all(), (target, attributes)
            compared += x.size
            held += int((~excused).sum())
    assert held > 0.5 * compared > 0
    assert len(refused) <= 12


RUNTIME_NAMES = tuple(name for name in NAMES if name not in ("FLOAT4E2M1", "FLOAT6E2M3", "FLOAT6E3M2", "INT2", "UINT2"))


@pytest.mark.parametrize("source", [name for name in RUNTIME_NAMES if name != "FLOAT8E8M0"])
def test_conversion_equals_onnx_runtime(source: str, rng: np.random.Generator) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    compared = held = 0
    for target in RUNTIME_NAMES:
        if target in (source, "FLOAT8E8M0"):
            continue
        narrow = {"INT4": TensorProto.INT8, "UINT4": TensorProto.UINT8}
        back = None if kind(target).dtype.isbuiltin == 1 else narrow.get(target, TensorProto.FLOAT)
        for attributes in settings(target):
            x = defined(samples(source, rng), source, target)
            saturate = bool(attributes.get("saturate", 1))
            # Opset 21 knows all of these; only of infinities to FNUZ does it differ from 24 (and the runtime does not).
            ours = cast(x, kind(target), saturate=saturate)
            ours = ours if back is None else cast(ours, element_type(back))
            proto = model(x, target, 21, back, **attributes).SerializeToString()
            (theirs,) = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"]).run(None, {})
            excused = excused_runtime(x, source, target, saturate)
            assert (same(ours, theirs) | excused).all(), (target, attributes)
            compared += x.size
            held += int((~excused).sum())
    assert held > 0.9 * compared > 0
