"""The stored graph in parts: what is read of it, what an edit reaches across packages, and how it is written anew."""

from __future__ import annotations

import pytest

from axbuild.engine.noop import stored
from axbuild.engine.noop.stored import (
    Answer,
    GraphUnreadable,
    RequestedNames,
    StoredAction,
    StoredGoal,
    StoredGraph,
    StoredLabel,
    StoredLayout,
)


def label(*waits, key="k", sources=(), needs=(), looked=(), goal=None, preflight=False):
    """A label with the one action `run`, which waits for `run` of these labels."""
    action = StoredAction(key, tuple((other, "run") for other in waits), sources, preflight)
    return StoredLabel({"run": action}, goal, StoredLayout(needs, looked))


def goal(name, *placed):
    return StoredGoal(((name, "run"),), (), placed)


@pytest.fixture
def labels():
    """//a:x reads path 0 and is needed by //b:y and //b:z; //c:w stands alone and reads path 1."""
    return {
        "//a:x": label(key="kx", sources=(0,), looked=(5,)),
        "//b:y": label("//a:x", key="ky", needs=("//a:x",), goal=goal("//b:y", 2)),
        "//b:z": label("//b:y", key="kz", needs=("//b:y",), goal=goal("//b:z", 3)),
        "//c:w": label(key="kw", sources=(1,), looked=(6,), goal=goal("//c:w", 4)),
    }


@pytest.fixture
def answer():
    names = RequestedNames(dict.fromkeys(["//b:y", "//b:z", "//c:w"]))
    return Answer(names, {"//b:y": ["out/y"], "//b:z": ["out/z"], "//c:w": ["out/w"]}, [], [])


@pytest.fixture
def read_again(tmp_path, monkeypatch):
    """Writes a graph and reads it back; the list holds the packages whose part is unpacked then."""
    unpacked: list[list[str]] = []
    part = stored._Part.of
    monkeypatch.setattr(stored._Part, "of", lambda data: unpacked.append(sorted((found := part(data)).labels)) or found)

    def through(graph):
        checksum = graph.write(str(tmp_path / "snapshot"))
        return StoredGraph.read(str(tmp_path / "snapshot"), checksum), unpacked

    return through


def test_what_is_written_is_read_back(labels, answer, read_again):
    answer.names.stand("//c:w", ["//b:z"])
    answer.diagnostics.append(["//c:w", "run", "stage", "AX300", "odd", True])
    graph, _ = read_again(StoredGraph.made(labels, answer))
    assert {name: graph.label(name) for name in labels} == labels
    assert graph.answer == answer
    assert (graph.count, sorted(bytes(graph.keys).split())) == (4, [b"kw", b"kx", b"ky", b"kz"])
    assert graph.label("//c:none") == StoredLabel({})
    assert graph.action(("//nowhere:x", "run")) is None


def test_only_the_packages_that_an_edit_reaches_are_read(labels, answer, read_again):
    graph, unpacked = read_again(StoredGraph.made(labels, answer))
    assert graph.reached({1}) == {("//c:w", "run")}
    assert unpacked == [["//c:w"]]
    assert graph.reached({0}) == {(name, "run") for name in ("//a:x", "//b:y", "//b:z")}
    assert unpacked[1:] == [["//a:x"], ["//b:y", "//b:z"]]


def test_what_was_laid_out_by_a_label_or_folder_is_found_across_packages(labels, answer):
    graph = StoredGraph.made(labels, answer)
    assert graph.laid_by((), {5}) == {"//a:x", "//b:y", "//b:z"}
    assert graph.laid_by(["//b:y"], set()) == {"//b:y", "//b:z"}
    assert graph.laid_by(["//d:new"], {6}) == {"//d:new", "//c:w"}


def test_what_is_needed_comes_with_its_children_and_the_preflights_of_its_labels(answer):
    expansion = {
        "split": StoredAction("k1", (), (), False),
        "split/one": StoredAction("k2", (("//a:e", "split"),), (), False),
        "look": StoredAction("k3", (("//a:x", "run"),), (), True),
        "other": StoredAction("k4", (), (), False),
    }
    graph = StoredGraph.made({"//a:e": StoredLabel(expansion), "//a:x": label()}, answer)
    named = {("//a:e", "split"), ("//a:e", "split/one"), ("//a:e", "look"), ("//a:x", "run")}
    assert graph.needed([("//a:e", "split")], ()) == named
    assert graph.needed((), ["//a:e"]) == {("//a:e", "look"), ("//a:x", "run")}


def test_a_changed_label_rewrites_its_part_and_copies_the_others(labels, answer, read_again):
    graph, unpacked = read_again(StoredGraph.made(labels, answer))
    more = {"//c:w": label(key="new", goal=goal("//c:w", 4)), "//d:new": label("//b:y", key="more")}
    graph, _ = read_again(graph.rewritten(more, answer))
    assert unpacked == [["//c:w"]]
    assert {name: graph.label(name) for name in labels | more} == labels | more
    assert sorted(bytes(graph.keys).split()) == [b"kx", b"ky", b"kz", b"more", b"new"]
    assert graph.reached({0}) == {(name, "run") for name in ("//a:x", "//b:y", "//b:z", "//d:new")}


def test_a_package_of_which_nothing_is_left_is_left_out(labels, answer):
    graph = StoredGraph.made(labels, answer).rewritten({"//c:w": StoredLabel({})}, answer)
    assert (graph.count, graph.using({1, 4, 6})) == (3, [])
    assert graph.label("//c:w") == StoredLabel({})


def test_a_label_moves_to_other_numbers_of_paths():
    moved = label(sources=(0, 1), looked=(2,), goal=StoredGoal((), (1,), (0,))).moved([7, 5, 3])
    assert moved.actions["run"].sources == (7, 5)
    assert (moved.goal, moved.layout) == (StoredGoal((), (5,), (7,)), StoredLayout((), (3,)))


def test_names_for_which_other_targets_stand():
    names = RequestedNames(dict.fromkeys(["//a:suite", "//b:y", "//c:w"]))
    assert list(names.goals()) == ["//a:suite", "//b:y", "//c:w"]
    names.stand("//a:suite", ["//c:w", "//d:v"])
    names.stand("//b:y", ["//b:y"])
    assert list(names.goals()) == ["//c:w", "//d:v", "//b:y"]
    assert [names.has(goal, but=()) for goal in ("//a:suite", "//d:v", "//b:y")] == [False, True, True]
    assert [names.has(goal, but={"//a:suite", "//b:y"}) for goal in ("//d:v", "//b:y", "//c:w")] == [False, False, True]
    names.rename(["//c:w"])
    assert list(names.goals()) == ["//c:w"]


def test_every_flipped_bit_every_cut_and_another_graph_are_unreadable(labels, answer, tmp_path):
    path = str(tmp_path / "snapshot")
    checksum = StoredGraph.made(labels, answer).write(path)
    file = tmp_path / "snapshot.graph"
    data = file.read_bytes()
    assert StoredGraph.read(path, checksum).count == 4
    damaged = [data[:at] for at in range(len(data))]
    damaged += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    for one in damaged:
        file.write_bytes(one)
        with pytest.raises(GraphUnreadable):
            StoredGraph.read(path, checksum)
    StoredGraph.made({}, answer).write(path)
    with pytest.raises(GraphUnreadable):
        StoredGraph.read(path, checksum)
    file.unlink()
    with pytest.raises(GraphUnreadable):
        StoredGraph.read(path, checksum)
