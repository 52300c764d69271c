"""Where the time of a program goes: the trace, the rows of operators, the memory map and the page."""

from __future__ import annotations

import csv
import io
import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from nets import branchy, grid, mobilenet_v2, stack
from npu_world import chip_of, one_kind

from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.compile import compile_net, report
from axbuild.toolchain.npu.net import net_of
from axbuild.toolchain.npu.profile.layers import layer_profiles, table
from axbuild.toolchain.npu.profile.occupied import blocks
from axbuild.toolchain.npu.profile.pictures import HEIGHT, TOP, memory_map, peak_macs, roofline
from axbuild.toolchain.npu.profile.profile import page, summary
from axbuild.toolchain.npu.profile.trace import COLOURS, trace
from axbuild.toolchain.page import table_of as page_table

AX650 = chip_of("AX650", "NPU1")


def made(model, chip=AX650):
    net = net_of(model)
    program, _ = compile_net(net, chip)
    return program, report(program, net, chip)


@pytest.fixture(scope="module")
def mobilenet():
    return made(mobilenet_v2(96, 100))


def layers_of(program, found, chip=AX650):
    return layer_profiles(program, chip, found["ops"], {})


def test_a_trace_is_as_long_as_the_estimate_and_no_engine_does_two_things_at_once(mobilenet):
    program, _ = mobilenet
    found = trace(program, "subgraph_npu_0", {})
    events = found["traceEvents"]
    assert found["displayTimeUnit"] == "ns"
    assert [event["args"]["index"] for event in events] == [job.index for job in program.jobs]
    assert round(max(event["ts"] + event["dur"] for event in events) * 1000) == program.max_cycle
    assert {(event["ph"], event["pid"]) for event in events} == {("X", "subgraph_npu_0")}
    for engine in program.engines:
        lane = sorted((e["args"]["starts"], e["args"]["dur"]) for e in events if e["tid"] == engine)
        assert all(start + duration <= later for (start, duration), (later, _) in pairwise(lane))


def test_dependencies_stand_in_both_directions_and_are_over_before(mobilenet):
    program, _ = mobilenet
    events = trace(program, "s", {})["traceEvents"]
    for job, event in zip(program.jobs, events, strict=True):
        assert event["cat"] == ",".join(events[dep]["name"] for dep in job.deps)
        for dep in job.deps:
            assert job.label in events[dep]["args"]["dep_by"]
            before = events[dep]["args"]
            assert before["starts"] + before["dur"] <= event["args"]["starts"]


def test_an_event_has_the_documented_fields_and_the_name_that_users_know(mobilenet):
    program, found = mobilenet
    makes = {layer.op: f"user/{layer.makes}" for layer in layers_of(program, found)}
    events = trace(program, "s", makes)["traceEvents"]
    documented = {"label", "inputs", "outputs", "cname", "dur", "starts", "index", "dep_by"}
    for job, event in zip(program.jobs, events, strict=True):
        assert event.keys() - {"cname"} == {"ph", "pid", "tid", "name", "cat", "ts", "dur", "args"}
        assert event["args"].keys() == documented | {"op", "makes"}
        assert event["args"]["label"] == event["name"]
        assert event["args"]["makes"] == makes[job.op]
        assert (event["ts"] * 1000, event["dur"] * 1000) == pytest.approx((job.start, job.duration))


def test_labels_say_direction_slice_operator_and_tile_and_are_each_there_once(mobilenet):
    program, _ = mobilenet
    for job in program.jobs:
        found = re.fullmatch(r"(ld:|st:|)([^\[]+)\[[\d:,]+\]_(\d+)_(\d+)", job.label)
        assert found, job.label
        assert (found[1], job.op) == (job.cname[:3], f"op_{found[3]}")
        assert job.cname or found[2] == job.op
    assert len({job.label for job in program.jobs}) == len(program.jobs)


def test_what_moves_has_its_colour_and_every_operand_its_bytes(mobilenet):
    program, _ = mobilenet
    events = trace(program, "s", {})["traceEvents"]
    assert {event["args"]["cname"]: event.get("cname") for event in events} == {
        "": None,
        **{name: COLOURS[name] for name in ("ld:input", "ld:param", "st:output")},
    }
    loads = [event for event in events if event["args"]["cname"] == "ld:param"]
    assert all(" - params/" in event["args"]["inputs"] for event in loads)
    assert all(" - ocm_base:[" in event["args"]["outputs"] for event in loads)


def test_rows_of_operators_sum_to_the_program(mobilenet):
    program, found = mobilenet
    layers = layers_of(program, found)
    assert sum(layer.macs for layer in layers) == program.macs > 0
    assert sum(layer.ddr_bytes for layer in layers) == sum(found["ddr_bytes"].values())
    assert sum(layer.jobs for layer in layers) == len(program.jobs)
    assert sum(layer.busy for layer in layers) == sum(job.duration for job in program.jobs if not job.cname)
    rows = list(csv.DictReader(io.StringIO(table(layers))))
    assert [row["op"] for row in rows] == [layer.op for layer in layers]
    assert {row["engine"] for row in rows} == {"conv", "teng"}


def test_a_layer_is_bound_by_what_takes_longer():
    program, found = made(stack(512, 32, 2))
    wide = [layer for layer in layers_of(program, found) if layer.macs]
    assert {layer.bound for layer in wide} == {"arithmetic"}
    assert all(layer.macs_per_cycle == pytest.approx(peak_macs(AX650), rel=0.1) for layer in wide)
    own = grid(0.1, 0)
    small, said = made(one_kind(Table.of("Square", lambda x: x * x, own, own), ((1, 8, 64, 64),)))
    (layer,) = layers_of(small, said)
    assert (layer.bound, layer.macs, layer.ddr_bytes) == ("DDR", 0, 2 * 8 * 64 * 64 + 256)
    assert layer.ddr_cycles == round(layer.ddr_bytes / 21.33)


def test_names_are_those_of_the_quantised_model():
    program, found = made(stack(32, 8, 2))
    names = {operand.tensor: "user/" + operand.tensor for job in program.jobs for operand in job.outputs}
    layers = layer_profiles(program, AX650, found["ops"], names)
    assert all(layer.makes.startswith("user/") for layer in layers)


@pytest.mark.parametrize("seed", range(12))
def test_no_byte_on_chip_holds_two_tensors_at_once(seed):
    program, _ = made(branchy(seed)[0])
    found = blocks(program)
    assert len(found) > 3
    for number, one in enumerate(found):
        assert one.begin < one.end <= AX650.ocm_bytes
        assert one.start < one.stop <= program.max_cycle
        for other in found[number + 1 :]:
            bytes_meet = one.begin < other.end and other.begin < one.end
            times_meet = one.start < other.stop and other.start < one.stop
            assert not (bytes_meet and times_meet) or one.tensor == other.tensor


def test_a_block_lives_until_its_last_reader_is_done():
    program, _ = made(stack(32, 8, 3))
    found = {block.tensor: block for block in blocks(program) if not block.constant}
    readers = {}
    for job in program.jobs:
        for operand in job.inputs:
            readers[operand.tensor] = max(readers.get(operand.tensor, 0), job.start + job.duration)
    assert found.keys() & readers.keys()
    for name in found.keys() & readers.keys():
        last = max(block.stop for block in blocks(program) if block.tensor == name)
        assert last == readers[name]


def test_pictures_are_well_formed_and_escape_names(mobilenet):
    program, found = mobilenet
    evil = {operand.tensor: '<script>"&' for job in program.jobs for operand in job.outputs}
    layers = layer_profiles(program, AX650, found["ops"], evil)
    drawn = ET.fromstring(memory_map(blocks(program), program.max_cycle, AX650.ocm_bytes))
    assert sum(node.tag == "rect" for node in drawn.iter()) == len(blocks(program))
    points = [node for node in ET.fromstring(roofline(layers, AX650)).iter() if node.tag == "circle"]
    assert len(points) == sum(layer.macs > 0 for layer in layers)
    text = page("s", program, summary(found, AX650), layers, AX650)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_the_memory_map_is_as_tall_as_what_is_used_and_says_how_much_that_is(mobilenet):
    program, found = mobilenet
    text = page("s", program, summary(found, AX650), layers_of(program, found), AX650)
    drawn = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    bottoms = [float(r.get("y")) + float(r.get("height")) for r in drawn.iter("rect")]
    assert max(bottoms) == pytest.approx(TOP + HEIGHT, abs=0.2)
    ticks = [node.text for node in drawn.iter("text")]
    assert f"{round(found['ocm_peak'] / 1024, 1):,g} KiB" in ticks


def test_names_stand_left_and_figures_right():
    text = page_table(("makes", "cycles", "bound"), [("a<b", "1,024", "DDR")], words=(2,))
    cells = '<td class="word name">a&lt;b</td><td class="figure">1,024</td><td class="word">DDR</td>'
    assert f"<tr>{cells}</tr>" in text


def test_no_layer_is_above_the_roof(mobilenet):
    for layer in layers_of(*mobilenet):
        if layer.macs:
            roof = min(peak_macs(AX650), layer.macs_per_byte * AX650.ddr_bytes)
            assert layer.macs_per_cycle <= roof * 1.01 or math.isinf(roof)


def test_a_summary_says_how_busy_everything_is(mobilenet):
    program, found = mobilenet
    said = summary(found, AX650)
    for engine, share in said["utilisation"].items():
        busy = sum(job.duration for job in program.jobs if job.engine == engine)
        assert share == busy / program.max_cycle <= 1
    assert said["ddr_utilisation"] <= 1
    assert (said["max_cycle"], said["ocm_bytes"]) == (program.max_cycle, AX650.ocm_bytes)


def test_a_program_without_products_has_a_page_too():
    own = grid(0.1, 0)
    program, found = made(one_kind(Table.of("Square", lambda x: x * x, own, own), ((1, 8, 8, 8),)))
    text = page("s", program, summary(found, AX650), layers_of(program, found), AX650)
    assert "bound by" in text
