# SPDX-License-Identifier: Apache-2.0
"""How the page opens: a thousand points, light and dark, wide and narrow, for all readers, with any names in it."""

from collections.abc import Callable
from typing import Any

import pytest

Open = Callable[..., Any]
THOUSAND = 1000
LATEST_MS = 30_000  # benchmarks/report_page.py measures it; this finds what went wrong, on a machine at work
PHONE = (360, 740)


@pytest.fixture(scope="module")
def thousand(open_page: Open, comparison: Callable[..., dict[str, Any]]) -> Any:
    return open_page(comparison(THOUSAND))


def test_opening_a_thousand_points(thousand: Any) -> None:
    marks = thousand.evaluate("performance.getEntriesByType('mark').map(mark => [mark.name, mark.startTime])")
    assert [name for name, _ in marks] == ["hwsim-readable", "hwsim-ready"]
    assert marks[1][1] < LATEST_MS
    assert thousand.locator("#shown").inner_text() == "1,000 points"
    assert (
        thousand.locator("#picture-1")
        .get_attribute("aria-label")
        .startswith("1,000 points: accuracy against array area.")
    )
    assert thousand.locator("#picture-1 path.point").count() >= THOUSAND
    assert thousand.locator("#rows tr").count() == 50
    thousand.get_by_role("button", name="Show all").click()
    assert thousand.locator("#rows tr").count() == THOUSAND


def test_opening_is_accessible(open_page: Open, comparison: Callable[..., dict[str, Any]]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = open_page(comparison(12))
    page.locator("#rows input").nth(1).check()
    page.locator("#rows input").nth(5).check()
    page.locator("#layers-of").select_option("selected")
    for summary in page.locator("main details:not(.popover) > summary").all():
        summary.click()
    page.locator("#facet-format > summary").click()
    found = [axe.Axe().run(page).response]
    assert len(found[0]["passes"]) > 20
    page.locator("#theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    found.append(axe.Axe().run(page, options={"runOnly": ["color-contrast"]}).response)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.wait_for_function(f"document.querySelector('#picture-1').clientWidth < {PHONE[0]}")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    others = {"rules": {"color-contrast": {"enabled": False}}}  # whose colours are those of the wide page
    found.append(axe.Axe().run(page, options=others).response)
    violations = [each for response in found for each in response["violations"]]
    assert [f"{each['id']}: {each['nodes'][0]['html']}" for each in violations] == []


def test_opening_names_are_text(open_page: Open, comparison: Callable[..., dict[str, Any]]) -> None:
    bad = """</script><script>window.broken = 1</script><img src=x onerror="window.broken = 1">'"&amp;""" + "x" * 200
    data = comparison(40, title=bad)
    data["notes"] = [bad]
    for each in data["evaluations"]:
        each["point"]["network"] = bad
        each["point"]["accelerator"] = bad
        each["point"]["settings"][bad] = bad
        each["sources"] = [bad]
        each["refused"] = each["refused"] and bad
        for layer in each["layers"]:
            layer["name"] = bad + layer["name"]
    page = open_page(data)
    page.locator("#rows input").first.check()
    box = page.locator("#picture-1 .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.evaluate("window.broken") is None
    assert page.locator("h1").inner_text() == bad
    assert page.title() == bad
    for place in ("#notes", "#facts", "#details", "#refused-rows", "#loss-map", "#cost-map"):
        assert bad in page.locator(place).inner_text(), place
    assert page.locator("img").count() == 0
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.wait_for_function(f"document.querySelector('#picture-1').clientWidth < {PHONE[0]}")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]


@pytest.mark.parametrize(
    ("count", "refused"),
    [pytest.param(0, 3, id="all refused"), pytest.param(1, 0, id="one point", marks=pytest.mark.slow)],
)
def test_opening_few_points(
    count: int, refused: int, open_page: Open, comparison: Callable[..., dict[str, Any]]
) -> None:
    page = open_page(comparison(count, refused=refused), scheme="dark")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.locator("#rows tr").count() == count
    assert page.locator("#refused-rows tr").count() == refused
    assert page.locator(".with-points:visible").count() == (3 if count else 0)
    assert f"points\n{count}" in page.locator("#facts").inner_text()
