"""Collection: what goes, in which order, and what never goes; accounting and checking of a whole cache."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from axbuild.store import gc
from axbuild.store.accounting import stats
from axbuild.store.gc import DAY, BeingCollected, Limits, collect, collect_if_due, plan
from axbuild.store.locks import FileLock
from axbuild.store.results import ActionResult
from axbuild.store.store import ReadsFromItself, Store
from axbuild.store.verify import verify

NOW = time.time()
LEASE_HOLDER = """
import sys
from pathlib import Path
from axbuild.store.store import Store
with Store(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


class Cache:
    """A cache in which uses are dated by hand."""

    def __init__(self, folder):
        self.folder = folder
        self.store = Store(folder)
        self.root = folder.parent / "ws"
        (self.root).mkdir()
        (self.root / "axbuild.toml").write_text("")
        self.state = self.store.workspace(self.root)
        self.number = 0

    def reopen(self):
        """As the next process: nothing counts as used by this one."""
        self.store.close()
        self.store = Store(self.folder)

    def result(self, text, *, days=0.0, size=1000, label="//a:b", intermediate=False, last=True):
        """An action with one output of so many bytes, used so many days ago; (key, digest)."""
        digest = self.store.blobs.add_bytes(text.encode().ljust(size, b"."))
        self.number += 1
        key = f"{self.number:064x}"
        record = {"stage": f"./{label[-1]}.py:f", "inputs": {}}
        self.store.results.put(key, ActionResult(record, {"o": digest}, intermediate=intermediate))
        if last:
            self.store.results.set_last(self.state.id, label, text, key)
        os.utime(self.store.blobs.path(digest), (NOW - days * DAY, NOW - days * DAY))
        return key, digest

    def snapshot(self, name, keys, *, days=0.0):
        file = self.root / name
        file.write_text("the snapshot")
        path = self.state.folder / "snapshots" / f"{name}.keys"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([gc.KEYS_MAGIC, str(file), *keys, ""]))
        os.utime(path, (NOW - days * DAY, NOW - days * DAY))
        return path

    def plan(self, limits, **how):
        return plan(self.store, limits, **how)

    def left(self):
        return {path.name for path in (self.folder / "cas").glob("*/*") if len(path.name) == 64}


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path / "cache")
    yield cache
    cache.store.close()


@pytest.fixture
def other_build(cache):
    process = subprocess.Popen(
        [sys.executable, "-c", LEASE_HOLDER, str(cache.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def limits(size=None, days=None):
    return Limits(size, None if days is None else days * DAY)


def test_what_was_not_used_for_the_age_goes_and_its_record_stays(cache):
    key, old = cache.result("old", days=31)
    _, young = cache.result("young", days=29)
    cache.reopen()
    done = collect(cache.store, limits(days=30))
    assert cache.left() == {young}
    assert [(blob.digest, why) for blob, why in done.blobs] == [(old, "not used for too long")]
    assert cache.store.results.get(key).outputs == {"o": old}, "`why` still compares with it"


def test_above_the_limit_the_least_recently_used_go_until_nine_tenths(cache):
    digests = [cache.result(str(days), days=days)[1] for days in (3, 9, 1, 7, 5)]
    cache.reopen()
    done = collect(cache.store, limits(size=4000))
    assert cache.left() == {digests[0], digests[2], digests[4]}, "5000 bytes are brought below 3600"
    assert {why for _, why in done.blobs} == {"used least recently"}
    assert (done.bytes, done.freed_bytes, done.left_bytes, done.over_bytes) == (5000, 2000, 3000, 0)


def test_within_the_limit_nothing_goes(cache):
    cache.result("a", days=1000)
    cache.reopen()
    assert collect(cache.store, limits(size=1000)).blobs == []
    assert collect(cache.store, limits()).blobs == []


def test_intermediates_go_first(cache):
    _, old = cache.result("old", days=20)
    _, samples = cache.result("samples", days=1, intermediate=True)
    cache.reopen()
    done = collect(cache.store, limits(size=1500))
    assert cache.left() == {old}
    assert [why for _, why in done.blobs] == ["intermediate"]
    assert samples not in cache.left()


def test_all_that_a_living_snapshot_covers_counts_as_used(cache):
    key, covered = cache.result("covered", days=50)
    _, loose = cache.result("loose", days=2)
    cache.snapshot("s", [key], days=1)
    cache.reopen()
    assert collect(cache.store, limits(size=1500, days=30)).snapshots == []
    assert cache.left() == {covered}
    assert loose not in cache.left()


def test_an_old_snapshot_is_dropped_with_what_it_covers(cache):
    key, _ = cache.result("covered", days=50)
    keys = cache.snapshot("s", [key], days=40)
    cache.reopen()
    done = collect(cache.store, limits(days=30))
    assert (cache.left(), keys.exists()) == (set(), False)
    assert done.snapshots == [(keys, "not used for too long")]


def test_by_size_the_snapshot_used_least_recently_goes_before_its_blobs_and_the_newest_stays(cache, monkeypatch):
    one, two, three = (cache.result(name, days=days) for name, days in (("1", 9), ("2", 9), ("3", 9)))
    older = cache.snapshot("older", [one[0], two[0]], days=5)
    newer = cache.snapshot("newer", [two[0], three[0]], days=1)
    cache.reopen()
    removed = []
    monkeypatch.setattr(gc, "_remove", lambda store, blob: removed.append(older.exists()) or store.blobs.path(blob.digest).unlink() or True)  # fmt: skip  # noqa: E501  # one story, one line
    done = collect(cache.store, limits(size=500))
    assert cache.left() == {two[1], three[1]}, "what the newer one covers too is not the older one's alone"
    assert (older.exists(), newer.exists()) == (False, True)
    assert removed == [False], "the list of keys goes first: a snapshot never promises what was collected"
    assert done.over_bytes == 1500
    assert "AX908" in gc.warning(done)
    assert "raise size_gb" in gc.warning(done)[1]


def test_a_snapshot_whose_file_is_gone_covers_nothing(cache):
    key, _ = cache.result("covered", days=50)
    keys = cache.snapshot("s", [key])
    (cache.root / "s").unlink()
    cache.reopen()
    collect(cache.store, limits(days=30))
    assert (cache.left(), keys.exists()) == (set(), False)


@pytest.mark.parametrize("damage", [b"", b"other/1\n", b"\xff\xfe", b"axbuild-snapshot-keys/1\n/x\nnot a key\n"])
def test_a_damaged_list_of_keys_is_dropped(cache, damage):
    key, _ = cache.result("covered")
    keys = cache.snapshot("s", [key])
    keys.write_bytes(damage)
    cache.reopen()
    assert [path for path, _ in collect(cache.store, limits()).snapshots] == [keys]
    assert not keys.exists()


def test_a_build_keeps_what_it_used_itself(cache):
    _, digest = cache.result("mine", days=50)
    cache.reopen()
    assert cache.store.blobs.has(digest)
    os.utime(cache.store.blobs.path(digest), (NOW - 50 * DAY, NOW - 50 * DAY))
    assert collect(cache.store, limits(size=1, days=1)).blobs == []


def test_another_build_keeps_what_it_may_count_on(cache, other_build):
    _, recent = cache.result("five minutes ago", days=5 / 1440)
    _, older = cache.result("twenty minutes ago", days=20 / 1440)
    cache.reopen()
    done = collect(cache.store, limits(size=1))
    assert cache.left() == {recent}
    assert done.over_bytes == 999
    other_build.communicate("")
    cache.reopen()
    collect(cache.store, limits(size=1))
    assert cache.left() == set()
    assert older not in cache.left()


def test_a_build_that_begins_while_another_collects_keeps_what_is_not_yet_gone(cache, monkeypatch):
    for number in range(4):
        cache.result(str(number), days=1 / 1440)
    cache.reopen()
    real, begun = gc._remove, []

    def remove(store, blob):
        if not begun:
            begun.append(FileLock(cache.folder / "leases" / "newcomer"))
            begun[0].acquire()
        return real(store, blob)

    monkeypatch.setattr(gc, "_remove", remove)
    collect(cache.store, limits(size=1))
    assert len(cache.left()) == 3
    begun[0].release()


def test_a_blob_used_since_the_plan_was_made_stays(cache, monkeypatch):
    _, digest = cache.result("a", days=50)
    cache.reopen()
    real = gc._remove

    def remove(store, blob):
        os.utime(store.blobs.path(digest))
        return real(store, blob)

    monkeypatch.setattr(gc, "_remove", remove)
    assert collect(cache.store, limits(days=1)).blobs == []
    assert cache.left() == {digest}


def test_a_dry_run_says_the_same_and_removes_nothing(cache):
    key, _ = cache.result("a", days=50)
    cache.snapshot("s", [key], days=45)
    cache.reopen()
    would = collect(cache.store, limits(days=30), dry_run=True)
    assert len(cache.left()) == 1
    done = collect(cache.store, limits(days=30))
    assert [blob.digest for blob, _ in would.blobs] == [blob.digest for blob, _ in done.blobs]
    assert would.snapshots == done.snapshots


def test_two_collections_at_once_are_one_too_many(cache):
    with FileLock(cache.folder / "locks" / "collect"):
        with pytest.raises(BeingCollected):
            collect(cache.store, limits())
        assert collect_if_due(cache.store, limits()) is None


def test_a_collection_is_due_once_a_day_and_when_the_cache_has_outgrown_its_limit(cache, monkeypatch):
    assert collect_if_due(cache.store, limits(size=3500)) is not None, "the first of all"
    cache.reopen()
    cache.result("small")
    assert collect_if_due(cache.store, limits(size=3500)) is None
    cache.reopen()
    cache.result("large", size=3000)
    done = collect_if_due(cache.store, limits(size=3500))
    assert [blob.size for blob, _ in done.blobs] == [1000]
    cache.reopen()
    assert collect_if_due(cache.store, limits(size=3500)) is None
    monkeypatch.setattr(gc.time, "time", lambda: NOW + 1.1 * DAY)
    assert collect_if_due(cache.store, limits(size=3500)) is not None


def test_a_cache_that_stays_above_its_limit_is_not_scanned_by_each_build(cache):
    key, _ = cache.result("large", size=5000)
    cache.snapshot("s", [key])
    cache.reopen()
    assert collect_if_due(cache.store, limits(size=1000)).over_bytes == 4000
    cache.reopen()
    cache.result("little", size=100)
    assert collect_if_due(cache.store, limits(size=1000)) is None
    cache.reopen()
    cache.result("more", size=400)
    assert collect_if_due(cache.store, limits(size=1000)) is not None


def test_what_time_does_not_suffice_for_is_left_to_the_next_build(cache, monkeypatch):
    for number in range(5):
        cache.result(str(number), days=9)
    cache.reopen()
    monkeypatch.setattr(gc, "BUILD_SECONDS", -1.0)
    assert collect_if_due(cache.store, limits(size=10)).blobs == []
    assert len(cache.left()) == 5
    monkeypatch.undo()
    assert len(collect_if_due(cache.store, limits(size=10)).blobs) == 5


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumped_does_not_empty_the_cache(cache, monkeypatch, jump):
    _, digest = cache.result("a", days=1)
    collect_if_due(cache.store, limits(days=30))
    cache.reopen()
    monkeypatch.setattr(gc.time, "time", lambda: NOW + jump)
    done = collect_if_due(cache.store, limits(days=30))
    assert (done.blobs, cache.left()) == ([], {digest})


def test_a_use_in_the_future_is_a_use_now(cache):
    _, ahead = cache.result("ahead", days=-4000)
    _, old = cache.result("old", days=50)
    cache.reopen()
    collect(cache.store, limits(days=30))
    assert cache.left() == {ahead}
    assert old not in cache.left()


def test_records_go_when_their_day_is_past_and_no_workspace_has_them(cache, monkeypatch):
    kept, _ = cache.result("a")
    gone, _ = cache.result("b", last=False)
    cache.reopen()
    later = NOW + 40 * DAY
    monkeypatch.setattr(gc.time, "time", lambda: later)
    collect(cache.store, limits(days=30))
    collect(cache.store, limits(days=30))
    assert cache.store.results.get(kept) is not None
    assert cache.store.results.get(gone) is None


def test_what_killed_processes_left_is_cleared_away(cache):
    torn, young = cache.state.folder / ".stat.msgpack.123", cache.state.folder / ".code.msgpack.456"
    aside = cache.folder / "results.damaged-1"
    torn.write_text("half")
    young.write_text("half")
    aside.mkdir()
    os.utime(torn, (NOW - 2 * DAY, NOW - 2 * DAY))
    os.utime(aside, (NOW - 40 * DAY, NOW - 40 * DAY))
    collect(cache.store, limits(days=30))
    assert [path.exists() for path in (torn, young, aside)] == [False, True, False]


def test_the_lock_of_a_killed_build_is_cleared_away_by_the_next(cache):
    (cache.folder / "locks" / ("ab" * 32)).write_text("")
    with cache.store.lock("cd" * 32):
        cache.reopen()
        assert [path.name for path in (cache.folder / "locks").iterdir()] == ["cd" * 32]


def test_the_state_of_a_work_tree_that_is_no_more_is_dropped_when_it_is_old(cache):
    (cache.root / "axbuild.toml").unlink()
    collect(cache.store, limits(days=30))
    assert cache.state.folder.exists()
    for path in (*cache.state.folder.glob("**/*"), cache.state.folder):
        os.utime(path, (NOW - 40 * DAY, NOW - 40 * DAY))
    collect(cache.store, limits(days=30))
    assert not cache.state.folder.exists()


def test_fingerprints_go_with_their_blobs(cache):
    _, digest = cache.result("a", days=50)
    cache.reopen()
    collect(cache.store, limits(days=30))
    assert (cache.folder / "cas" / digest[:2] / "fingerprints").read_bytes() == b""


def test_nothing_is_collected_while_the_records_cannot_be_read(cache):
    _, digest = cache.result("a", days=50)
    cache.reopen()
    (cache.folder / "results" / "cache.db").write_bytes(b"x" * 4096)
    assert collect(cache.store, limits(days=30)).blobs == []
    assert cache.left() == {digest}


def test_targets_cost_their_own_bytes_and_those_they_share(cache):
    cache.result("same", label="//a:x", size=300)
    cache.result("same", label="//a:y", size=300)
    cache.result("mine", label="//a:y", size=50)
    cache.result("mine of before", label="//a:y", size=7, last=False)
    cache.store.blobs.add_bytes(b"of a killed build")
    found = stats(cache.store, limits(), cache.state.id)
    assert [(one.name, one.results, one.bytes, one.own_bytes) for one in found.targets] == [
        ("//a:y", 2, 350, 50),
        ("//a:x", 1, 300, 0),
    ]
    # The text is longer than seven bytes.
    assert (found.blobs, found.blob_bytes) == (4, 300 + 50 + 14 + 17)
    assert (found.earlier_bytes, found.unnamed_bytes, found.results, found.collected_results) == (14, 17, 4, 0)
    assert [one.name for one in found.stages] == ["./y.py:f", "./x.py:f"]
    assert [(tree.root, tree.snapshots) for tree in found.work_trees] == [(str(cache.root), 0)]


def test_a_whole_cache_verifies(cache):
    cache.result("a")
    verdict = verify(cache.store)
    assert (verdict.findings, verdict.blobs, verdict.bytes, verdict.results) == ([], 1, 1000, 1)


def test_what_was_collected_is_no_damage(cache):
    cache.result("a", days=50)
    cache.reopen()
    collect(cache.store, limits(days=30))
    verdict = verify(cache.store)
    assert (verdict.findings, verdict.collected) == ([], 1)


def test_a_damaged_blob_is_named_with_its_maker_and_removed_by_repair_alone(cache):
    _, digest = cache.result("text", label="//a:b")
    path = cache.store.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"rotten")
    cache.reopen()
    [found] = verify(cache.store).findings
    assert (found.kind, found.name, found.makers) == ("blob", f"cas/{digest[:2]}/{digest}", ("//a:b text",))
    assert path.exists()
    assert len(verify(cache.store, repair=True).findings) == 1
    assert not path.exists()
    assert verify(cache.store).findings == []


def test_refused_rows_wrong_fingerprints_and_damaged_state_are_found_and_repaired(cache):
    import sqlite3

    key, digest = cache.result("a")
    cache.result("b")
    cache.reopen()
    with sqlite3.connect(cache.folder / "results" / "cache.db") as database:
        database.execute("UPDATE Cache SET value = replace(value, 'stage', 'stagf') WHERE key = ?", (f"result/{key}",))
    database.close()
    shard = cache.folder / "cas" / digest[:2] / "fingerprints"
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    (cache.state.folder / "stat.msgpack").write_bytes(b"0" * 40)
    cache.snapshot("s", ["what"])
    (cache.state.folder / "builds").mkdir()
    (cache.state.folder / "builds" / "1.jsonl").write_text('{"event": "x"}\n{"ev\n{"event": "torn')
    (cache.folder / "cas" / "ab").mkdir(exist_ok=True)
    (cache.folder / "cas" / "ab" / "stranger").write_text("what is this")
    kinds = sorted(finding.kind for finding in verify(cache.store).findings)
    assert kinds == ["fingerprint", "row", "state", "state", "state", "stray"]
    verify(cache.store, repair=True)
    cache.reopen()
    assert [finding.kind for finding in verify(cache.store).findings] == ["stray"]
    assert verify(cache.store).results == 1


def test_a_database_that_is_none_is_put_aside_by_repair(cache):
    cache.result("a")
    cache.reopen()
    (cache.folder / "results" / "cache.db").write_bytes(b"x" * 4096)
    [found] = verify(cache.store, repair=True).findings
    assert found.kind == "database"
    assert (cache.folder / "results.damaged-1").exists()
    assert verify(cache.store).findings == []


@pytest.fixture
def reader(cache, tmp_path):
    """A store of its own beside a cache that it only reads, and the names in that before."""
    cache.store.results.close()
    with Store(tmp_path / "own", read_from=cache.folder) as store:
        yield store


def names(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_results_of_another_cache_are_taken_and_nothing_is_written_there(cache, reader, tmp_path):
    key, digest = cache.result("theirs", last=False)
    cache.store.results.close()
    before = names(cache.folder)
    assert reader.results.get(key).outputs == {"o": digest}
    assert reader.blobs.has(digest)
    assert not reader.blobs.path(digest).exists(), "bytes are taken when they are asked for"
    reader.blobs.materialise(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"theirs".ljust(1000, b".")
    assert reader.blobs.path(digest).stat().st_ino != cache.store.blobs.path(digest).stat().st_ino
    ours = reader.blobs.add_bytes(b"ours")
    reader.results.put("cd" * 32, ActionResult({}, {"o": ours}))
    assert names(cache.folder) == before
    assert reader.reports == []


def test_a_damaged_blob_of_another_cache_is_told_and_made_here(cache, reader):
    _, digest = cache.result("theirs")
    path = cache.store.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"rotten")
    assert not reader.blobs.verify(digest)
    assert path.read_bytes() == b"rotten", "what is not ours is left alone"
    assert ("AX903", f"blob {digest[:16]} of the cache to read from is corrupt; left alone") in reader.reports


def test_another_cache_that_is_not_there_is_told_once(tmp_path):
    with Store(tmp_path / "own", read_from=tmp_path / "nowhere") as store:
        assert store.results.get("ab" * 32) is None
        assert store.results.get("cd" * 32) is None
        assert [code for code, _ in store.reports] == ["AX909"]
        assert not store.blobs.has("ab" * 32)


def test_a_cache_does_not_read_from_itself(tmp_path):
    with pytest.raises(ReadsFromItself):
        Store(tmp_path / "own", read_from=tmp_path / "own")
