"""profile.html and precision_report.html, opened from disk as a user does."""

from __future__ import annotations

import csv
import json

import pytest
from playwright.sync_api import Locator, Page

from axbuild.toolchain.npu.profile.occupied import blocks
from browser_world import LONG, Built, Opened

PAGES = ["profile", "report"]
SCREENS = [(1280, "light"), (1280, "dark"), (390, "light")]
CUT_OFF = """() => [...document.querySelectorAll('body *')].filter(one => {
  const style = getComputedStyle(one);
  return !['visible', 'auto', 'scroll'].includes(style.overflowX) && one.scrollWidth > one.clientWidth + 1
    && !one.closest('svg');
}).map(one => one.outerHTML)"""
OUTSIDE = """() => [...document.querySelectorAll('svg text')].filter(one => {
  const own = one.getBoundingClientRect(), all = one.closest('svg').getBoundingClientRect();
  return own.left < all.left || own.right > all.right || own.top < all.top || own.bottom > all.bottom;
}).map(one => one.textContent)"""
OVERLAPPING = """() => [...document.querySelectorAll('svg')].flatMap(chart => {
  const texts = [...chart.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
  return texts.flatMap(([a, one], place) => texts.slice(place + 1).filter(([b, other]) =>
    one.left < other.right && other.left < one.right && one.top + 3 < other.bottom && other.top + 3 < one.bottom)
    .map(([b]) => [a, b]));
})"""
CONTRAST = """() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(v => v / 255).map(
      v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const against = (one, property) => {
    const ink = light(getComputedStyle(one)[property]);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  };
  return Math.min(...[...document.querySelectorAll('h1, h2, p, th, td')].map(one => against(one, 'color')),
    ...[...document.querySelectorAll('svg text')].map(one => against(one, 'fill')));
}"""


def file_of(built: Built, page: str):
    return built.report if page == "report" else built.debug / "profile.html"


def table(page: Page, heading: str) -> list[list[str]]:
    """The body of the table below a heading."""
    rows = page.locator(f"h2:text-is('{heading}') + .wide tbody tr")
    return [row.locator("td").all_inner_texts() for row in rows.all()]


def told(one: Locator) -> str:
    """What a browser tells about the thing under the pointer in the middle of `one`."""
    one.scroll_into_view_if_needed()
    box = one.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    one.page.mouse.move(*middle)
    found: str = one.page.evaluate("([x, y]) => document.elementFromPoint(x, y).textContent", list(middle))
    return found


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_asks_for_nothing_and_cuts_nothing_off(built, opened, name, width, scheme):
    shown: Opened = opened(file_of(built, name), width, scheme)
    assert (shown.said, shown.asked) == ([], [])
    page = shown.page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for check in (CUT_OFF, OUTSIDE, OVERLAPPING):
        assert page.evaluate(check) == []
    assert page.evaluate(CONTRAST) >= 4.5, "as WCAG asks of text"
    parts = page.evaluate("[...document.querySelectorAll('.wide')].map(one => [one.scrollWidth, one.clientWidth])")
    assert len(parts) == (5 if name == "profile" else 3)
    if width == 1280:
        assert all(whole == seen for whole, seen in parts), "nothing to scroll sideways for"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_dark_where_the_user_wants_it_so(built, opened, name):
    papers = [
        opened(file_of(built, name), scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert papers == ["rgb(255, 255, 255)", "rgb(21, 26, 33)"]


def test_the_profile_has_the_figures_of_its_summary_and_rows(built, opened):
    shown = opened(built.debug / "profile.html")
    summary = built.json("summary.json")
    for figure in (summary["max_cycle"], summary["least_cycles"], summary["macs"], summary["ocm_peak"]):
        assert f"{figure:,}" in shown.text
    assert table(shown.page, "Engines") == [
        [engine, f"{busy:,}", f"{summary['utilisation'][engine]:.1%}"]
        for engine, busy in summary["busy_cycles"].items()
    ]
    assert table(shown.page, "DDR") == [[moves, f"{size:,}"] for moves, size in summary["ddr_bytes"].items()]
    rows = list(csv.DictReader((built.debug / "op_profile.csv").read_text().splitlines()))
    figures = ("start", "end", "busy", "macs", "ddr_bytes")
    assert table(shown.page, "Operators") == [
        [row["makes"], row["op_type"], row["engine"], *(f"{int(row[name]):,}" for name in figures), row["bound"]]
        for row in rows
    ]
    assert any(row["makes"] == f"{LONG}/act" for row in rows)


def test_the_memory_map_fills_its_height_and_its_blocks_tell_what_they_hold(built, opened):
    page = opened(built.debug / "profile.html").page
    chart = page.get_by_role("img", name="The on-chip memory over time")
    drawn = [one.bounding_box() for one in chart.locator("rect").all()]
    assert len(drawn) == len(blocks(built.program))
    assert all(box["width"] > 0.4 and box["height"] > 0.4 for box in drawn)
    used = max(box["y"] + box["height"] for box in drawn) - min(box["y"] for box in drawn)
    assert used > 0.9 * (chart.bounding_box()["height"] - 36)
    block = max(chart.locator("rect.constant").all(), key=lambda one: one.bounding_box()["height"])
    before = block.evaluate("one => getComputedStyle(one).opacity")
    assert told(block) == block.locator("title").text_content()
    assert ".params" in told(block)
    assert (before, block.evaluate("one => getComputedStyle(one).opacity")) == ("0.55", "1")


def test_the_roofline_has_a_point_a_layer_below_the_roof_that_tells_its_name(built, opened):
    page = opened(built.debug / "profile.html").page
    chart = page.get_by_role("img", name="Multiply-accumulates a cycle over those a byte")
    rows = list(csv.DictReader((built.debug / "op_profile.csv").read_text().splitlines()))
    points = chart.locator("circle").all()
    assert len(points) == sum(row["macs"] != "0" for row in rows) == 4
    roof = chart.locator("polyline").bounding_box()
    assert all(one.bounding_box()["y"] > roof["y"] for one in points)
    assert [told(one).split(" (")[0] for one in points] == [row["makes"] for row in rows if row["macs"] != "0"]


def test_the_precision_report_draws_and_lists_the_layers_of_its_json(built, opened):
    page = opened(built.report).page
    layers = json.loads(built.report.with_suffix(".json").read_text())["layers"]
    chart = page.get_by_role("img", name="SNR of each layer along the net")
    assert chart.bounding_box()["width"] > 200
    lines = [line.bounding_box() for line in chart.locator("polyline").all()]
    assert all(line["width"] > 100 and line["height"] > 5 for line in lines)
    assert len(lines) == 2
    hits = chart.locator("rect.hit").all()
    assert len(hits) == len(layers)
    names = {layer["name"] for layer in layers}
    assert {told(hit).split(" (")[0] for hit in hits} == names
    shown = table(page, "All layers, in the order of the net")
    assert {row[0] for row in shown} == names
    assert LONG in names
    rules = {layer["name"]: layer["rule"] for layer in layers}
    assert {row[0]: row[-1] for row in shown} == {name: rule or "" for name, rule in rules.items()}
