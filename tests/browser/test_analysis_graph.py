"""precision_analysis.mmd, drawn by mermaid as viewers have it: mermaid.min.js of npm, which mermaidx ships."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import mermaidx
import numpy as np
import onnx
import pytest
from playwright.sync_api import Browser, Error, Page
from quantised import Net

from axbuild.toolchain.analysis.flowchart import CLASSES, flowchart
from axbuild.toolchain.analysis.rows import AnalysedRow
from axbuild.toolchain.precision.error_sums import ErrorSums
from browser_world import LONG, Opened
from net_workspace import QUANT, net_workspace
from zoo_workspace import Zoo, copy_zoo

MERMAID = Path(mermaidx.__file__).parent / "assets/mermaid.js"
ANALYSIS = """
[[precision_analysis]]
name = "analysis"
quant = ":quant"
"""
DRAW = """async ([text, config]) => {
  window.executed = [];
  for (const name of ['alert', 'confirm', 'prompt', 'open']) window[name] = () => window.executed.push(name);
  mermaid.initialize({startOnLoad: false, ...config});
  document.body.innerHTML = (await mermaid.render('drawn', text)).svg;
}"""
NODES = """() => [...document.querySelectorAll('g.node')].map(node => {
  const shape = getComputedStyle(node.querySelector('rect.label-container, path, .label-container'));
  return [node.id.match(/flowchart-(in\\d+|n\\d+)-/)[1], node.querySelector('.nodeLabel').textContent, shape.fill];
})"""
EDGES = """() => [...document.querySelectorAll('path.flowchart-link')].map(
  edge => edge.id.match(/L_(in\\d+|n\\d+)_(n\\d+)_/).slice(1))"""
CUT_OFF = """() => {
  const all = document.querySelector('svg').getBoundingClientRect();
  return [...document.querySelectorAll('g.node, .flowchartTitleText, .nodeLabel')].filter(one => {
    const own = one.getBoundingClientRect();
    return own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top - 1 || own.bottom > all.bottom + 1;
  }).map(one => one.textContent);
}"""
SPILLED = """() => [...document.querySelectorAll('g.node')].filter(node => {
  const label = node.querySelector('.nodeLabel').getBoundingClientRect();
  const box = node.querySelector('.label-container').getBoundingClientRect();
  return label.left < box.left || label.right > box.right || label.top < box.top || label.bottom > box.bottom;
}).map(node => node.textContent)"""
INKS = """() => [...document.querySelectorAll('g.node:not([id*=flowchart-in]) .nodeLabel')].map(
  label => getComputedStyle(label).color)"""
ACTIVE = """() => [...document.querySelectorAll('svg *')].filter(one =>
  ['script', 'a', 'img', 'iframe', 'object', 'embed', 'image'].includes(one.localName)
  || [...one.attributes].some(has => has.name.startsWith('on') || /javascript:/i.test(has.value) && has.name !== 'id')
).map(one => one.outerHTML)"""

HOSTILE = [
    'a"b', "x]", "y;", "line\nbreak", "tab\there", "two  spaces", "1. list", "- item", "end", "subgraph", "n0", "é日本",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</div><a href='javascript:alert(1)'>go</a>",
    '%%{init: {"securityLevel": "loose"}}%%', '"]:::poor\n  click n0 "javascript:alert(1)"', "n0 --> n1",
    "click n0 href 'javascript:alert(1)'", "style n0 fill:#000", "classDef good fill:#000", "`**bold**`", "#quot;#35;",
    "&lt;b&gt;", "$$x^2$$", "fa:fa-car", "\\u003cb\\u003e", "---\ntitle: other\n---", "http://example.com/a", LONG,
]  # fmt: skip
"""names of nodes and tensors, as nobody forbids them in ONNX"""


@pytest.fixture
def drawn(browser: Browser) -> Iterator[Callable[..., Opened]]:
    pages: list[Page] = []

    def draw(text: str, **config: Any) -> Opened:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        pages.append(page)
        shown = Opened(page)
        page.set_content("<!doctype html><html><body></body></html>")
        page.add_script_tag(path=MERMAID)
        page.on("console", lambda message: shown.said.append(message.text))
        page.on("pageerror", lambda error: shown.said.append(str(error)))
        page.on("request", lambda request: shown.asked.append(request.url))
        page.evaluate(DRAW, [text, config])
        return shown

    yield draw
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of what was analysed: two nets of the zoo, and one whose names are HOSTILE."""
    room = tmp_path_factory.mktemp("graphs")
    zoo = Zoo(copy_zoo(room / "zoo"), room / "cache")
    with (zoo.root / "mobilenet/BUILD.toml").open("a") as file:
        file.write(ANALYSIS)
    zoo.build("//digits:analysis", "//mobilenet:analysis")
    samples = [np.random.default_rng(0).standard_normal((1, 4, 6, 6)).astype(np.float32)]
    hostile = net_workspace(room / "hostile", QUANT + ANALYSIS, _hostile_net(), samples)
    hostile.build("//m:analysis")
    roots = {"digits": zoo, "mobilenet": zoo, "m": hostile}
    return {name: one.root / f"axbuild-out/{name}/analysis" for name, one in roots.items()}


def _hostile_net() -> onnx.ModelProto:
    """A chain of convolutions, a node and a tensor of each name."""
    net = Net(1, 4, 6, 6)
    names = ["x", *(f"t{number}" for number in range(len(HOSTILE) - 1)), "y"]
    for source, target in pairwise(names):
        net.conv(source, target, 4, 4, 3, pads=[1, 1, 1, 1])
    model = net.model("y")
    renamed = dict(zip(names[1:], HOSTILE, strict=True))
    for node in model.graph.node:
        node.name = renamed[node.output[0]]
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed[name] for name in node.output]
    model.graph.output[0].name = renamed["y"]
    del model.graph.value_info[:]
    return model


def shown_text(label: str) -> str:
    """Without what has no width; lines are no text of a label."""
    return label.replace("\u200b", "")


def told(rows: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Of each row, by its node: what it is to say, and its colour, as a browser puts it."""
    found = {}
    for number, row in enumerate(rows):
        cosine = row["cosine"]
        style = next(style for _, least, style in CLASSES if cosine is not None and cosine >= least)
        red, green, blue = bytes.fromhex(style[len("fill:#") :][:6])
        label = f"{row['operator']}{row['type']}{cosine:.5f}".replace("\n", "")
        found[f"n{number}"] = (label, f"rgb({red}, {green}, {blue})")
    return found


@pytest.mark.parametrize("level", ["strict", "loose"])
@pytest.mark.parametrize("net", ["digits", "mobilenet", "m"])
def test_a_graph_has_the_rows_of_its_json_their_colours_and_their_edges_and_nothing_is_active(
    analyses, drawn, net, level
):
    rows = json.loads((analyses[net] / "precision_analysis.json").read_text())["rows"]
    shown = drawn((analyses[net] / "precision_analysis.mmd").read_text(), securityLevel=level)
    page = shown.page
    nodes = {number: (shown_text(label), fill) for number, label, fill in page.evaluate(NODES)}
    (first,) = {name for row in rows for name in row["reads"]} - {row["name"] for row in rows}
    assert nodes.pop("in0")[0] == first
    assert nodes == told(rows)
    numbers = {first: "in0"} | {row["name"]: f"n{number}" for number, row in enumerate(rows)}
    edges = sorted([numbers[name], numbers[row["name"]]] for row in rows for name in row["reads"])
    assert sorted(page.evaluate(EDGES)) == edges
    assert page.text_content(".flowchartTitleText").endswith("green from 0.999, yellow from 0.99, red below")
    for check in (CUT_OFF, SPILLED, ACTIVE):
        assert page.evaluate(check) == []
    assert page.evaluate("window.executed") == []
    assert (shown.said, shown.asked) == ([], [])


def test_the_hostile_names_are_those_of_the_rows(analyses):
    rows = json.loads((analyses["m"] / "precision_analysis.json").read_text())["rows"]
    ends = [*HOSTILE[:-1], f"{LONG}_DequantizeLinear"]
    assert [row["operator"] for row in rows] == ends


def test_a_large_graph_is_drawn_where_mermaid_is_told_what_its_last_line_says(drawn):
    rows = [_row(number, [one for one in (number - 1, number - 3) if one >= 0]) for number in range(280)]
    text = flowchart("PerLayer Reference", rows)
    letters, edges = map(int, re.findall(r"maxTextSize (\d+), maxEdges (\d+)$", text.rstrip())[0])
    with pytest.raises(Error, match="Edge limit exceeded"):
        drawn(text)
    page = drawn(text, maxTextSize=letters, maxEdges=edges).page
    assert len(page.evaluate(NODES)) == 280
    assert len(page.evaluate(EDGES)) == edges


def _row(number: int, reads: list[int]) -> AnalysedRow:
    kind, shape = "AxQuantizedConv", (1, 4)
    names = tuple(map(str, reads))
    sums = ErrorSums(1, 1.0, 0.0, 0.0, 0.0)
    return AnalysedRow(f"layer_{number}", kind, f"{number}", "t", shape, "U8", (), names, False, sums, 0.25)


@pytest.mark.parametrize("scheme", ["default", "dark", "forest"])
def test_a_row_is_read_on_its_colour_whatever_the_theme(analyses, drawn, scheme):
    page = drawn((analyses["digits"] / "precision_analysis.mmd").read_text(), theme=scheme).page
    assert set(page.evaluate(INKS)) == {"rgb(27, 27, 27)"}
