"""The end of a build says what matters of an axmodel, and a precision check judges the quantised model."""

from __future__ import annotations

import json

import pytest

from zoo_workspace import Zoo, copy_zoo

CHECK = """
[[precision_check]]
name = "precision"
quant = ":axmodel"
min_cosine = 0.9
min_agreement = 0.5
"""
TARGETS = ("//digits:axmodel", "//digits:precision")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("precision")
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache")
    build = zoo.root / "digits" / "BUILD.toml"
    build.write_text(build.read_text() + CHECK)
    return zoo


def test_the_end_says_size_estimate_placement_and_precision_each_time(zoo: Zoo) -> None:
    first = zoo.build(*TARGETS).out.splitlines()
    notes = [line for line in first if line.startswith("  ") and not line.startswith(("  axbuild-out", "   "))]
    asked, *notes = notes
    assert asked.startswith("  input 'image' is U8 [1, 28, 28, 1] NHWC GRAY at run time")
    assert notes[0] == "  0.1 MB for AX650 NPU1; a simulated program, not for real hardware"
    report = json.loads((zoo.root / "axbuild-out/digits/axmodel/compiler/subgraph_npu_0/b1/report.json").read_text())
    cycles = report["max_cycle"]
    estimate = (
        f"  estimate at batch 1: {cycles:,} cycles, {cycles / 1e6:.3g} ms on the NPU for {report['macs']:,} MACs; "
    )
    assert notes[1].startswith(estimate)
    assert notes[2].endswith(" operators run on the NPU")
    verdict = json.loads((zoo.root / "axbuild-out/digits/precision/verdict.json").read_text())
    assert notes[3] == f"  against the float model: {verdict['sentence']}"
    assert verdict["sentence"].startswith("lowest cosine 0.9")
    assert len(notes) == 4
    again = zoo.build(*TARGETS)
    assert again.executed == []
    assert [line for line in again.out.splitlines() if line in notes] == notes
    assert "warning AX472: 32 of 32 samples calibrated the model as well: the figures may flatter it" in again.err
    assert again.err.count("warning") == 1, "what is said at the end is none"


def test_a_limit_reruns_the_judgement_alone_and_can_fail(zoo: Zoo) -> None:
    zoo.build(*TARGETS)
    with zoo.edited("digits/BUILD.toml", "min_cosine = 0.9\nmin", "min_cosine = 1.0\nmin"):
        done = zoo.run("test", "//digits:precision")
    assert done.code == 1
    assert done.executed == ["judge"]
    assert "below 1" in done.err
