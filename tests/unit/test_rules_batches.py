"""Static and dynamic batches of an axmodel: the actions they lay out, and what is refused."""

import pytest

from axbuild.errors import AxError
from rules_world import AXMODEL, CHAIN, layer


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


def test_a_batch_beyond_reason_is_refused_before_anything_runs(lay):
    lay(CHAIN + AXMODEL + "static_batch_sizes = [1024]\n")
    with pytest.raises(AxError, match="AX106: static_batch_sizes takes a whole number from 1 to 1024, got 1000000"):
        lay(CHAIN + AXMODEL + "static_batch_sizes = [1000000]\n")


def test_batches_are_split_and_fused_in_order(lay):
    actions, _ = lay(CHAIN + AXMODEL + "static_batch_sizes = [4, 1, 2]\n")
    assert actions["axmodel", "split"].params["batches"] == [1, 2, 4]
    assert actions["axmodel", "fuse"].params["shown_batch"] == 0
    assert "batches" not in actions["axmodel", "partition"].params
    assert ("axmodel", "dynamic_batches") not in actions


def test_dynamic_batches_are_chosen_behind_the_partition(lay):
    actions, _ = lay(CHAIN + AXMODEL + "max_dynamic_batch_size = 6\n")
    assert actions["axmodel", "dynamic_batches"].params["limit"] == 6
    assert actions["axmodel", "split"].params["batches"] == []
    assert len(actions["axmodel", "split"].inputs["dynamic"]) == 1
    assert actions["axmodel", "fuse"].params["shown_batch"] == 6


def test_static_and_dynamic_batches_exclude_each_other(lay):
    with pytest.raises(AxError, match="static_batch_sizes and max_dynamic_batch_size exclude each other") as raised:
        lay(CHAIN + AXMODEL + "max_dynamic_batch_size = 6\nstatic_batch_sizes = [1, 2]\n")
    assert raised.value.code == "AX115"
