"""Blobs: what goes in comes out, byte for byte, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from axbuild.codes import exit_code_of
from axbuild.store.blobs import Blobs
from axbuild.store.faults import BlobLost, CacheNotWritable, CacheUnreadable, DiskFull, told_as_store_errors
from axbuild.store.reflink import clone_or_copy
from axbuild.store.store import Store

DATA = bytes(range(256)) * 64
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "cache") as store:
        yield store


def reopened(store: Store) -> Blobs:
    """The same blobs as another process sees them: with nothing remembered."""
    return Blobs(
        store.directory / "cas", store.scratch(), lambda code, sentence: store.reports.append((code, sentence))
    )


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def test_bytes_come_back_under_their_sha256(store):
    assert store.blobs.add_bytes(DATA) == DIGEST
    assert store.blobs.read_bytes(DIGEST) == DATA
    assert store.blobs.path(DIGEST) == store.directory / "cas" / DIGEST[:2] / DIGEST
    assert store.blobs.path(DIGEST).stat().st_mode & 0o777 == 0o444


def test_a_moved_file_is_gone_from_where_it_was_and_a_copied_one_is_not(store):
    moved, kept = store.scratch() / "moved", store.scratch() / "kept"
    moved.write_bytes(DATA)
    kept.write_bytes(b"other")
    assert store.blobs.add_file(moved) == DIGEST
    assert not moved.exists()
    digest = store.blobs.add_file(kept, move=False)
    assert kept.read_bytes() == b"other"
    kept.write_bytes(b"changed later")
    assert store.blobs.read_bytes(digest) == b"other"


def test_a_file_with_a_second_name_is_copied_so_that_no_inode_is_shared(store):
    folder = store.scratch()
    (folder / "one").write_bytes(DATA)
    os.link(folder / "one", folder / "two")
    store.blobs.add_file(folder / "one")
    (folder / "two").write_bytes(b"written through the other name")
    assert store.blobs.read_bytes(DIGEST) == DATA


def test_a_link_is_read_through_and_never_moved_in(store):
    folder = store.scratch()
    (folder / "file").write_bytes(DATA)
    (folder / "link").symlink_to("file")
    assert store.blobs.add_file(folder / "link") == DIGEST
    assert not store.blobs.path(DIGEST).is_symlink()
    assert (folder / "file").read_bytes() == DATA


def test_what_is_materialised_is_writable_and_never_the_blob_itself(store, tmp_path):
    store.blobs.add_bytes(DATA)
    store.blobs.materialise(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_ino != store.blobs.path(DIGEST).stat().st_ino
    (tmp_path / "copy").write_bytes(b"spoilt")
    assert store.blobs.read_bytes(DIGEST) == DATA


def test_a_blob_too_large_to_be_read_in_one_piece_is_checked_and_copied(store, tmp_path):
    digest = store.blobs.add_bytes(data := DATA * 20)
    store.blobs.materialise(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    (tmp_path / "copy").write_bytes(b"spoilt")
    assert store.blobs.read_bytes(digest) == data
    rewrite(store.blobs.path(digest), data[:-1] + b"x")
    with pytest.raises(BlobLost):
        store.blobs.materialise(digest, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_materialising_over_a_file_is_refused(store, tmp_path):
    store.blobs.add_bytes(DATA)
    (tmp_path / "there").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        store.blobs.materialise(DIGEST, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == b"mine"


@pytest.mark.parametrize("position", [0, 5000, len(DATA) - 1])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_flipped_bit_is_found_reported_and_removed(store, tmp_path, position, fresh):
    store.blobs.add_bytes(DATA)
    spoilt = bytearray(DATA)
    spoilt[position] ^= 0x10
    rewrite(store.blobs.path(DIGEST), bytes(spoilt))
    blobs = reopened(store) if fresh else store.blobs
    with pytest.raises(BlobLost) as lost:
        blobs.materialise(DIGEST, tmp_path / "copy")
    assert lost.value.digest == DIGEST
    assert exit_code_of(lost.value.code) == 3
    assert not (tmp_path / "copy").exists()
    assert not blobs.has(DIGEST)
    assert store.reports == [("AX903", f"blob {DIGEST[:16]} of the cache was corrupt and has been removed")]


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"x"])
def test_a_blob_of_the_wrong_size_is_never_read(store, damage):
    store.blobs.add_bytes(DATA)
    rewrite(store.blobs.path(DIGEST), damage)
    with pytest.raises(BlobLost):
        store.blobs.read_bytes(DIGEST)
    assert not store.blobs.has(DIGEST)


def test_a_deleted_blob_is_a_miss_that_is_reported(store, tmp_path):
    store.blobs.add_bytes(DATA)
    store.blobs.path(DIGEST).unlink()
    assert not store.blobs.has(DIGEST)
    with pytest.raises(BlobLost):
        store.blobs.read_bytes(DIGEST)
    with pytest.raises(BlobLost):
        store.blobs.materialise(DIGEST, tmp_path / "copy")
    assert {code for code, _ in store.reports} == {"AX903"}


def test_adding_again_heals_a_corrupt_blob(store):
    store.blobs.add_bytes(DATA)
    rewrite(store.blobs.path(DIGEST), b"rotten")
    store.blobs.add_bytes(DATA)
    assert store.blobs.read_bytes(DIGEST) == DATA
    assert store.reports == []


@pytest.mark.parametrize("damage", ["gone", "flipped", "cut"])
def test_damaged_fingerprints_cost_no_blob(store, damage):
    store.blobs.add_bytes(DATA)
    fingerprints = store.directory / "cas" / DIGEST[:2] / "fingerprints"
    data = bytearray(fingerprints.read_bytes())
    data[40] ^= 1
    if damage == "gone":
        fingerprints.unlink()
    else:
        fingerprints.write_bytes(data if damage == "flipped" else data[:-3])
    assert reopened(store).verify(DIGEST)
    assert reopened(store).read_bytes(DIGEST) == DATA
    assert store.reports == []


def test_fingerprints_are_found_again_once_a_cut_file_was_thrown_away(store):
    store.blobs.add_bytes(DATA)
    fingerprints = store.directory / "cas" / DIGEST[:2] / "fingerprints"
    fingerprints.write_bytes(fingerprints.read_bytes()[:-3])
    reopened(store).verify(DIGEST)
    assert fingerprints.stat().st_size == 56


def test_use_is_marked_once_in_ten_minutes(store):
    store.blobs.add_bytes(DATA)
    path, now = store.blobs.path(DIGEST), time.time()
    os.utime(path, (now - 3 * 86400, now - 3 * 86400))
    store.blobs.has(DIGEST)
    assert path.stat().st_mtime > now - 60
    os.utime(path, (now - 300, now - 300))
    store.blobs.has(DIGEST)
    assert path.stat().st_mtime < now - 200


def test_a_use_in_the_future_does_not_outlast_all_others(store):
    store.blobs.add_bytes(DATA)
    path, now = store.blobs.path(DIGEST), time.time()
    os.utime(path, (now + 9e8, now + 9e8))
    store.blobs.has(DIGEST)
    assert path.stat().st_mtime < now + 60


@pytest.mark.parametrize("name", ["../../etc/passwd", "AB" * 32, "ab" * 31, "", "zz" * 32])
def test_only_a_digest_becomes_a_path(store, name):
    with pytest.raises(ValueError, match="SHA-256"):
        store.blobs.path(name)


@pytest.mark.parametrize(
    ("number", "kind", "exit_code"),
    [
        (errno.ENOSPC, DiskFull, 3),
        (errno.EDQUOT, DiskFull, 3),
        (errno.EROFS, CacheNotWritable, 3),
        (errno.EACCES, CacheNotWritable, 3),
        (errno.EIO, CacheUnreadable, 3),
    ],
)
def test_the_systems_errors_become_sentences(tmp_path, number, kind, exit_code):
    with pytest.raises(kind) as told, told_as_store_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert exit_code_of(told.value.code) == exit_code
    assert str(tmp_path) in told.value.sentence


def test_a_bad_sector_loses_one_blob(store, monkeypatch):
    store.blobs.add_bytes(DATA)

    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("axbuild.store.blobs.read_plain", fail)
    with pytest.raises(BlobLost):
        store.blobs.read_bytes(DIGEST)
    monkeypatch.undo()
    assert not store.blobs.has(DIGEST)


def test_a_copy_that_fails_leaves_no_file(tmp_path, monkeypatch):
    (tmp_path / "source").write_bytes(DATA)

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "sendfile", fail)
    monkeypatch.setattr("fcntl.ioctl", lambda *arguments: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "no")))
    with pytest.raises(OSError, match="No space"):
        clone_or_copy(tmp_path / "source", tmp_path / "target")
    assert not (tmp_path / "target").exists()
