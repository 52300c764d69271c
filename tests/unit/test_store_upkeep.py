"""Accounting and checking of a whole cache, and a second cache that is only read."""

from __future__ import annotations

import sqlite3

import pytest

from axbuild.store.accounting import stats
from axbuild.store.gc import collect
from axbuild.store.result import ActionResult
from axbuild.store.store import ReadsFromItself, Store
from axbuild.store.verify import verify
from store_world import CODE, CODE_DIGEST, Cache, key_record, limits


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path / "cache")
    yield cache
    cache.store.close()


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


def test_a_refused_row_that_was_written_anew_meanwhile_is_not_removed(cache):
    key, digest = cache.result("a")
    cache.reopen()
    with sqlite3.connect(cache.folder / "results" / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 4")
    database.close()
    rows = cache.store.results.rows()
    refused = [row.identity for row in rows.all() if row.name is None]
    rows.close()
    assert len(refused) == 3
    cache.store.results.put(key, ActionResult(key_record(code="c" * 64), {"o": digest}), None)
    cache.store.results.forget(refused)
    assert cache.store.results.get(key).outputs == {"o": digest}
    assert [finding.kind for finding in verify(cache.store).findings] == []


def test_a_database_in_which_nobody_has_come_to_write_is_no_damage(tmp_path):
    with Store(tmp_path / "cache") as store:
        assert verify(store).findings == []
        (tmp_path / "cache" / "results").mkdir()
        (tmp_path / "cache" / "results" / "cache.db").write_bytes(b"")
        assert verify(store).findings == []
        assert collect(store, limits(size=1, days=1)).count == 0


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
    assert reader.results.code(CODE_DIGEST) == CODE
    assert reader.blobs.has(digest)
    assert not reader.blobs.path(digest).exists(), "bytes are taken when they are asked for"
    reader.blobs.materialise(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"theirs".ljust(1000, b".")
    assert reader.blobs.path(digest).stat().st_ino != cache.store.blobs.path(digest).stat().st_ino
    ours = reader.blobs.add_bytes(b"ours")
    reader.results.put("cd" * 32, ActionResult({}, {"o": ours}), None)
    assert names(cache.folder) == before
    assert reader.reports == []


def test_what_a_living_writer_of_another_cache_has_finished_is_seen(cache, reader):
    key, digest = cache.result("theirs", last=False)
    before = set(names(cache.folder))
    assert (cache.folder / "results" / "cache.db-wal").exists()
    assert reader.results.get(key).outputs == {"o": digest}
    later, digest = cache.result("later", last=False)
    assert reader.results.get(later).outputs == {"o": digest}
    new = set(names(cache.folder)) - before
    assert new <= {f"cas/{digest[:2]}", f"cas/{digest[:2]}/{digest}", f"cas/{digest[:2]}/fingerprints"}


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
