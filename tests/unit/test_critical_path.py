import random
from itertools import pairwise

from axbuild.engine.records.critical import critical_path
from axbuild.engine.records.events import ActionFinished


def path(seconds, needs, reused=()):
    actions = {
        ("//m:x", name): ActionFinished(
            "//m:x", name, name, f"t:{name}", "k", "up_to_date" if name in reused else "executed", "", 1.0, took
        )
        for name, took in seconds.items()
    }
    found = critical_path(actions, lambda id_: [("//m:x", name) for name in needs.get(id_[1], ())])
    return [(link["action"], link["seconds"]) for link in found]


def test_it_is_the_chain_that_took_longest_and_not_the_longest_chain():
    needs = {"b": ["a"], "c": ["b"], "z": ["a"], "end": ["c", "z"]}
    assert path({"a": 1.0, "b": 1.0, "c": 1.0, "z": 5.0, "end": 1.0}, needs) == [("a", 1.0), ("z", 5.0), ("end", 1.0)]


def test_reused_actions_connect_what_ran_and_count_nothing():
    needs = {"b": ["a"], "c": ["b"]}
    assert path({"a": 1.0, "b": 9.0, "c": 1.0}, needs, reused=["b"]) == [("a", 1.0), ("c", 1.0)]
    assert path({"a": 1.0, "b": 9.0, "c": 1.0}, needs, reused=["a", "b"]) == [("c", 1.0)]


def test_a_build_that_ran_nothing_has_none():
    assert path({}, {}) == []
    assert path({"a": 1.0}, {}, reused=["a"]) == []


def test_a_chain_longer_than_the_stack_of_python():
    seconds = {f"a{i}": 1.0 for i in range(5000)}
    found = path(seconds, {f"a{i}": [f"a{i - 1}"] for i in range(1, 5000)})
    assert (len(found), found[0][0], found[-1][0]) == (5000, "a0", "a4999")


def test_random_graphs_agree_with_trying_every_chain():
    rng = random.Random(7)
    for _ in range(100):
        names = [f"a{i}" for i in range(8)]
        needs = {name: rng.sample(names[:i], rng.randint(0, i)) for i, name in enumerate(names)}
        seconds = {name: float(rng.randint(1, 9)) for name in names}

        def longest(name, needs=needs, seconds=seconds):
            return seconds[name] + max((longest(other) for other in needs[name]), default=0.0)

        found = path(seconds, needs)
        assert sum(took for _, took in found) == max(map(longest, names))
        assert all(one in needs[other] for (one, _), (other, _) in pairwise(found))
