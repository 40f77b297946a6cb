# SPDX-License-Identifier: Apache-2.0
"""Figures hold the figures: every point, bar and cell is what the comparison, the cost or the format says."""

import re
from typing import Any

import numpy as np
import pytest

import cost_models
import hwsim
from hwsim.result import SimulationResult
from hwsim.study import Comparison, quantity


def _traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def _drawable(figure: Any) -> None:
    """Turn a figure to JSON and back, which plotly checks."""
    from plotly import graph_objects as go

    assert go.Figure(figure.to_plotly_json()) == figure


def test_pareto_figure_front_and_points(comparison: Comparison) -> None:
    figure = hwsim.plot.pareto_figure(comparison)
    traces = _traces(figure)
    assert set(traces) == {"Pareto front", "int8", "float8_e4m3fn", "mxfp4", "int4"}
    front = traces["Pareto front"]  # by hand: float8 and int4 are worse in both than int8 and mxfp4
    assert (list(front.x), list(front.y), front.line.shape) == ([2.0, 4.0], [0.96, 0.98], "hv")
    assert (list(traces["int4"].x), list(traces["int4"].y)) == ([3.0], [0.90])
    assert traces["mxfp4"].marker.symbol == ("diamond",)
    assert traces["int4"].marker.symbol == ("circle",)
    (hover,) = traces["mxfp4"].text
    for said in ("mxfp4_l16_float32", "on the front", "accuracy: 96 %", "energy: 2 nJ"):
        assert said in hover
    assert "4 designs, 2 on the front; 2 without both figures are not drawn" in figure.layout.title.subtitle.text
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.tickformat) == ("energy, nJ", ".1%")
    assert figure.layout.xaxis.type is None
    _drawable(figure)


def test_pareto_figure_is_the_method_and_takes_the_dict(comparison: Comparison) -> None:
    figure = hwsim.plot.pareto_figure(comparison, "lut", "accuracy", colour="array.rows")
    assert comparison.figure("lut", "accuracy", colour="array.rows").to_json() == figure.to_json()
    assert hwsim.plot.pareto_figure(comparison.as_dict(), "lut", colour="array.rows").to_json() == figure.to_json()
    assert sorted(_traces(figure)["4"].x) == [100, 101, 102, 103, 104]


def test_pareto_figure_colour_by_a_figure(comparison: Comparison) -> None:
    trace = _traces(hwsim.plot.pareto_figure(comparison, colour="energy_sram_nj"))["designs"]
    assert list(trace.marker.color) == [3.0, 3.0, 1.5, 2.5]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"x": "enrgy_nj"}, KeyError, "unknown quantity 'enrgy_nj'"),
        ({"x": "images"}, ValueError, "a front needs quantities of which more or less is better; of images neither is"),
        ({"x": "area_mm2"}, ValueError, "none of 6 designs has both area_mm2 and accuracy"),
        ({"colour": "array.row"}, KeyError, "colour must be one of network, format"),
        ({"colour": "cost_source"}, ValueError, "colour must be a quantity with numbers, not 'cost_source'"),
    ],
)
def test_pareto_figure_arguments_wrong(
    comparison: Comparison, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        hwsim.plot.pareto_figure(comparison, **options)


def test_figures_designs_wrong() -> None:
    wrong: Any = [1]
    with pytest.raises(TypeError, match=r"^designs must be evaluations, not int$"):
        hwsim.plot.pareto_figure(wrong)


def test_stage_figure_of_costs_and_of_designs(comparison: Comparison) -> None:
    costs = [next(cost_models.catalog(technology)) for technology in ("asap7", "nangate45", "ecp5")]
    figure = hwsim.plot.stage_figure(costs)
    bars = [trace for trace in figure.data if trace.xaxis == "x"]
    for at, cost in enumerate(costs[:2]):
        drawn = {trace.name: trace.x[at] for trace in bars if trace.x[at] is not None}
        assert drawn == dict(cost.area_by_stage)
        assert bars[0].y[at] == f"{cost.unit}, {cost.technology}"
    assert len(bars[0].y) == 2  # the FPGA has no area
    _drawable(figure)
    of_designs = hwsim.plot.stage_figure(comparison)
    assert [(trace.name, trace.x[0]) for trace in of_designs.data] == [
        ("multiply", 60.0), ("accumulate", 40.0), ("multiply", 0.5), ("accumulate", 0.25),
    ]  # fmt: skip
    assert hwsim.plot.stage_figure(costs[0]).data[0].y == (costs[0].unit,)


def test_stage_figure_costs_wrong() -> None:
    with pytest.raises(ValueError, match=r"^none of the costs has figures by stage: they are fitted, or of an FPGA$"):
        hwsim.plot.stage_figure([next(cost_models.catalog("ecp5"))])


def test_layer_heatmap_cells(comparison: Comparison) -> None:
    (trace,) = hwsim.plot.layer_heatmap(comparison).data
    assert (list(trace.x), list(trace.y)) == (["conv1", "fc"], ["int8", "float8_e4m3fn", "mxfp4", "int4", "mxint8"])
    assert [list(row) for row in trace.z] == [[40.0, 20.0]] * 5
    (alone,) = hwsim.plot.layer_heatmap(comparison, "sqnr_alone_db").data
    assert list(alone.x) == ["fc"]  # conv1 by itself equals float32


def test_layer_heatmap_arguments_wrong(comparison: Comparison) -> None:
    with pytest.raises(KeyError, match=r"what must be one of sqnr_db, .*, not 'snr'"):
        hwsim.plot.layer_heatmap(comparison, "snr")
    with pytest.raises(ValueError, match="none of 1 designs has sqnr_db of a layer; compare them with layers=True"):
        hwsim.plot.layer_heatmap(comparison[-1:])


def test_energy_figure_parts_add_up(comparison: Comparison) -> None:
    figure = hwsim.plot.energy_figure(comparison)
    assert [trace.name for trace in figure.data] == [quantity(f"energy_{part}_nj").label for part in ("units", "sram")]
    assert list(np.sum([trace.x for trace in figure.data], axis=0)) == [4.0, 5.0, 2.0, 3.0]
    assert figure.layout.barmode == "stack"
    with pytest.raises(ValueError, match="the energy of none of 2 designs is known"):
        hwsim.plot.energy_figure(comparison[-2:])


def test_format_figure_draws_every_value() -> None:
    figure = hwsim.plot.format_figure(["float8_e4m3fn", "mxfp4", "bfloat16"])
    values, bits = figure.data[0], figure.data[1]
    fmt: Any = hwsim.formats.named("float8_e4m3fn")
    decoded = fmt.decode(np.arange(256, dtype=np.uint8))
    assert [float(text) for text in values.text] == sorted(set(decoded[np.isfinite(decoded)].tolist()))
    assert np.allclose(np.array(values.x) * 448, [float(text) for text in values.text])
    assert (bits.x[-1], bits.y[-1]) == (8, 1 + np.log2(7))  # 256, 288 ... 448: the eighth code is NaN
    assert [trace.name for trace in figure.data].count("bfloat16") == 1  # too many values for a line
    assert hwsim.plot.format_figure("int4").data[0].text == tuple(str(value) for value in range(-8, 8))
    _drawable(figure)


def test_format_figure_formats_wrong() -> None:
    with pytest.raises(ValueError, match=r"^there must be a format to draw$"):
        hwsim.plot.format_figure([])
    with pytest.raises(ValueError, match=r"^the values of phase4 are not real numbers to draw$"):
        hwsim.plot.format_figure("ifairy")


def test_roofline_figure_is_below_the_roofs(result: SimulationResult) -> None:
    figure = hwsim.plot.roofline_figure(result)
    roofs, drawn = figure.data[::2], figure.data[1::2]
    assert len(roofs) == len(drawn) == 3
    seen = 0
    for roof, trace, bytes_per_cycle in zip(roofs, drawn, (8, 16, 16), strict=True):
        assert roof.y[1] == roof.y[2] == result.macs_per_cycle
        for x, y in zip(trace.x, trace.y, strict=True):
            assert y <= min(result.macs_per_cycle, x * bytes_per_cycle) * (1 + 1e-12)
            seen += 1
    assert seen >= 6
    _drawable(figure)
