"""Recurrent layers and what else stays on the CPU: built, with the reason said, and equal to the reference."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.ops.host import REASONS
from chain_world import run_chain
from frontend_world import model, node, normal

STATE = "has no integer form: its state goes from step to step, where roundings to codes would add up: it stays in"


def tagger(cell: str, gates: int):
    """Tokens of [1, 6, 8] -> a recurrent layer in both directions -> five tags a token."""
    nodes = [
        node("MatMul", ["x", "embed"], ["e"], name="embed"),
        node("Relu", ["e"], ["bent"], name="bent"),
        node("Transpose", ["bent"], ["t"], name="time_first", perm=[1, 0, 2]),
        node(cell, ["t", "w", "r", "b"], ["h"], name="cell", hidden_size=4, direction="bidirectional"),
        node("Transpose", ["h"], ["s"], name="sides", perm=[2, 0, 1, 3]),
        node("Reshape", ["s", "joined"], ["j"], name="joined_"),
        node("MatMul", ["j", "tags"], ["y"], name="tags_"),
    ]
    weights = {
        "embed": normal(8, 8),
        "w": normal(2, 4 * gates, 8) / 3,
        "r": normal(2, 4 * gates, 4) / 2,
        "b": normal(2, 8 * gates) / 4,
        "joined": np.array([1, 6, 8]),
        "tags": normal(8, 5),
    }
    return model(nodes, weights, inputs=(("x", [1, 6, 8]),))


@pytest.mark.parametrize(("cell", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_tagger_runs_its_layers_on_the_npu_and_its_cell_on_the_cpu(cell, gates, tmp_path):
    proto = tagger(cell, gates)
    samples = [normal(1, 6, 8, n)[..., 0].copy() for n in range(1, 5)]
    chain = run_chain(proto, tmp_path, {"x": samples})
    assert chain.verdict()["passed"], chain.verdict()["sentence"]
    (alone,) = Partition.read(tmp_path / "cut/partition").on_cpu
    assert alone.op_type == cell
    assert alone.reasons[0].startswith(f"{cell} {STATE}")
    assert len(Partition.read(tmp_path / "cut/partition").subgraphs) == 3


def test_every_reason_is_of_an_operator_without_an_integer_form():
    from axbuild.toolchain.ops.registry import all_ops

    assert REASONS.keys().isdisjoint(all_ops())
