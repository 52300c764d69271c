"""What the end of a build says of a compiled model, and of schedules that were made better."""

import json

from axbuild.toolchain.axmodel.columns import Column
from axbuild.toolchain.axmodel.facts import gains, notes
from axbuild.toolchain.npu.plan.record import NPU, Partition, PlacedNode, PlannedSubgraph


def step(name: str, trials: int, cycles: int, swap_bytes: int) -> dict[str, object]:
    return {"name": name, "trials": trials, "cycles": cycles, "swap_bytes": swap_bytes}


def test_a_build_ends_with_cycles_and_macs_of_each_batch(tmp_path):
    parts = [PlannedSubgraph(f"subgraph_npu_{n}", NPU, (), (), (PlacedNode(f"conv_{n}", "Conv"),)) for n in range(2)]
    for part in parts:
        for batch in (1, 2):
            folder = tmp_path / part.name / f"b{batch}"
            folder.mkdir(parents=True)
            figures = {"max_cycle": 1000 * batch, "clock_mhz": 1000, "least_cycles": 900 * batch, "macs": 5000 * batch}
            (folder / "report.json").write_text(json.dumps(figures | {"schedule": [step("start", 1, 1000, 0)]}))
    planned = Partition("AX650", (), (), (), tuple(parts))
    told = list(notes([Column(0, tmp_path, tmp_path, planned, (1, 2))], 1_500_000, "AX650 NPU1"))
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


def test_what_was_not_tried_is_not_told():
    assert list(gains([[step("start", 1, 1000, 0)]])) == []
    assert list(gains([])) == []
