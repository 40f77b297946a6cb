# SPDX-License-Identifier: Apache-2.0
"""Points stand where a layer's figures put them, below every roof; and the pictures are there."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import hwsim
from hwsim import data
from hwsim.accelerator import Accelerator
from hwsim.report import roofline_plot, timeline_plot
from hwsim.report.roofline import memories, points
from hwsim.result import SimulationResult


def _simulate(accelerator: Accelerator) -> SimulationResult:
    net = hwsim.network.read(data.digits_model_path(quantized=accelerator.unit.name.startswith("int8")))
    return hwsim.simulate(net, accelerator, values="none")


@pytest.mark.parametrize("preset", hwsim.accelerator.presets())
@pytest.mark.parametrize("kilobytes", [4, 64])
def test_roofline_no_point_is_above_a_roof(preset: str, kilobytes: int) -> None:
    """A roof is what the hardware cannot do: a point above one would be a wrong count of cycles or of bits."""
    accelerator = hwsim.accelerator.read(preset)
    result = _simulate(replace(accelerator, weights=replace(accelerator.weights, kilobytes=kilobytes)))
    found = points(result)
    assert sum(len(point.layers) for point in found) == sum(layer.macs > 0 for layer in result.layers) >= 4
    for point in found:
        assert point.rate <= result.macs_per_cycle
        for memory, intensity in zip(memories(result), point.intensities, strict=True):
            if intensity is not None:
                assert point.rate <= intensity * memory.bytes_per_cycle * (1 + 1e-12), (
                    memory.name,
                    point.layers[0].name,
                )


def test_roofline_point_by_hand() -> None:
    result = _simulate(hwsim.accelerator.read("int8_16x16"))
    point = next(point for point in points(result) if point.layers[0].name == "conv3")
    layer = point.layers[0]
    assert layer.macs == 16 * 144 * 32
    assert point.rate == layer.macs / layer.cycles
    dram, _, weights = point.intensities
    assert dram is None  # all on chip
    assert weights == layer.macs / (144 * 32)  # each weight of a byte is read for the one row of tiles
    assert [memory.bytes_per_cycle for memory in memories(result)] == [8, 16, 16]


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_roofline_and_timeline_are_drawn(tmp_path: Path, ending: str) -> None:
    result = _simulate(hwsim.accelerator.read("int8_16x16"))
    for draw in (roofline_plot, timeline_plot):
        file = draw(result, tmp_path / f"{draw.__name__}.{ending}")
        assert file.stat().st_size > 5000
        if ending == "svg":
            text = file.read_text()
            assert "conv2" in text
            assert "digits on int8_16x16" in text
            again = draw(result, tmp_path / "again.svg")
            assert again.read_text() == text  # no date, no random names


def test_timeline_tells_long_names_apart(tmp_path: Path) -> None:
    """Names that end alike get numbers, and the key has as much of each as tells them apart."""
    result = _simulate(hwsim.accelerator.read("int8_16x16"))
    names = [f"/encoder/layers.{index}/MatMul" for index in range(len(result.layers))]
    layers = tuple(replace(layer, name=name) for layer, name in zip(result.layers, names, strict=True))
    text = timeline_plot(replace(result, layers=layers), tmp_path / "a.svg").read_text()
    wide = [layer.name for layer in layers if layer.cycles >= 0.012 * result.cycles]
    assert len(wide) >= 5
    for number, name in enumerate(wide, start=1):
        assert f">{number}</text>" in text
        assert f">{number}  {name}</text>" in text.replace("&#160;", " ")
    one = replace(layers[2], name="alone", start_cycle=0)
    text = timeline_plot(replace(result, layers=(one,)), tmp_path / "a.svg").read_text()
    assert ">alone</text>" in text


def test_roofline_without_products_wrong(tmp_path: Path) -> None:
    result = _simulate(hwsim.accelerator.read("int8_16x16"))
    without = replace(result, layers=tuple(layer for layer in result.layers if not layer.macs))
    with pytest.raises(ValueError, match=r"^network 'digits' has no layer with multiply-accumulates to draw$"):
        roofline_plot(without, tmp_path / "a.svg")
    with pytest.raises(ValueError, match=r"^network 'digits' takes no cycle to draw$"):
        timeline_plot(replace(result, layers=()), tmp_path / "a.svg")


def test_roofline_file_wrong(tmp_path: Path) -> None:
    result = _simulate(hwsim.accelerator.read("int8_16x16"))
    for draw in (roofline_plot, timeline_plot):
        with pytest.raises(ValueError, match=re.escape("must end in .png, .svg or .pdf, not 'plot.txt'")):
            draw(result, tmp_path / "plot.txt")
