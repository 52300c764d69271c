"""Random graphs of every operator: nothing lost by the front end, each node close to float, the whole exact."""

import numpy as np
import pytest
from quantised import Net, quantised
from random_graphs.all import OPS, random_graph
from random_graphs.proof import LOST, optimized, proven, steps_allowed, steps_off, unlike, witnesses_of

from axbuild.toolchain.ops.registry import all_ops


def test_every_operator_has_a_case_generator():
    assert set(all_ops()) <= set(OPS)


@pytest.mark.parametrize("mixed", [False, True], ids=["all U8", "mixed"])
@pytest.mark.parametrize("seed", range(len(OPS)), ids=OPS)
def test_a_graph_with_the_operator_is_exact_from_the_front_end_to_the_simulated_chip(seed, mixed):
    proof = proven(seed, mixed=mixed)
    assert OPS[seed].split()[-1] in proof.ops
    assert proof.lost <= LOST
    assert not any(proof.differing.values()), proof.differing


def test_samples_that_a_reshape_leaves_along_its_last_axis_are_told_apart_there():
    net = Net(1, 32)
    net.add("Relu", ["x"], "r")
    net.add("Reshape", ["r", net.constant("shape", np.array([1, 16, -1]))], "y")
    model, feeds = optimized(net.model("y")), net.samples(3)
    result = quantised(model, feeds)
    rows = witnesses_of(model, result, feeds, ("AX650", "NPU1"))
    expected = [result.run_oracle(feed) for feed in feeds]
    assert {row[0].shape for row in rows["simulated chip, in batches"]} == {(1, 16, 2)}
    for found in rows.values():
        assert [unlike(a[0], b[0]) for a, b in zip(found, expected, strict=True)] == [0, 0, 0]


@pytest.mark.parametrize("seed", range(len(OPS)), ids=OPS)
def test_nodes_on_their_inputs_grids_are_within_half_a_step_of_float(seed):
    pool = random_graph(seed)
    for node in pool.nodes:
        assert steps_off(pool, node) <= steps_allowed(node), node
