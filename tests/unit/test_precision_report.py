"""The report of which layers hurt: the order, the rule against each, and the page that needs nothing beside itself."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from tune_net import residual_net

from axbuild.errors import AxNote
from axbuild.toolchain.precision.effects import Effects, EffectsError, EffectsParams, LayerEffect, effects
from axbuild.toolchain.precision.error_sums import ErrorSums
from axbuild.toolchain.precision.layers import layers_in, worst
from axbuild.toolchain.precision.measure import MeasureParams, measure
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams, measure_edges
from axbuild.toolchain.precision.measured_edges import MeasuredEdge
from axbuild.toolchain.precision.page import chart, page
from axbuild.toolchain.precision.parts import ErrorParts
from axbuild.toolchain.precision.report import ReportParams, report, table_of
from precision_world import INPUTS, PrecisionWorld

READING, WEIGHT, WRITING = ErrorParts(0.9, 0.1, 0.0), ErrorParts(0.1, 0.8, 0.1), ErrorParts(0.1, 0.1, 0.8)


def edge(site, kind="U8", local=None, clipped=0.0):
    alone = local or ErrorSums(10, 100.0, 0.0, 0.1, 0.2)
    whole = ErrorSums(10, 100.0, 0.0, 1.0, 0.5)
    return MeasuredEdge(site, site, (site,), site, ("Conv", "Relu"), (site,), kind, 0.1, 0, whole, alone, clipped)


def layers(*rows):
    """(site, noise at the output, parts, readers) each"""
    found = {site: LayerEffect((share,), parts, readers) for site, share, parts, readers in rows}
    return layers_in([edge(site) for site in found], Effects(4, ("y",), found))


def test_the_layer_that_does_most_to_the_outputs_comes_first():
    found = layers(("a", 0.01, READING, ()), ("b", 0.03, READING, ()), ("c", 0.0, READING, ()))
    assert [layer.name for layer in found] == ["a", "b", "c"], "in the order of the net"
    assert [(layer.name, layer.part) for layer in worst(found, 5)] == [("b", 0.75), ("a", 0.25)]
    assert found[1].output_db == pytest.approx(15.2288, abs=1e-3)
    assert (found[0].accumulated_db, found[0].local_db) == (20.0, pytest.approx(30.0))


@pytest.mark.parametrize(
    ("parts", "readers", "rule"),
    [
        (READING, ("next",), '{ layer_name = "a", data_type = "U16" }'),
        (WEIGHT, ("next",), '{ layer_name = "a", weight_data_type = "S16" }'),
        (WRITING, ("next", "add"), '{ layer_names = ["next", "add"], data_type = "U16" }'),
        (WRITING, (), '{ layer_name = "a", data_type = "U16" }'),
    ],
)
def test_the_rule_is_against_the_largest_part_of_the_error(parts, readers, rule):
    assert layers(("a", 0.1, parts, readers))[0].rule == rule


def test_what_is_written_in_16_bits_needs_no_rule_for_it():
    effect = {"a": LayerEffect((0.1,), WRITING, ("b",))}
    (layer,) = layers_in([edge("a", "S16")], Effects(4, ("y",), effect))
    assert layer.rule == ""


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.links += [value for key, value in attributes if key in ("src", "href")]
        if tag not in ("meta", "line", "polyline", "circle", "rect", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


ODD = '<script>alert("1")</script> & co'


def test_the_page_is_one_file_in_which_names_are_text():
    found = layers((ODD, 0.1, READING, ()), ("b", 0.2, WEIGHT, ()))
    text = page(ODD, [f"one {ODD}"], found, worst(found, 1))
    reader = Reader()
    reader.feed(text)
    assert "script" not in reader.seen
    assert reader.links == []
    assert "http" not in text
    assert reader.text.count(ODD) >= 2
    assert text.count("<table>") == 2
    assert "layer_name = &quot;b&quot;, weight_data_type = &quot;S16&quot;" in text


def test_the_chart_has_a_point_a_layer_on_both_lines_and_takes_what_is_no_number():
    found = layers(("a", 0.1, READING, ()), ("b", 0.3, READING, ()), ("c", 0.0, READING, ()))
    odd = [replace(found[0], accumulated_db=math.nan), replace(found[1], local_db=math.inf), found[2]]
    text = chart(odd)
    assert text.count('<circle class="whole"') == 2
    assert text.count('<circle class="alone"') == 3
    assert text.count('class="part"') == 2
    assert "nan" not in text.replace("quantised", "")
    assert "inf" not in text


def test_the_chart_says_which_layer_it_is_and_what_a_bar_means():
    text = chart(layers(*((f"n{number}", 0.1, READING, ()) for number in range(45))))
    assert re.findall(r'text-anchor="middle">(\d+)<', text) == ["1", "11", "21", "31", "41"]
    assert re.findall(r'class="share"[^>]*>([^<]+)<', text) == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    ElementTree.fromstring(text)


def test_few_layers_share_the_width_and_each_has_its_number():
    text = chart(layers(*((f"n{number}", 0.1, READING, ()) for number in range(12))))
    assert re.findall(r'text-anchor="middle">(\d+)<', text) == [str(number) for number in range(1, 13)]
    hits = re.findall(r'class="hit" x="(\d+)" y="\d+" width="(\d+)"', text)
    assert hits == [(str(44 + 48 * place), "48") for place in range(12)]


def test_a_net_without_layers_has_a_page_too():
    assert "<svg" in page("empty", [], [], [])
    assert table_of([]) == []


def test_the_stage_writes_text_json_and_page_and_says_the_worst(tmp_path):
    net = residual_net()
    world = PrecisionWorld.of(tmp_path, net.model("y"), net.samples(4))
    files = (world.float_file, world.quantised_file)
    measure(*files, world.samples, [], tmp_path, params=MeasureParams(INPUTS))
    measure_edges(*files, world.samples, tmp_path, params=MeasureEdgesParams(INPUTS, 8))
    effects(*files, world.samples, tmp_path, params=EffectsParams(INPUTS))
    with pytest.warns(AxNote) as said:
        report(
            tmp_path / "precision.json",
            tmp_path / "edges.json",
            tmp_path / "effects.json",
            tmp_path,
            params=ReportParams("Precision of //:x", 2),
        )
    text = (tmp_path / "precision_report.txt").read_text().splitlines()
    assert [one.message.sentence for one in said] == [line for line in text if line]
    assert text[0].startswith("Outputs: lowest cosine 0.99")
    assert text[1].endswith("of the noise at the outputs; edges were compared on 4 samples.")
    assert sum("layer_configs = [{" in line for line in text) == 2
    content = json.loads((tmp_path / "precision_report.json").read_text())
    assert [layer["name"] for layer in content["layers"]] == ["first", "wide", "narrow", "sum", "y"]
    assert sum(layer["part"] for layer in content["layers"]) == pytest.approx(1.0)
    assert "<h1>Precision of //:x</h1>" in (tmp_path / "precision_report.html").read_text()


def test_effects_of_another_format_are_refused(tmp_path):
    (tmp_path / "effects.json").write_text('{"format": "axbuild-effects/0"}')
    with pytest.raises(EffectsError, match="AX473"):
        Effects.read(tmp_path / "effects.json")
