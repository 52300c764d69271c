"""The one door to what another process has stored."""

import pytest

from axbuild.store.digests import digest_of_bytes
from axbuild.store.faults import BlobLost
from axbuild.store.reading import StoreReader
from axbuild.store.store import Store


def test_what_an_open_store_holds_is_read_without_another_lease(tmp_path):
    reader = StoreReader(tmp_path / "cache")
    with pytest.raises(BlobLost):
        reader.read(digest_of_bytes(b"x"))
    with Store(tmp_path / "cache") as store:
        digest = store.blobs.add_bytes(b"x")
        assert reader.read(digest) == b"x"
        assert store.other_leases() == []


def test_what_the_cache_behind_holds_is_read_and_not_taken_over(tmp_path):
    with Store(tmp_path / "behind") as behind, Store(tmp_path / "cache") as store:
        digest = behind.blobs.add_bytes(b"x")
        assert StoreReader(tmp_path / "cache", tmp_path / "behind").read(digest) == b"x"
        assert not store.blobs.has(digest)


def test_damaged_bytes_are_no_result_and_stay_for_the_store_to_find(tmp_path):
    with Store(tmp_path / "cache") as store:
        digest = store.blobs.add_bytes(b"x")
        path = store.blobs.path(digest)
        path.chmod(0o644)
        path.write_bytes(b"y")
        with pytest.raises(BlobLost):
            StoreReader(tmp_path / "cache").read(digest)
        assert path.read_bytes() == b"y"


def test_a_name_that_is_no_digest_leads_nowhere(tmp_path):
    with pytest.raises(ValueError, match="not a SHA-256"):
        StoreReader(tmp_path).read("../../etc/passwd")
