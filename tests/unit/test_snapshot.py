"""The snapshot itself: what names it, what makes it doubt, what an edit reaches, and what happens to a damaged one."""

from __future__ import annotations

import os
import time

import pytest

from axbuild.engine.noop import keep, snapshot
from axbuild.engine.noop.meaning import young
from axbuild.engine.noop.partial import PartialBuild, part_of
from axbuild.engine.noop.snapshot import ABSENT, FILE, LISTING, LOADED, OUTPUT, SOURCE, UNKNOWN, YOUNG, Snapshot
from axbuild.engine.noop.stored import Answer, RequestedNames, StoredAction, StoredGoal, StoredGraph, StoredLabel
from axbuild.engine.noop.watch import Watched
from axbuild.store.digests import digest_of_file
from axbuild.store.statcache import YOUNG_NS
from axbuild.workspace.disk import Seen, digest_of_listing, look, scan


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = tmp_path / "ws"
    (root / "p").mkdir(parents=True)
    (root / "axbuild.toml").write_text("")
    (root / "p/source").write_text("content")
    (root / "axbuild-out").mkdir()
    (root / "axbuild-out/result").write_text("result")
    monkeypatch.chdir(root)
    return root


def seen(path, *, settled=True, known=True):
    """What a look at a file or folder gives; long ago unless it is to be young."""
    taken_ns = time.time_ns() + (10 * YOUNG_NS if settled else 0)
    digest = digest_of_listing(scan(str(path))) if path.is_dir() else bytes.fromhex(digest_of_file(path))
    return Seen(look(str(path)), taken_ns, digest if known else None)


def stored(root, *, settled=True, known=True, graph=None, verb="build"):
    """A snapshot of the workspace as it is, in its place; gives the command line it answers."""
    watched = Watched()
    watched.add("axbuild.toml", LOADED, seen(root / "axbuild.toml", settled=settled, known=known))
    watched.add("p", LOADED, seen(root / "p", settled=settled, known=known), LISTING)
    watched.add("p/BUILD.toml", LOADED, Seen(None, time.time_ns(), None))
    watched.add("p/source", SOURCE, seen(root / "p/source", settled=settled, known=known))
    watched.add("axbuild-out/result", OUTPUT, seen(root / "axbuild-out/result", settled=settled, known=known))
    keys = root.parent / "keys"
    texts = {"keys": os.fsencode(keys), "stdout": b"done in " + snapshot.SECONDS + b"\n", "stderr": b"", "jobs": b"1"}
    texts |= {"stdout coloured": b"", "stderr coloured": b""}
    command = [verb, "//p:t"]
    found = snapshot.look(command)
    assert keep.keep(
        found.file,
        watched.snapshot(texts),
        graph or StoredGraph.made({"//p:t": StoredLabel({"t": StoredAction("a" * 64, (), (), False)})}, Answer()),
    )
    return command


# -- which command lines have one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "build //a --events FILE",
        "build --events=FILE //a",
        "build //a -j4",
        "build -j 4 //a",
        "build --jobs=4 --keep_going //a",
        "build -k -q //a --json",
    ],
)
def test_flags_that_change_nothing_about_the_answer_do_not_enter_its_name(line):
    assert snapshot.identity(snapshot.parse(line.split()), "/ws") == snapshot.identity(
        snapshot.parse(["build", "//a"]), "/ws"
    )


@pytest.mark.parametrize("line", ["build //a //b", "build //a --config ci", "test //a", "build //a -//b"])
def test_what_changes_the_answer_enters_its_name(line):
    names = {snapshot.identity(snapshot.parse(words.split()), "/ws") for words in (line, "build //a")}
    assert len(names) == 2


def test_the_folder_and_the_environment_enter_the_name(monkeypatch):
    words = snapshot.parse(["build", "//a"])
    names = {snapshot.identity(words, "/ws"), snapshot.identity(words, "/ws/a")}
    monkeypatch.setenv("AXBUILD_CACHE_DIR", "elsewhere")
    assert len(names | {snapshot.identity(words, "/ws")}) == 3


@pytest.mark.parametrize(
    "line",
    [
        "",
        "query //a",
        "build",
        "build --help",
        "build //a --dry_run",
        "build //a --check_reproducible",
        "build //a --unheard-of",
        "build //a --jobs many",
        "build //a --events",
        "build //a -j0",
        "build -- //a",
    ],
)
def test_every_other_command_line_takes_the_full_path(line):
    assert snapshot.parse(line.split()) is None


def test_the_window_of_youth_is_the_stat_caches():
    assert snapshot.YOUNG_NS == YOUNG_NS


# -- what makes it doubt ----------------------------------------------------------------------------------------------


def changed(command):
    found = snapshot.look(command)
    assert found.snapshot is not None
    return [found.snapshot.paths[number] for number in found.changed]


def test_nothing_changed_is_an_answer(root):
    command = stored(root)
    assert snapshot.look(command).is_answer
    assert snapshot.look([*command, "--events", "x"]).is_answer
    assert not snapshot.look(["build", "//p:other"]).is_answer


def _same_size(root):
    before = (root / "p/source").stat()
    (root / "p/source").write_text("CONTENT")
    os.utime(root / "p/source", ns=(before.st_atime_ns, before.st_mtime_ns))


EDITS = {
    "other bytes": (lambda root: (root / "p/source").write_text("other"), ["p/source"]),
    "other bytes, same size and time": (_same_size, ["p/source"]),
    "a file gone": (lambda root: (root / "p/source").unlink(), ["p", "p/source"]),
    "a file come": (lambda root: (root / "p/new").write_text(""), ["p"]),
    "a BUILD file come": (lambda root: (root / "p/BUILD.toml").write_text(""), ["p", "p/BUILD.toml"]),
    "a file become a folder": (
        lambda root: ((root / "p/source").unlink(), (root / "p/source").mkdir()),
        ["p", "p/source"],
    ),
    "an output edited": (lambda root: (root / "axbuild-out/result").write_text("mine"), ["axbuild-out/result"]),
    "an output deleted": (lambda root: (root / "axbuild-out/result").unlink(), ["axbuild-out/result"]),
    "an output linked to": (
        lambda root: os.link(root / "axbuild-out/result", root / "axbuild-out/second"),
        ["axbuild-out/result"],
    ),
}


@pytest.mark.parametrize("settled", [True, False], ids=["settled", "young"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_found_and_named(root, edit, settled):
    command = stored(root, settled=settled)
    do, expected = EDITS[edit]
    do(root)
    assert changed(command) == expected


def test_an_output_replaced_by_a_link_to_the_same_bytes_is_a_change(root):
    command = stored(root)
    (root / "axbuild-out/result").rename(root / "elsewhere")
    (root / "axbuild-out/result").symlink_to(root / "elsewhere")
    assert changed(command) == ["axbuild-out/result"]


@pytest.mark.parametrize("name", ["p/source", "axbuild.toml", "axbuild-out/result"])
def test_a_touched_or_rewritten_file_of_the_same_bytes_is_no_change(root, name):
    command = stored(root)
    path = root / name
    os.utime(path)
    assert changed(command) == []
    fresh = root / "p/fresh"
    fresh.write_bytes(path.read_bytes())
    fresh.replace(path)
    assert changed(command) == []


def test_a_file_that_was_not_read_whole_is_in_doubt_once_it_is_touched(root):
    command = stored(root, known=False)
    os.utime(root / "p/source")
    assert changed(command) == ["p/source"]


@pytest.mark.parametrize("fails", [False, True], ids=["", "which fails"])
@pytest.mark.parametrize("edit", EDITS)
def test_another_process_that_looks_at_half_finds_the_same(root, monkeypatch, edit, fails):
    command = stored(root)
    monkeypatch.setattr(snapshot, "FORK_FROM", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    among, forks = snapshot._among, []
    monkeypatch.setattr(os, "fork", lambda fork=os.fork: forks.append(fork()) or forks[-1])

    def looked(found, begin, end):
        assert not (fails and 0 in forks), "in the other process"
        return among(found, begin, end)

    monkeypatch.setattr(snapshot, "_among", looked)
    do, expected = EDITS[edit]
    assert changed(command) == []
    do(root)
    assert changed(command) == expected
    assert len(forks) == 2


def test_names_that_no_walk_sees_are_no_change(root):
    command = stored(root)
    for name in ("p/.source.swp", "p/.git/config", "p/__pycache__/x.pyc"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("")
    assert changed(command) == []
    (root / "p/.axbuildignore").write_text("")
    assert changed(command) == ["p"]


def test_a_later_look_tells_the_digest_of_what_was_not_read_whole():
    found, signature = Watched(), (1, 2, 3, 4)
    found.add("model.onnx", LOADED, Seen(signature, 10, None))
    found.add("model.onnx", SOURCE, Seen(signature, 20, b"d" * 32))
    assert found.paths == {"model.onnx": (LOADED, Seen(signature, 10, b"d" * 32))}
    found.add("model.onnx", SOURCE, Seen((5, 6, 7, 8), 30, b"e" * 32))
    assert found.paths["model.onnx"][1].digest == b"d" * 32


def test_a_young_file_is_told_by_its_bytes_until_it_comes_of_age(root, monkeypatch):
    command = stored(root, settled=False)
    found = snapshot.look(command)
    assert found.is_answer
    assert len(found.fresh) == 4
    assert found.aged == []
    monkeypatch.setattr(snapshot, "YOUNG_NS", 0)
    time.sleep(0.01)
    found = snapshot.look(command)
    assert len(found.aged) == 4
    keep.renew(found, found.snapshot)
    found = snapshot.look(command)
    assert (found.is_answer, found.fresh) == (True, {})


def test_a_signature_is_young_until_two_seconds_after_what_it_stands_for():
    now = time.time_ns()
    assert young(Seen((now, 1, 1, now), now, UNKNOWN)) == YOUNG
    assert young(Seen((now - YOUNG_NS - 1, 1, 1, now), now, UNKNOWN)) == YOUNG, "its inode changed just now"
    assert young(Seen((now - YOUNG_NS - 1, 1, 1, now - YOUNG_NS - 1), now, UNKNOWN)) == 0
    assert young(Seen(None, now, None)) == 0


# -- the file ---------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back():
    made = Snapshot([], bytearray(), bytearray(), bytearray(), {"x": b"\0y"}, b"graph", b"meaning")
    for path, flags in {"a": FILE, "b/\udcff": ABSENT}.items():
        made.append(path, flags, (1, 2, 3, -4), bytes(32))
    back = Snapshot.decode(b"".join(made.encode()))
    assert [getattr(back, name) for name in Snapshot.__slots__] == [getattr(made, name) for name in Snapshot.__slots__]


def test_every_flipped_bit_and_every_cut_makes_it_no_snapshot():
    data = b"".join(Snapshot(["a"], bytearray(32), bytearray(32), bytearray(1), {"x": b"y"}, b"graph").encode())
    for at in range(len(data)):
        assert Snapshot.decode(data[:at]) is None
        assert Snapshot.decode(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) is None


def test_a_damaged_file_and_a_dropped_list_of_keys_take_the_full_path(root):
    command = stored(root)
    [file] = [file for file in (root / snapshot.FOLDER).iterdir() if not file.suffix]
    keys = root.parent / "keys"
    assert keys.read_text().splitlines() == ["axbuild-snapshot-keys/1", str(file), "a" * 64]
    keys.rename(root.parent / "aside")
    assert snapshot.look(command).snapshot is None
    (root.parent / "aside").rename(keys)
    assert snapshot.look(command).is_answer
    file.write_bytes(file.read_bytes()[:-1])
    assert snapshot.look(command).snapshot is None


def test_an_answer_marks_what_it_covers_as_used_to_the_day(root):
    command = stored(root)
    keys = root.parent / "keys"
    os.utime(keys, (time.time() - 2 * 86400,) * 2)
    snapshot.look(command)
    assert time.time() - keys.stat().st_mtime < 100
    hour_ago = time.time() - 3600
    os.utime(keys, (hour_ago, hour_ago))
    snapshot.look(command)
    assert keys.stat().st_mtime == pytest.approx(hour_ago)


def test_the_newest_snapshots_are_kept_and_the_keys_of_those_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "KEPT", 2)
    for folder in ("snapshots", "keys"):
        (tmp_path / folder).mkdir()
    for age, name in enumerate("abc"):
        (tmp_path / "snapshots" / name).write_text("")
        (tmp_path / "keys" / f"{name}.keys").write_text("")
        os.utime(tmp_path / "snapshots" / name, (1000 - age,) * 2)
    keep.prune(tmp_path / "snapshots", tmp_path / "keys")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a", "a.keys", "b", "b.keys"]


def test_there_is_none_outside_a_workspace_nor_where_tests_ask_for_none(root, tmp_path, monkeypatch):
    command = stored(root)
    monkeypatch.setenv(snapshot.OFF, "1")
    assert snapshot.look(command) is None
    monkeypatch.delenv(snapshot.OFF)
    monkeypatch.chdir(tmp_path)
    assert snapshot.look(command) is None


def test_an_inner_workspace_has_its_own(root, monkeypatch):
    command = stored(root)
    monkeypatch.chdir(root / "p")
    assert snapshot.look(command).snapshot is None, "the folder is part of the name"
    (root / "p/axbuild.toml").write_text("")
    assert snapshot.look(command).root == str(root / "p")


# -- what it reaches --------------------------------------------------------------------------------------------------


def graph(**labels):
    """a -> b -> c and a lone d; the paths are numbered as `stored` adds them (source 3, output 4)."""
    a, b, c, d = ((f"//p:{name}", name) for name in "abcd")

    def made(id_, *waits, sources=(), placed=None):
        goal = None if placed is None else StoredGoal((id_,), (), placed)
        return StoredLabel({id_[1]: StoredAction(f"k{id_[1]}", waits, sources, False)}, goal)

    known = {"//p:a": made(a, sources=(3,), placed=()), "//p:b": made(b, a), "//p:c": made(c, b, placed=())}
    known["//p:c"].actions["look"] = StoredAction("kl", (), (), True)
    known |= {"//p:d": made(d, placed=(4,)), **labels}
    outputs = {label: ["axbuild-out/result"] * len(found.goal.placed) for label, found in known.items() if found.goal}
    said = [["//p:d", "d", "d", "AX300", "odd", True], ["//p:c", "c", "c", "AX300", "even", True]]
    return StoredGraph.made(known, Answer(RequestedNames(dict.fromkeys(outputs)), outputs, said, []))


def part(root) -> PartialBuild | None:
    found = part_of(snapshot.look(["build", "//p:t"]))
    if found is not None:
        found.named({label: [label] for label in found.labels})
    return found


def elsewhere(found: PartialBuild, *own: tuple[str, str]) -> int:
    """How many actions are counted as valid beside these of the part."""
    found.built(own)
    return found.elsewhere


def test_an_edited_source_reaches_what_reads_it_and_the_rest_is_told_again(root):
    stored(root, graph=graph())
    (root / "p/source").write_text("other")
    found = part(root)
    own = (("//p:a", "a"), ("//p:b", "b"), ("//p:c", "c"), ("//p:c", "look"))
    assert found.labels == ("//p:a", "//p:c")
    assert elsewhere(found, *own) == 1, "only d: c's preflight belongs to c"
    assert [one.sentence for one in found.said()] == ["odd"]
    assert found.found.changed_sources
    assert found.outputs({"//p:c": ["new"]}) == {"//p:c": ["new"], "//p:d": ["axbuild-out/result"]}


def test_a_deleted_output_reaches_its_own_target_alone(root):
    stored(root, graph=graph())
    (root / "axbuild-out/result").unlink()
    found = part(root)
    assert (found.labels, elsewhere(found, ("//p:d", "d")), found.found.changed_sources) == (("//p:d",), 4, False)


def test_a_preflight_that_reads_the_source_reaches_its_whole_target(root):
    a = StoredLabel({"a": StoredAction("ka", (), (), False)}, StoredGoal((("//p:a", "a"),), (), ()))
    c = {"c": StoredAction("kc", (), (), False), "look": StoredAction("kl", (), (3,), True)}
    stored(root, graph=graph(**{"//p:a": a, "//p:c": StoredLabel(c, StoredGoal((("//p:c", "c"),), (), ()))}))
    (root / "p/source").write_text("other")
    assert part(root).labels == ("//p:c",)


def test_children_of_an_expansion_are_its_own(root):
    split, child = ("//p:e", "split"), ("//p:e", "split/one")
    actions = {"split": StoredAction("ks", (), (3,), False), "split/one": StoredAction("k1", (split,), (), False)}
    d = StoredLabel({"d": StoredAction("kd", (), (), False)}, StoredGoal((("//p:d", "d"),), (), (4,)))
    known = {"//p:e": StoredLabel(actions, StoredGoal((split,), (), ())), "//p:d": d}
    answer = Answer(RequestedNames(dict.fromkeys(known)), {"//p:e": [], "//p:d": ["axbuild-out/result"]})
    stored(root, graph=StoredGraph.made(known, answer))
    (root / "p/source").write_text("other")
    found = part(root)
    assert (found.labels, elsewhere(found, split, child)) == (("//p:e",), 1)


def test_a_damaged_graph_takes_the_full_path_and_the_answer_stays(root):
    command = stored(root, graph=graph())
    [file] = (root / snapshot.FOLDER).glob("*.graph")
    file.write_bytes(file.read_bytes()[:-1])
    assert snapshot.look(command).is_answer
    (root / "p/source").write_text("other")
    assert part(root) is None


def test_what_lays_out_the_graph_is_for_the_full_path(root):
    stored(root, graph=graph())
    (root / "p/source").write_text("other")
    (root / "p/new").write_text("")
    assert part(root) is None
