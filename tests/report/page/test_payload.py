# SPDX-License-Identifier: Apache-2.0
"""What the page holds: small, exact to the digits it shows, and nothing that ends its script element."""

import base64
import gzip
import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs
from typer.main import get_command

from hwsim.accelerator import toml_text
from hwsim.cli import app
from hwsim.report.page import write_page
from hwsim.report.page.payload import DIGITS, as_text, family, payload
from hwsim.report.page.steps import next_steps
from hwsim.report.page.writing import MODULES, page_text

_FOLDER = Path(__file__).resolve().parents[3] / "hwsim" / "report" / "page"


def _decoded(column: Any) -> list[Any]:
    return column if isinstance(column, list) else [column["of"][at] for at in column["at"]]


def test_payload_gives_every_figure_back(comparison: Callable[..., dict[str, Any]]) -> None:
    data = comparison(300)
    held = json.loads(as_text(payload(data, [])))
    found = [each for each in data["evaluations"] if not each["refused"]]
    compared = 0
    for quantity in held["quantities"]:
        values = _decoded(held["figures"][quantity["key"]])
        assert len(values) == len(found)
        for value, each in zip(values, found, strict=True):
            given = each["figures"][quantity["key"]]
            compared += 1
            if isinstance(given, float):
                assert value == pytest.approx(given * (100 if quantity["unit"] == "%" else 1), rel=10 ** (1 - DIGITS))
            else:
                assert value == given
    assert compared == 300 * len(held["quantities"]) > 300 * 25
    for field in ("format", "unit", "technology", "accelerator", "network"):
        assert _decoded(held["fields"][field]) == [each["point"][field] for each in found]
    for key, column in held["settings"].items():
        assert _decoded(column) == [each["point"]["settings"].get(key) for each in found]
    names = [[[layer["name"], layer["operator"], layer["macs"]] for layer in each["layers"]] for each in found]
    assert _decoded(held["layers"]["names"]) == names
    sources = [[held["sources"]["texts"][at] for at in each] for each in _decoded(held["sources"]["at"])]
    assert sources == [each["sources"] for each in found]
    assert [each["reason"] for each in held["refused"]] == [each["refused"] for each in data["evaluations"][300:]]


def test_payload_draws_each_unit_once_and_is_small(comparison: Callable[..., dict[str, Any]]) -> None:
    data = comparison(1000)
    held = payload(data, [])
    units = {each["point"]["unit"] for each in data["evaluations"][:1000]}
    assert set(held["diagrams"]["of"]) == units
    assert len(held["ids"]) == len(set(held["ids"])) == 1000
    assert len(as_text(held)) < 800_000


def test_payload_text_ends_no_script() -> None:
    text = as_text({"name": "</script><!-- <script>"})
    assert "<" not in text
    assert json.loads(text) == {"name": "</script><!-- <script>"}


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("int8", "integer"),
        ("float8_e4m3fn", "float"),
        ("mxfp4_l16_float32", "block float"),
        ("mxint8_l16_float32", "block integer"),
        ("posit8_0", "posit"),
        ("nf4", "codebook"),
        ("fixed12_8", "fixed point"),
        ("mxfp4_by_mxint8", "block float by block integer"),
    ],
)
def test_payload_family(unit: str, expected: str) -> None:
    assert family(unit) == expected


def test_page_text_holds_all_and_asks_for_nothing(comparison: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    file = write_page(comparison(5), tmp_path / "page.html", next_steps=[("Why?", "hwsim units 'a b'")])
    text = file.read_text(encoding="utf-8")
    packed = re.search(r'<script type="application/gzip" id="plotly">([A-Za-z0-9+/=]+)</script>', text)
    assert packed is not None
    assert gzip.decompress(base64.b64decode(packed[1])).decode() == get_plotlyjs()
    assert "{{" not in text
    assert len(text) < 2_500_000
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"(?!data:)", text)
    assert "default-src 'unsafe-inline'" in text
    assert "hwsim units 'a b'" in text


def test_page_modules_are_all_used_short_and_apart() -> None:
    files = sorted(path.stem for path in (_FOLDER / "program").glob("*.js"))
    assert files == sorted([*MODULES, "theme"])
    names: list[str] = []
    for path in (_FOLDER / "program").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 300, path
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|fetch\(|XMLHttp|\beval\(", text
        ), path
        names += re.findall(r"^(?:async )?(?:function|const|let) (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names)) > 100


def test_page_steps_are_commands_of_today(comparison: Callable[..., dict[str, Any]]) -> None:
    commands: Any = get_command(app)
    steps = next_steps(comparison(30))
    for _, text in steps:
        program, name, *words = shlex.split(text)
        assert program == "hwsim"
        options = {option for each in commands.commands[name].params for option in [*each.opts, *each.secondary_opts]}
        options.add("--help")
        assert {word for word in words if word.startswith("-")} <= options, text
    built = steps[1][1].split("--pipeline ")[1].split()[0]
    assert [text for _, text in steps[2:]] == [
        f"hwsim verilog {shlex.split(steps[0][1])[2]} --pipeline {built} -o {shlex.split(steps[0][1])[2]}",
        "hwsim simulate --accelerator mxfp4_4x4 --explain",
        "hwsim allocate --budget energy=70%",
        "hwsim compare --help",
        "hwsim sweep examples/sweep_arrays.toml --report sweep.html",
    ]
    assert (_FOLDER.parents[2] / "examples" / "sweep_arrays.toml").is_file()


def test_page_steps_of_other_networks(comparison: Callable[..., dict[str, Any]]) -> None:
    data = comparison(1)
    data["evaluations"][0]["point"]["network"] = "mine"
    assert not any("simulate" in text or "allocate" in text for _, text in next_steps(data))
    said = {text: question for question, text in next_steps(data, {"mine": "my model.onnx"})}
    question = said["hwsim simulate 'my model.onnx' --cycles-only --accelerator mxfp4_4x4 --explain"]
    assert "with its own unit mxfp4_l16_float32" in question


def test_page_commands_build_the_unit_that_was_priced(comparison: Callable[..., dict[str, Any]]) -> None:
    data = comparison(30)
    points = [each["point"] for each in data["evaluations"][:30]]
    points[0]["settings"]["pipeline"] = 5
    points[1]["settings"]["array.serial_bits"] = 2
    points[2]["accelerator"] = "a_file_of_mine"
    points[3]["accelerator"] = "mxfp4_4x4x4_cube"
    given = {name: tomllib.loads(toml_text(name)[0])["pipeline"] for name in ("mxfp4_4x4", "int8_16x16")}
    expected = [5, None, None, None, *(given[point["accelerator"]] for point in points[4:])]
    assert _decoded(payload(data, [])["ranks"]) == expected
    assert set(given.values()) == {2, 3}


@pytest.mark.parametrize(
    ("absent", "expected"),
    [
        pytest.param((), [("accuracy", "array_area_mm2"), ("accuracy", "energy_nj")], id="labels"),
        pytest.param(("accuracy",), [("output_sqnr_db", "array_area_mm2"), ("output_sqnr_db", "energy_nj")], id="none"),
        pytest.param(("array_area_mm2", "energy_nj"), [("accuracy", "lut"), ("accuracy", "latency_us")], id="FPGA"),
    ],
)
def test_payload_fronts_are_the_terminals(
    absent: tuple[str, ...], expected: list[tuple[str, str]], comparison: Callable[..., dict[str, Any]]
) -> None:
    data = comparison(4)
    for each in data["evaluations"]:
        each["figures"] |= dict.fromkeys(absent)
    fronts = payload(data, [])["fronts"]
    assert {name: list(pairs) for name, pairs in fronts.items()} == {"digits": expected, "": expected}
    assert payload(data, [], [("accuracy", "area_mm2")])["fronts"]["digits"] == [("accuracy", "area_mm2")]


def test_page_text_without_a_picture_is_small(comparison: Callable[..., dict[str, Any]]) -> None:
    text = page_text(comparison(0, refused=3))
    assert 'id="plotly"' not in text
    assert len(text) < 150_000


def test_write_page_arguments_wrong(comparison: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    data = comparison(1)
    with pytest.raises(ValueError, match=r"^a report must be a file that ends in \.html or \.htm, not 'page\.pdf'$"):
        write_page(data, "page.pdf")
    with pytest.raises(FileNotFoundError, match="the report's folder must exist: "):
        write_page(data, tmp_path / "nowhere" / "page.html")
    with pytest.raises(
        ValueError, match=r"^a comparison must have quantities, evaluations, notes: it has title, version$"
    ):
        page_text({"title": "", "version": ""})
    with pytest.raises(ValueError, match=r"^a comparison must have an evaluation at least: it has none$"):
        page_text({**data, "evaluations": []})
