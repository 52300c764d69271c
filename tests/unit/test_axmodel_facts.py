"""What the end of a build says of a compiled model, and of schedules that were made better."""

import json

from axbuild.toolchain.axmodel.columns import Column
from axbuild.toolchain.axmodel.facts import gains, notes
from axbuild.toolchain.npu.plan.record import NPU, Partition, PlacedNode, PlannedSubgraph


def step(name: str, trials: int, cycles: int, swap_bytes: int) -> dict[str, object]:
    return {"name": name, "trials": trials, "cycles": cycles, "swap_bytes": swap_bytes}


def planned_part(number: int, *, together: bool, sub_config: int | None = None) -> PlannedSubgraph:
    nodes = (PlacedNode(f"conv_{number}", "Conv"),)
    return PlannedSubgraph(f"subgraph_npu_{number}", NPU, (), (), nodes, together, sub_config=sub_config)


def report(programs, part: PlannedSubgraph, batch: int) -> None:
    folder, size = programs / part.name / f"b{batch}", part.batch_of(batch)
    folder.mkdir(parents=True)
    figures = {"max_cycle": 1000 * size, "clock_mhz": 1000, "least_cycles": 900 * size, "macs": 5000 * size}
    stages = {"operators": 1, "tiles": 1, "after_ddr_swap": 1, "jobs": 1}
    (folder / "report.json").write_text(
        json.dumps(figures | {"schedule": [step("start", 1, 1000, 0)], "stages": stages})
    )


def said(programs, parts, *batches) -> list[str]:
    planned = Partition("AX650", (), (), (), tuple(parts))
    own = {part.name: of for part, of in zip(parts, batches, strict=True)}
    return list(notes([Column(0, programs, programs, planned, own)], 1_500_000, "AX650 NPU1"))


def test_a_part_with_fewer_batches_runs_several_times_in_an_estimate(tmp_path):
    parts = [planned_part(0, together=True), planned_part(1, together=True, sub_config=0)]
    for part, batch in ((parts[0], 1), (parts[0], 4), (parts[1], 2)):
        report(tmp_path, part, batch)
    told = said(tmp_path, parts, (1, 4), (2,))
    assert [line.partition(" cycles")[0] for line in told[1:4]] == [
        "estimate at batch 1: 3,000",  # the part fills up its two
        "estimate at batch 2: 4,000",
        "estimate at batch 4: 8,000",
    ]
    assert told[5].startswith("subgraph_npu_1 (sub_configs[0]): 2,000 cycles at batch 2; ")


def test_what_runs_one_by_one_is_estimated_as_often_as_it_runs(tmp_path):
    part = planned_part(0, together=False)
    for batch in (1, 2):
        report(tmp_path, part, batch)
    assert [line.partition(" cycles")[0] for line in said(tmp_path, [part], (1, 2))[1:3]] == [
        "estimate at batch 1: 1,000",
        "estimate at batch 2: 2,000",
    ]


def test_a_build_ends_with_cycles_and_macs_of_each_batch(tmp_path):
    parts = [planned_part(n, together=True) for n in range(2)]
    for part in parts:
        for batch in (1, 2):
            report(tmp_path, part, batch)
    told = said(tmp_path, parts, (1, 2), (1, 2))
    assert told[0] == "1.5 MB for AX650 NPU1; a simulated program, not for real hardware"
    estimate = "cycles, {} ms on the NPU for {} MACs; no schedule takes fewer cycles than {}"
    assert told[1] == "estimate at batch 1: 2,000 " + estimate.format("0.002", "10,000", "1,800")
    assert told[2] == "estimate at batch 2: 4,000 " + estimate.format("0.004", "20,000", "3,600")


def test_each_mode_and_the_search_say_what_they_won_over_all_subgraphs():
    first = [step("start", 2, 1000, 64), step("slice", 3, 900, 0), step("tile", 1, 900, 0), step("search", 32, 850, 0)]
    other = [
        step("start", 1, 500, 36),
        step("slice", 0, 500, 36),
        step("tile", 0, 500, 36),
        step("search", 32, 499, 36),
    ]
    assert list(gains([first, other])) == [
        "slice mode: 1,500 -> 1,400 cycles, 100 -> 36 bytes swapped, the best of 3 layouts",
        "tile mode: nothing better in 1 layout",
        "searched: 1,400 -> 1,349 cycles, 36 -> 36 bytes swapped, the best of 64 layouts",
    ]


def test_what_groups_cost_is_told_as_it_is():
    asked = [step("start", 2, 1000, 0), step("groups", 3, 1200, 64), step("slice", 1, 1200, 64)]
    assert list(gains([asked])) == [
        "group patterns: 1,000 -> 1,200 cycles, 0 -> 64 bytes swapped",
        "slice mode: nothing better in 1 layout",
    ]


def test_what_was_not_tried_is_not_told():
    assert list(gains([[step("start", 1, 1000, 0)]])) == []
    assert list(gains([])) == []
