"""Dynamic batches: they double from 1, and stop where a sample takes no fewer cycles or the limit is passed."""

from __future__ import annotations

import json

import pytest
from npu_world import CHIPS

from axbuild.toolchain.axmodel.dynamic import DynamicParams, chosen, dynamic_batches
from axmodel_world import lay


@pytest.mark.parametrize(
    ("each", "limit", "batches", "tried"),
    [
        ([10, 9, 8, 7, 6], 4, [1, 2, 4], [1, 2, 4]),
        ([10, 9, 8, 7, 6], 6, [1, 2, 4], [1, 2, 4]),
        ([10, 9, 8, 7, 6], 8, [1, 2, 4, 8], [1, 2, 4, 8]),
        ([10, 9, 9.5, 1, 1], 16, [1, 2], [1, 2, 4]),
        ([10, 10, 1], 4, [1], [1, 2]),
        ([10, 11, 1], 4, [1], [1, 2]),
        ([10, 9], 1, [1], [1]),
    ],
)
def test_batches_double_while_a_sample_takes_less(each, limit, batches, tried):
    """each: cycles a sample at batch 1, 2, 4 .."""
    found, cycles = chosen(lambda batch: round(batch * each[batch.bit_length() - 1]), limit)
    assert found == batches
    assert list(cycles) == tried


def test_what_is_chosen_follows_from_the_estimates_of_all_subgraphs(tmp_path, recwarn):
    partition, programs = lay(tmp_path, batches=(1, 2, 4, 8))
    preset = CHIPS["AX650"].preset("NPU1")
    dynamic_batches(partition, tmp_path, params=DynamicParams(preset, 8))
    found = json.loads((tmp_path / "batches.json").read_text())
    cycles = {}
    for batch in (1, 2, 4, 8):
        reports = [
            json.loads((programs / name / f"b{batch}/report.json").read_text())
            for name in ("subgraph_npu_0", "subgraph_npu_1")
        ]
        cycles[str(batch)] = sum(report["max_cycle"] for report in reports)
    assert found == {"batches": [1, 2, 4, 8], "cycles": cycles}
    (said,) = [str(one.message) for one in recwarn]
    assert "batches 1, 2, 4, 8 of at most 8; estimated cycles a sample: " in said
    assert f"{cycles['4'] / 4:,.0f} at 4" in said
