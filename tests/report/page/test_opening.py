# SPDX-License-Identifier: Apache-2.0
"""How the page opens: a thousand points, light and dark, wide and narrow, for all readers, with any names in it."""

from collections.abc import Callable
from typing import Any

import pytest

Open = Callable[..., Any]
THOUSAND = 1000
THREAD_SECONDS = 5  # of the page's own thread; benchmarks/report_page.py measures it, this finds what went wrong
PHONE = (360, 740)


@pytest.fixture(scope="module")
def thousand(open_page: Open, comparison: Callable[..., dict[str, Any]]) -> Any:
    return open_page(comparison(THOUSAND))


def test_opening_a_thousand_points(thousand: Any) -> None:
    marks = thousand.evaluate("performance.getEntriesByType('mark').map(mark => mark.name)")
    assert marks == ["hwsim-readable", "hwsim-ready"]
    assert thousand.locator("#shown").inner_text() == "1,000 points"
    assert thousand.locator("#picture-1 path.point").count() >= THOUSAND
    assert thousand.locator("#rows tr").count() == 50
    session = thousand.context.new_cdp_session(thousand)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    thousand.reload()
    thousand.wait_for_selector("html[data-ready]", state="attached")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    assert 0.05 < metrics["TaskDuration"] < THREAD_SECONDS


def test_opening_all_rows_of_a_thousand(thousand: Any) -> None:
    thousand.get_by_role("button", name="Show all").click()
    assert thousand.locator("#rows tr").count() == THOUSAND


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", (1280, 900)), ("dark", (1280, 900)), ("dark", PHONE)], ids=["light", "dark", "phone"]
)
def test_opening_is_accessible(
    scheme: str, size: tuple[int, int], open_page: Open, comparison: Callable[..., dict[str, Any]]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = open_page(comparison(20), size=size, scheme=scheme)
    assert page.locator("html").get_attribute("data-theme") == scheme
    page.locator("#rows input").nth(1).check()
    page.locator("#rows input").nth(5).check()
    page.locator("#layers-of").select_option("selected")
    for summary in page.locator("main details:not(.popover) > summary").all():
        summary.click()
    page.locator("#facet-format > summary").click()
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20
    assert [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_opening_names_are_text(open_page: Open, comparison: Callable[..., dict[str, Any]]) -> None:
    bad = """</script><script>window.broken = 1</script><img src=x onerror="window.broken = 1">'"&amp;"""
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


@pytest.mark.parametrize(("count", "refused"), [(0, 3), (1, 0)], ids=["all refused", "one point"])
def test_opening_few_points(
    count: int, refused: int, open_page: Open, comparison: Callable[..., dict[str, Any]]
) -> None:
    page = open_page(comparison(count, refused=refused))
    assert page.locator("#rows tr").count() == count
    assert page.locator("#refused-rows tr").count() == refused
    assert page.locator("#picture-1 path.point").count() == count
    assert page.locator(".with-points:visible").count() == (3 if count else 0)
    assert f"points\n{count}" in page.locator("#facts").inner_text()
