"""A few rounds of tests/stress/edits.py: what an edit may run, and the bytes of a build from nothing."""

import random

from stress.edits import World, build, run


def test_after_edits_the_outputs_are_those_of_a_build_from_nothing(tmp_path):
    made, wrong = run(3, seed=3, folder=tmp_path)
    assert wrong == []
    assert sum(made.values()) == 3


def test_a_result_that_is_wrong_is_noticed(tmp_path):
    world = World(tmp_path, random.Random(0))
    assert build(world.root).code == 0
    assert world.differences() == []
    target = world.root / "axbuild-out/net/one/compiled.axmodel"
    target.write_bytes(b"garbled")
    assert world.differences() == ["net/one/compiled.axmodel is not what a build from nothing makes"]
