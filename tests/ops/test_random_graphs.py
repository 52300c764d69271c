"""Random graphs of every operator: nothing lost by the front end, each node close to float, the whole exact."""

import pytest
from random_graphs.all import OPS, random_graph
from random_graphs.proof import LOST, proven, steps_allowed, steps_off

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


@pytest.mark.parametrize("seed", range(len(OPS)), ids=OPS)
def test_nodes_on_their_inputs_grids_are_within_half_a_step_of_float(seed):
    pool = random_graph(seed)
    for node in pool.nodes:
        assert steps_off(pool, node) <= steps_allowed(node), node
