# SPDX-License-Identifier: Apache-2.0
"""Products of files of floats: rounded, with the tensor scales multiplied back in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import matmul, named
from hwsim.report.units import show


def _shown(*names: str, **options: Any) -> show.Shown:
    return show.run(show.Task(names=names, **options), lambda text: None)


def _figures(*names: str, **options: Any) -> dict[str, Any]:
    return _shown(*names, **options).figures


@pytest.fixture
def floats(tmp_path: Path) -> dict[str, Path]:
    """Write matrices of floats."""
    rng = np.random.default_rng(12)
    shapes = {"a": (5, 64), "b": (64, 4), "c": (5, 4)}
    for name, shape in shapes.items():
        np.save(tmp_path / f"{name}.npy", rng.normal(size=shape).astype(np.float32) * 3)
    return {name: tmp_path / f"{name}.npy" for name in shapes}


def test_products_values_have_the_tensor_scales(floats: dict[str, Path], tmp_path: Path) -> None:
    operands = {"a": floats["a"], "b": floats["b"]}
    made = formats.quantize(np.load(floats["a"]), "nvfp4", 1), formats.quantize(np.load(floats["b"]), "nvfp4", 0)
    exact = made[0].dequantize() @ made[1].dequantize()
    output = tmp_path / "out.npy"
    found = _figures("nvfp4", **operands, output=output, values=True)
    assert found["tensor_scale"] == made[0].tensor_scale * made[1].tensor_scale < 1e-4
    np.testing.assert_allclose(np.load(output), exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose([found["smallest"], found["largest"]], [exact.min(), exact.max()], rtol=1e-5)
    assert _shown("nvfp4", **operands, against=output).passed
    np.save(output, np.load(output).astype(np.float32))  # as a kernel would store it
    assert _shown("nvfp4", **operands, against=output).passed
    np.save(output, np.nextafter(np.load(output), np.float32(np.inf)))
    worse = _shown("nvfp4", **operands, against=output)
    assert not worse.passed
    assert worse.figures["differ"] == worse.figures["above"] == 20
    assert worse.figures["histogram"] == ((1, 1, 20),)
    _figures("nvfp4", **operands, c=floats["c"], output=output, values=True)
    np.testing.assert_allclose(np.load(output), exact + np.load(floats["c"]), rtol=1e-5, atol=1e-5)


def test_products_codes_are_the_units(floats: dict[str, Path], tmp_path: Path) -> None:
    operands = {"a": floats["a"], "b": floats["b"]}
    made = formats.quantize(np.load(floats["a"]), "nvfp4", 1), formats.quantize(np.load(floats["b"]), "nvfp4", 0)
    output = tmp_path / "out.npy"
    _figures("nvfp4", **operands, output=output)
    assert np.array_equal(np.load(output), matmul(named("nvfp4"), *made))
    assert _shown("nvfp4", **operands, against=output).passed
    np.save(output, np.zeros((5, 4), np.uint32))
    with pytest.raises(TypeError, match="c must be values, not codes, where a and b are values quantized"):
        _figures("nvfp4", **operands, c=output)


@pytest.mark.parametrize("pair", [("mxfp4", "nvfp4"), ("nvfp4", "mxfp4"), ("nvfp4", "float32")])
@pytest.mark.parametrize("drawn", [False, True])
def test_products_scaled_values_are_compared(floats: dict[str, Path], pair: tuple[str, str], drawn: bool) -> None:
    operands: dict[str, Any] = {"random": "5x64x4"} if drawn else {"a": floats["a"], "b": floats["b"]}
    shown = _shown(*pair, **operands)
    assert len(set(shown.figures["tensor_scales"])) == 2
    # Sums of 64 products of four bits each, of deviation 8 (of files 72); without their scales millions.
    assert shown.figures["largest_absolute"][0] < (8 if drawn else 72)
    assert shown.figures["specials"] == 0
    said = "\n".join(part for part in shown.parts if isinstance(part, str))
    assert "values are those of d's codes times the tensor scales, " in said
    assert "(unit 1) and " in said
    assert "unit 2: " in said


def test_products_scaled_alike_are_compared_as_codes(floats: dict[str, Path]) -> None:
    found = _figures("nvfp4", "nvfp4_l8", a=floats["a"], b=floats["b"], c=floats["c"])
    assert found["tensor_scales"][0] == found["tensor_scales"][1] < 1e-4
    assert found["notes"][-1].startswith("values are those of d's codes times the tensor scales, ")
    assert not any(note.startswith("unit ") for note in found["notes"])


def test_products_infinities_of_a_file(tmp_path: Path) -> None:
    a, b, d = tmp_path / "a.npy", tmp_path / "b.npy", tmp_path / "d.npy"
    np.save(a, np.array([[np.inf, 1.0]], np.float32))
    np.save(b, np.ones((2, 1), np.float32))
    spec = named("float8_e4m3fn").element_a
    largest = float(spec.decode(spec.encode(np.inf)))
    assert largest == 448
    for name, value, said in (
        ("float8_e4m3fn", largest + 1, "saturating, infinities too"),
        ("float16_l2_float32", np.inf, "infinities kept"),
    ):
        found = _figures(name, a=a, b=b, output=d, values=True)
        assert np.load(d).tolist() == [[value]]
        assert said in found["notes"][0]
        assert said not in found["notes"][1]
