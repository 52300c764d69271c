"""The stat cache: never wrong about a file, whatever its clock says."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from axbuild.codes import exit_code_of
from axbuild.store import statcache
from axbuild.store.records import read_record, write_record
from axbuild.store.statcache import FileKeepsChanging, StatCache

OLD_NS = 1_600_000_000 * 10**9


@pytest.fixture
def reads(monkeypatch):
    """The files that were read, in order."""
    read = []

    def digest(path):
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(statcache, "digest_of_file", digest)
    return read


@pytest.fixture
def aged(monkeypatch):
    """Let every file written so far come of age at once (its ctime cannot be set)."""

    def age():
        monkeypatch.setattr(statcache.time, "time_ns", lambda: time.perf_counter_ns() + 4 * 10**18)

    return age


def digest_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_old_file_is_read_once_even_by_the_next_process(tmp_path, reads, aged):
    (tmp_path / "f").write_text("one")
    aged()
    cache = StatCache(tmp_path / "state")
    assert cache.digest_of(tmp_path / "f") == digest_of("one")
    assert cache.digest_of(tmp_path / "f") == digest_of("one")
    cache.save()
    assert StatCache(tmp_path / "state").digest_of(tmp_path / "f") == digest_of("one")
    assert reads == ["f"]


def test_a_young_file_is_read_each_time(tmp_path, reads):
    (tmp_path / "f").write_text("one")
    cache = StatCache(tmp_path / "state")
    cache.digest_of(tmp_path / "f")
    assert cache.digest_of(tmp_path / "f") == digest_of("one")
    assert not cache.surely(tmp_path / "f", digest_of("one"))
    assert reads == ["f", "f"]


def test_an_edit_under_the_same_size_and_mtime_is_seen(tmp_path, aged):
    file = tmp_path / "f"
    file.write_text("one")
    os.utime(file, ns=(OLD_NS, OLD_NS))
    aged()
    cache = StatCache(tmp_path / "state")
    assert cache.digest_of(file) == digest_of("one")
    assert cache.surely(file, digest_of("one"))
    assert not cache.surely(file, digest_of("two"))
    time.sleep(0.02)
    file.write_text("two")
    os.utime(file, ns=(OLD_NS, OLD_NS))
    assert cache.digest_of(file) == digest_of("two")


def test_another_file_moved_in_its_place_is_seen(tmp_path, aged):
    for name, text in (("f", "one"), ("g", "two")):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, ns=(OLD_NS, OLD_NS))
    aged()
    cache = StatCache(tmp_path / "state")
    cache.digest_of(tmp_path / "f")
    (tmp_path / "g").rename(tmp_path / "f")
    assert cache.digest_of(tmp_path / "f") == digest_of("two")


def test_a_touched_file_has_the_same_digest(tmp_path):
    (tmp_path / "f").write_text("one")
    cache = StatCache(tmp_path / "state")
    before = cache.digest_of(tmp_path / "f")
    (tmp_path / "f").touch()
    assert cache.unchanged(tmp_path / "f", before)


def test_unchanged_tells_an_edited_and_a_removed_file(tmp_path):
    (tmp_path / "f").write_text("one")
    cache = StatCache(tmp_path / "state")
    (tmp_path / "f").write_text("two")
    assert not cache.unchanged(tmp_path / "f", digest_of("one"))
    (tmp_path / "f").unlink()
    assert not cache.unchanged(tmp_path / "f", digest_of("two"))


def test_a_file_under_the_pen_is_refused(tmp_path, monkeypatch):
    (tmp_path / "f").write_text("one")

    def digest(path):
        with path.open("a") as file:
            file.write("x")
        return "0" * 64

    monkeypatch.setattr(statcache, "digest_of_file", digest)
    with pytest.raises(FileKeepsChanging) as error:
        StatCache(tmp_path / "state").digest_of(tmp_path / "f")
    assert exit_code_of(error.value.code) == 2


@pytest.mark.parametrize("damage", [b"", b"x", b"\x00" * 100])
def test_a_damaged_state_file_counts_as_empty(tmp_path, reads, aged, damage):
    (tmp_path / "f").write_text("one")
    (tmp_path / "state").write_bytes(damage)
    aged()
    assert StatCache(tmp_path / "state").digest_of(tmp_path / "f") == digest_of("one")
    assert reads == ["f"]


def test_every_flipped_bit_of_a_state_file_is_found(tmp_path):
    write_record(tmp_path / "state", 1, {"f": [1, 2, 3, 4, 5, "ab" * 32]})
    data = (tmp_path / "state").read_bytes()
    assert read_record(tmp_path / "state", 1) == {"f": [1, 2, 3, 4, 5, "ab" * 32]}
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x20
        (tmp_path / "state").write_bytes(damaged)
        assert read_record(tmp_path / "state", 1) is None
        (tmp_path / "state").write_bytes(data[:position])
        assert read_record(tmp_path / "state", 1) is None


def test_a_state_file_of_another_version_counts_as_empty(tmp_path):
    write_record(tmp_path / "state", 1, {"f": 1})
    assert read_record(tmp_path / "state", 2) is None


def test_nothing_is_written_when_nothing_was_learnt(tmp_path):
    StatCache(tmp_path / "state").save()
    assert list(tmp_path.iterdir()) == []
