# SPDX-License-Identifier: Apache-2.0
"""The page in a browser: what it shows, what its filters leave, what is selected, what a link brings back."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim.study.front import pareto

Open = Callable[..., Any]
POINTS = 300  # of the pages that are clicked through


@pytest.fixture(scope="module")
def data(comparison: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return comparison(POINTS)


@pytest.fixture(scope="module")
def shared_page(open_page: Open, data: dict[str, Any]) -> Any:
    """A page that many tests use, for its opening takes a second."""
    return open_page(data)


@pytest.fixture
def page(shared_page: Any) -> Any:
    """Return that page as it opens: no filters, nothing selected."""
    shared_page.evaluate("location.hash = 'theme=light'")
    shared_page.wait_for_function("document.querySelectorAll('tr.chosen').length === 0")
    return shared_page


def _kept(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in data["evaluations"] if not each["refused"]]


def _names(page: Any) -> list[str]:
    names: list[str] = page.locator("#rows .row-name").all_inner_texts()
    return [name.strip() for name in names]


def _column(page: Any, key: str) -> list[str]:
    at = page.evaluate(
        "key => [...document.querySelectorAll('#head > *')].findIndex(e => e.querySelector(`[data-key='${key}']`))", key
    )
    texts: list[str] = page.locator(f"#rows tr > :nth-child({at + 1})").all_inner_texts()
    return texts


def _show_all(page: Any) -> None:
    while page.locator("#more button").count():
        page.locator("#more button").last.click()


def _numbers(found: list[dict[str, Any]], value: str) -> list[str]:
    """Return the numbers of the fronts of points, each network and technology for itself."""
    groups = [(each["point"]["network"], each["point"]["technology"]) for each in found]
    numbers = [""] * len(found)
    for number, cost in (("1", "array_area_mm2"), ("2", "energy_nj")):
        for group in set(groups):
            at = [place for place, own in enumerate(groups) if own == group]
            on = pareto([found[place]["figures"] for place in at], {value: "more", cost: "less"})
            for place, is_on in zip(at, on, strict=True):
                numbers[place] = f"{numbers[place]} {number}".strip() if is_on else numbers[place]
    return numbers


def test_page_fronts_are_those_of_the_study(page: Any, data: dict[str, Any]) -> None:
    found = _kept(data)
    numbers = _numbers(found, "accuracy")
    expected = sorted(
        (each["point"]["format"], number) for each, number in zip(found, numbers, strict=True) if number
    )  # fmt: skip
    page.locator("input[name=show][value=front]").check(force=True)
    assert {each["point"]["technology"] for each in found} == {"asap7", "nangate45"}
    assert {number for _, number in expected} >= {"1", "2"}
    assert sorted(zip(_names(page), _column(page, "front"), strict=True)) == expected
    assert page.locator("#head [data-key=front]").get_attribute("title") == (
        "1: accuracy against array area; 2: accuracy against energy"
    )
    glance = page.locator("#glance .answer-title").all_inner_texts()
    assert [title.split(", ")[-1] for title in glance] == ["asap7"] * 3 + ["nangate45"] * 3
    page.locator("[data-key=technology]").click()
    page.locator("[data-key=technology]").click()
    page.locator("#rows input").first.check()
    assert "On the front of nangate45" in page.locator("#details").inner_text()
    assert "asap7" not in page.locator("#details .card").first.inner_text()


def test_page_shows_one_network_at_first(open_page: Open, comparison: Callable[..., dict[str, Any]]) -> None:
    data = comparison(60, refused=0)
    for at, each in enumerate(data["evaluations"]):
        if at % 2:
            each["point"]["network"] = "unlabelled"
            each["figures"] |= {"accuracy": None, "float_accuracy": None, "images": 16}
    page = open_page(data)
    own = [[each for each in _kept(data) if each["point"]["network"] == name] for name in ("digits", "unlabelled")]
    assert "digits 360 · unlabelled 16" in page.locator("#facts").inner_text()
    assert page.locator("#shown").inner_text() == "30 of 60 points"
    assert sorted(_names(page)) == sorted(each["point"]["format"] for each in own[0])
    assert page.locator("#axis-y").input_value() == "accuracy"
    page.locator("#network").select_option("unlabelled")
    assert [page.locator(f"#axis-{part}").input_value() for part in ("y", "x", "y2", "x2")] == [
        "output_sqnr_db", "array_area_mm2", "output_sqnr_db", "energy_nj"
    ]  # fmt: skip
    shown = dict(zip(page.locator("#rows tr").evaluate_all("rows => rows.map(row => row.dataset.point)"),
                     _column(page, "front"), strict=True))  # fmt: skip
    numbers = _numbers(_kept(data), "output_sqnr_db")
    assert shown == {str(at): numbers[at] for at in range(1, 60, 2)}
    other = open_page(page.file, page.evaluate("location.hash"))
    assert other.locator("#network").input_value() == "unlabelled"
    other.locator("#network").select_option("")
    assert other.locator("#shown").inner_text() == "60 points"
    assert other.locator("#axis-y").input_value() == "output_sqnr_db"  # what both networks have


def test_page_sorts_by_a_click_and_by_a_key(page: Any, data: dict[str, Any]) -> None:
    page.locator("[data-key=energy_nj]").click()
    assert page.locator("th:has([data-key=energy_nj])").get_attribute("aria-sort") == "ascending"
    _show_all(page)
    shown = [float(text.replace(",", "").replace("≈ ", "")) for text in _column(page, "energy_nj")]
    assert len(shown) == POINTS
    assert shown == sorted(shown)
    page.locator("[data-key=energy_nj]").focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending] [data-key=energy_nj]").count() == 1
    assert page.locator("th[aria-sort=ascending]").count() == 0
    most = max(each["figures"]["energy_nj"] for each in _kept(data))
    assert float(_column(page, "energy_nj")[0].replace(",", "")) == pytest.approx(most, rel=1e-3)


def test_page_filters_by_text_facet_and_bounds(page: Any, data: dict[str, Any]) -> None:
    page.locator("#text").fill("mxfp int8_16x16")
    page.locator("#facet-technology > summary").click()
    page.locator("input[data-facet=technology][data-value=asap7]").check()
    page.keyboard.press("Escape")
    assert page.locator("#facet-technology[open]").count() == 0
    page.locator("#facet-bounds > summary").click()
    page.locator("#range-of").select_option("energy_nj")
    page.locator("#range-to").fill("4")
    expected = [
        each["point"]["format"]
        for each in _kept(data)
        if "mxfp" in each["point"]["unit"] and each["point"]["accelerator"] == "int8_16x16"
        and each["point"]["technology"] == "asap7" and each["figures"]["energy_nj"] <= 4
    ]  # fmt: skip
    assert 3 <= len(expected) < 20
    page.wait_for_function(f"document.querySelector('#shown').textContent.startsWith('{len(expected)} of ')")
    assert sorted(_names(page)) == sorted(expected)
    assert page.locator("#chips .chip").count() == 3
    page.keyboard.press("Escape")
    page.locator("#reset").click()
    assert page.locator("#shown").inner_text() == f"{POINTS} points"
    assert page.locator("#text").input_value() == ""


def test_page_sets_two_points_side_by_side(page: Any, data: dict[str, Any]) -> None:
    page.locator("#text").fill("asap7 4×4 mxfp4_4x4 400")
    boxes = page.locator("#rows input")
    page.wait_for_function("document.querySelectorAll('#rows tr').length === 28")
    boxes.nth(0).focus()
    page.keyboard.press("Space")
    boxes.nth(3).check()
    formats = [_names(page)[at] for at in (0, 3)]
    chosen = [
        next(
            each for each in _kept(data)
            if each["point"]["format"] == name and each["point"]["accelerator"] == "mxfp4_4x4"
            and each["point"]["technology"] == "asap7" and each["point"]["settings"].get("clock_mhz") == 400
        )
        for name in formats
    ]  # fmt: skip
    areas = [each["figures"]["area_mm2"] for each in chosen]
    row = page.locator(".figures tbody tr", has=page.locator("th", has_text="area").filter(has_text="area")).filter(
        has_text="mm²"
    )
    texts = row.nth(1).locator("td").all_inner_texts()
    assert float(texts[0].replace("≈ ", "")) == pytest.approx(areas[0], rel=1e-3)
    assert float(texts[2].split()[0]) == pytest.approx(areas[1] / areas[0], rel=5e-3)
    assert page.locator("#details svg[viewBox] title").count() == 2
    assert page.locator("#details .bar").count() == 6
    stages = page.locator("#details .breakdowns table").first.inner_text()
    assert all(stage in stages for stage in chosen[0]["stages"]["area_um2"])
    assert chosen[0]["sources"][2] in page.locator("#details").inner_text()


def test_page_selects_in_a_picture(page: Any) -> None:
    page.locator("#picture-1").scroll_into_view_if_needed()
    box = page.locator("#picture-1 .nsewdrag").bounding_box()
    marks = page.locator("#picture-1 .scatterlayer .trace").nth(3).locator("path.point")
    mark = marks.first.bounding_box()
    x, y = mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2
    page.mouse.move(x - 1, y)
    page.mouse.move(x, y)
    page.wait_for_selector("#about:not([hidden])")
    assert any(words in page.locator("#about").inner_text() for words in ("On the front", "Beaten by"))
    assert page.locator("#picture-2-spot:not([hidden])").count() == 1
    page.mouse.click(x, y)
    page.wait_for_function("document.querySelectorAll('#details .card h3 .symbol').length === 1")
    page.wait_for_timeout(400)  # else it were a double click
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] * 0.9, steps=4)
    page.mouse.up()
    page.wait_for_function("location.hash.split('%2C').length > 100")
    page.locator("input[name=show][value=selected]").check(force=True)
    assert int(page.locator("#shown").inner_text().split()[0]) > 100
    page.keyboard.press("Escape")
    assert page.locator("#details:not([hidden])").count() == 0


def test_page_link_brings_the_view_back(page: Any, open_page: Open) -> None:
    page.locator("#text").fill("fp4")
    page.locator("#axis-x").select_option("latency_us")
    page.locator("#colour").select_option("accelerator")
    page.locator("#theme").click()
    page.wait_for_function("document.querySelector('#shown').textContent.includes(' of ')")
    page.locator("#rows input").nth(2).check()
    link = page.evaluate("location.hash")
    shown, chosen = _names(page), page.locator("tr.chosen").get_attribute("data-point")
    other = open_page(page.file, link)
    assert _names(other) == shown
    assert other.locator("tr.chosen").get_attribute("data-point") == chosen
    assert other.locator("#axis-x").input_value() == "latency_us"
    assert other.locator("#colour").input_value() == "accelerator"
    assert other.locator("html").get_attribute("data-theme") == "dark"
    assert other.evaluate("location.hash") == link
    other.evaluate("location.hash = 'points=00000000&x=nothing'")
    other.wait_for_selector("#missing:not([hidden])")
    assert "x=nothing, point 00000000" in other.locator("#missing").inner_text()


def test_page_saves_what_it_shows(page: Any, data: dict[str, Any]) -> None:
    page.locator("#text").fill("nangate45 nf4")
    page.wait_for_function("document.querySelector('#shown').textContent.includes(' of ')")
    with page.expect_download() as download:
        page.locator("#csv").click()
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [
        each for each in _kept(data) if each["point"]["format"] == "nf4" and each["point"]["technology"] == "nangate45"
    ]
    assert len(rows) == len(expected) >= 3
    found = sorted(float(row["area, mm²"]) for row in rows)
    assert found == pytest.approx(sorted(each["figures"]["area_mm2"] for each in expected), rel=1e-5)


def test_page_lists_refused_and_marks_fitted(page: Any, data: dict[str, Any]) -> None:
    refused = [each["refused"] for each in data["evaluations"] if each["refused"]]
    assert [text.strip() for text in page.locator("#refused-rows td:last-child").all_inner_texts()] == refused
    page.locator("#text").fill("int7")
    page.wait_for_function("document.querySelector('#shown').textContent.includes(' of ')")
    assert all(text.startswith("≈ ") for text in _column(page, "area_mm2"))
    page.locator("#rows input").first.check()
    assert "may be off by 14 %" in page.locator("#details").inner_text()


def test_page_maps_of_layers(page: Any, data: dict[str, Any]) -> None:
    page.locator("#layers-of").select_option("table")
    heads = page.locator("#loss-map thead th").all_inner_texts()
    assert heads[1:] == [layer["name"] for layer in data["evaluations"][0]["layers"]]
    assert page.locator("#loss-map tbody tr").count() == 40
    shares = [float(text) for text in page.locator("#cost-map tbody tr").first.locator("td").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=2)
    page.locator("#cost-of").select_option("cycles")
    assert page.locator("#cost-map caption").inner_text() == "share of the cycles by layer"
