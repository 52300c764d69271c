"""The cost model: who runs when, what setting up costs, and how movers share the DDR."""

from __future__ import annotations

from dataclasses import replace

import pytest
from npu_world import CHIPS, chip, chip_of

from axbuild.toolchain.npu.chips.table import ChipError
from axbuild.toolchain.npu.layout.draft import Draft
from axbuild.toolchain.npu.layout.schedule import Scheduler, jobs_of


def draft(index: int, classes: tuple[str, ...], cycles: float, deps=(), *, op="op", position=0, ddr=0) -> Draft:
    copy = {"ddr_bytes": ddr, "copies": bool(ddr)}
    return Draft(index, f"j{index}", op, position, classes, "copy", "move", "", (), (), tuple(deps), cycles, **copy)


def spans(drafts: list[Draft], on=None) -> list[tuple[str, int, int]]:
    jobs = jobs_of(drafts, Scheduler(drafts, on or chip()).run())
    return [(job.engine, job.start, job.start + job.duration) for job in jobs]


def test_an_operator_is_set_up_once_an_engine_however_many_jobs_it_has():
    whole = spans([draft(0, ("conv",), 4000), draft(1, ("conv",), 4000)])
    finer = spans([draft(i, ("conv",), 1000) for i in range(8)])
    assert whole == [("conv0", 0, 5000), ("conv1", 0, 5000)]
    assert max(end for _, _, end in finer) == 5000


def test_the_next_operator_is_set_up_anew():
    jobs = [draft(0, ("teng",), 64, op="a"), draft(1, ("teng",), 64, op="b", position=1)]
    assert spans(jobs) == [("teng2", 0, 1064), ("teng2", 1064, 2128)]


def test_a_job_starts_when_all_it_waits_for_has_ended():
    jobs = [draft(0, ("conv",), 100), draft(1, ("conv",), 500), draft(2, ("teng",), 10, (0, 1))]
    assert spans(jobs)[2] == ("teng2", 1500, 2510)


def test_two_movers_share_the_ddr_and_take_no_setting_up():
    assert spans([draft(0, ("cv", "sdma"), 100, ddr=1067)]) == [("cv3", 0, 100)]
    both = spans([draft(i, ("cv", "sdma"), 100, ddr=1067) for i in range(2)])
    assert both == [("cv3", 0, 100), ("sdma4", 0, 101)]


def test_a_bandwidth_limit_slows_what_moves_through_the_ddr():
    slow = chip_of("AX650", "NPU1", ddr_bw_limit=10.0)
    both = spans([draft(i, ("cv", "sdma"), 100, ddr=1067) for i in range(2)], slow)
    assert [end for _, _, end in both] == [107, 214]


def test_movers_of_three_groups_are_capped_by_one_ddr():
    jobs = [draft(i, ("cv", "sdma"), 1000, ddr=10670) for i in range(6)]
    ends = sorted(end for _, _, end in spans(jobs, chip(mode="NPU3")))
    assert ends[0] == 1000
    assert ends[-1] == pytest.approx(6 * 10670 / 21.33, abs=2)


def test_the_most_urgent_ready_job_goes_first():
    jobs = [draft(0, ("sdma",), 10, position=5, ddr=1), draft(1, ("sdma",), 10, position=2, ddr=1)]
    assert spans(jobs) == [("sdma4", 10, 20), ("sdma4", 0, 10)]


def test_an_unknown_mode_names_what_there_is():
    with pytest.raises(ChipError, match="AX650 has no npu_mode 'NPU9'") as caught:
        chip_of("AX650N", "NPU9")
    assert caught.value.hint == "known: NPU1, NPU2, NPU3"
    with pytest.raises(ChipError, match="no figures about its NPU are public"):
        chip_of("AX8860", "NPU1")


def test_every_preset_can_be_read_and_shares_its_engines_out():
    for name, mode in [(name, mode) for name, file in CHIPS.items() for mode in file.modes]:
        preset = chip_of(name, mode)
        assert preset.param_bytes < preset.ocm_bytes
        rates = preset.job_rates("conv")
        assert rates.convs == 1
        assert rates.ocm_port_bytes * preset.count("conv") <= preset.rates.ocm_port_bytes


def test_three_groups_have_three_times_the_engines_and_one_ddr():
    one, three = chip_of("AX650", "NPU1"), chip_of("AX650", "NPU3")
    assert [three.count(c) for c in ("conv", "teng", "cv", "sdma")] == [6, 3, 3, 3]
    assert [e.name for e in one.engines] == ["conv0", "conv1", "teng2", "cv3", "sdma4"]
    assert three.job_rates("teng") == replace(one.job_rates("teng"), ocm_port_bytes=256)
    assert three.ddr_bytes == one.ddr_bytes
