"""Files of a real S3 server: taken in by their digest, or refused with the reason and the way out."""

from hashlib import sha256

import pytest
from s3_world import ACCESS, S3Server

from axbuild.store.fetch import FetchBounds, NotFetched, OtherContent, fetch
from axbuild.store.store import Store

CONTENT = bytes(range(256)) * (40 << 10)
"""more than is asked of s3 at once"""
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def s3():
    served = S3Server()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def environment(s3, monkeypatch, tmp_path):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))  # where no profile of the user's is


@pytest.fixture
def blobs(tmp_path):
    with Store(tmp_path / "store") as store:
        yield store.blobs


def test_an_object_comes_in_whole_and_is_told_as_it_comes(s3, blobs, tmp_path, monkeypatch):
    monkeypatch.setattr("axbuild.store.fetch._TOLD_SECONDS", 0.0)
    told = []
    fetch(s3.put("set.tar", CONTENT), DIGEST, tmp_path, blobs, heard=lambda *said: told.append(said))
    assert blobs.read_bytes(DIGEST) == CONTENT
    assert (told[0], told[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert told == sorted(told)
    assert len(told) >= 10


def test_an_object_that_changed_is_other_content(s3, blobs, tmp_path):
    with pytest.raises(OtherContent, match=f"s3://samples/new.tar has the SHA-256 {DIGEST}, and 0000"):
        fetch(s3.put("new.tar", CONTENT), "0" * 64, tmp_path, blobs)
    assert not blobs.has(DIGEST)
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize("address", ["s3://samples/none.tar", "s3://nowhere/set.tar"])
def test_what_is_not_there_is_said_to_be_not_there(blobs, tmp_path, address):
    with pytest.raises(NotFetched, match="cannot be fetched: there is no such file"):
        fetch(address, DIGEST, tmp_path, blobs)


def test_an_object_that_is_too_large_is_refused_before_it_is_fetched(s3, blobs, tmp_path):
    address, told = s3.put("set.tar", CONTENT), []
    with pytest.raises(NotFetched, match=f"has {len(CONTENT):,} bytes, and at most 1,000 are fetched"):
        fetch(address, DIGEST, tmp_path, blobs, FetchBounds(1000), lambda *said: told.append(said))
    assert told == []


def test_without_credentials_the_error_says_where_they_come_from(s3, blobs, tmp_path, monkeypatch):
    address = s3.put("set.tar", CONTENT)
    for name in ACCESS:
        monkeypatch.delenv(name)
    with pytest.raises(NotFetched, match="there are no credentials for it") as raised:
        fetch(address, DIGEST, tmp_path, blobs)
    assert "AWS_ACCESS_KEY_ID" in raised.value.hint
    assert "FSSPEC_S3_ANON" in raised.value.hint


def test_where_nobody_serves_it_ends_soon_and_says_so(blobs, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(NotFetched, match=r"s3://samples/set\.tar cannot be fetched: nobody answers there"):
        fetch("s3://samples/set.tar", DIGEST, tmp_path, blobs, FetchBounds(silence=1.0))
