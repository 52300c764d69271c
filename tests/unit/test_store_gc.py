"""Collection: what goes, in which order, and what never goes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from axbuild.store import gc
from axbuild.store.digests import digest_of_value
from axbuild.store.gc import DAY, BeingCollected, collect, collect_if_due
from axbuild.store.locks import FileLock
from axbuild.store.result import ActionResult
from store_world import CODE, CODE_DIGEST, Cache, key_record, limits, now

LEASE_HOLDER = """
import sys
from pathlib import Path
from axbuild.store.result import ActionResult
from axbuild.store.store import Store
with Store(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


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


def test_a_use_by_a_snapshot_is_written_down_so_that_the_next_collection_need_not_ask(cache, monkeypatch):
    key, covered = cache.result("covered", days=50)
    cache.snapshot("s", [key], days=1)
    cache.reopen()
    assert collect_if_due(cache.store, limits(days=30)).blobs == []
    assert abs(cache.store.blobs.path(covered).stat().st_mtime - (now() - DAY)) < 60
    monkeypatch.setattr(cache.store.results, "rows", lambda: pytest.fail("the rows are read"))
    monkeypatch.setattr(gc.time, "time", lambda: now() + 1.1 * DAY)
    assert collect_if_due(cache.store, limits(days=30)).blobs == []


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
    removed, real = [], gc._remove

    def remove(store, blob):
        removed.append(older.exists())
        return real(store, blob)

    monkeypatch.setattr(gc, "_remove", remove)
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
    os.utime(cache.store.blobs.path(digest), (now() - 50 * DAY, now() - 50 * DAY))
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
    monkeypatch.setattr(gc.time, "time", lambda: now() + 1.1 * DAY)
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
    monkeypatch.setattr(gc.time, "time", lambda: now() + jump)
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
    later = now() + 40 * DAY
    monkeypatch.setattr(gc.time, "time", lambda: later)
    collect(cache.store, limits(days=30))
    collect(cache.store, limits(days=30))
    assert cache.store.results.get(kept) is not None
    assert cache.store.results.get(gone) is None


def test_a_map_of_code_goes_with_the_last_record_that_names_it(cache, monkeypatch):
    other = {"./c.py": "6" * 64}
    digest = digest_of_value(other)
    cache.result("a")
    cache.store.results.put("cd" * 32, ActionResult(key_record(code=digest), {}), other)
    cache.reopen()
    assert cache.store.results.code(digest) == other
    later = now() + 40 * DAY
    monkeypatch.setattr(gc.time, "time", lambda: later)
    collect(cache.store, limits(days=30))
    collect(cache.store, limits(days=30))
    assert cache.store.results.code(CODE_DIGEST) == CODE
    assert cache.store.results.code(digest) is None


def test_what_killed_processes_left_is_cleared_away(cache):
    torn, young = cache.state.folder / ".stat.msgpack.123", cache.state.folder / ".code.msgpack.456"
    aside = cache.folder / "results.damaged-1"
    torn.write_text("half")
    young.write_text("half")
    aside.mkdir()
    os.utime(torn, (now() - 2 * DAY, now() - 2 * DAY))
    os.utime(aside, (now() - 40 * DAY, now() - 40 * DAY))
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
        os.utime(path, (now() - 40 * DAY, now() - 40 * DAY))
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
