"""Files behind addresses: taken in by their digest, or refused with the reason."""

from __future__ import annotations

import sys
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from http_world import SECRET, Server

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.store.fetch import ExtraMissing, FetchBounds, NotFetched, OtherContent, fetch, shown
from axbuild.store.store import Store
from rules_world import CHAIN, layer

TOP = Path(__file__).parents[2]


@pytest.fixture
def server():
    served = Server()
    yield served
    served.stop()


@pytest.fixture
def blobs(tmp_path):
    with Store(tmp_path / "store") as store:
        yield store.blobs


def test_exactly_the_bytes_that_are_pinned_come_in(server, blobs, tmp_path):
    server.files["/set.tar"] = b"samples"
    digest = sha256(b"samples").hexdigest()
    for path in ("set.tar", "elsewhere.tar"):
        fetch(f"{server.url}/{path}?{SECRET}", digest, tmp_path, blobs)
        assert blobs.read_bytes(digest) == b"samples"
    assert server.asked == ["/set.tar", "/elsewhere.tar", "/set.tar"]
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize(
    ("path", "error", "sentence"),
    [
        ("set.tar", OtherContent, "has the SHA-256 {digest}, and {pinned} is pinned"),
        ("none.tar", NotFetched, "cannot be fetched: there is no such file"),
        ("broken.tar", NotFetched, "cannot be fetched: the server answers 500"),
        ("endless.tar", NotFetched, "is larger than 100,000 bytes, and no more are fetched"),
        ("slow.tar", NotFetched, "bytes in 0.3 seconds and was not done|silent for too long"),
        ("silent.tar", NotFetched, "cannot be fetched: it was silent for too long"),
        ("outside.tar", NotFetched, "cannot be fetched: it leads on to what is neither http nor https"),
        ("around.tar", NotFetched, "cannot be fetched: it leads on and on"),
        ("cut.tar", NotFetched, "cannot be fetched: the connection ended before everything had come"),
        ("large.tar", NotFetched, "has 100,001 bytes, and at most 100,000 are fetched"),
    ],
)
def test_a_server_that_does_not_do_its_part_is_named_and_nothing_stays(server, blobs, tmp_path, path, error, sentence):
    server.files["/set.tar"] = b"samples"
    digest, pinned = sha256(b"samples").hexdigest(), "0" * 64
    url = f"{server.url}/{path}?{SECRET}"
    seconds = 0.3 if path.startswith("slow") else 5.0
    with pytest.raises(error, match=sentence.format(digest=digest, pinned=pinned)) as raised:
        fetch(url, pinned, tmp_path, blobs, FetchBounds(100_000, seconds, 0.5))
    assert raised.value.sentence.startswith(f"{server.url}/{path} ")
    assert "hush" not in str(raised.value)
    assert not (tmp_path / "fetched").exists()
    assert not blobs.has(digest)
    assert not blobs.has(pinned)


def test_how_much_has_come_is_told_from_the_start_to_the_end(server, blobs, tmp_path, monkeypatch):
    monkeypatch.setattr("axbuild.store.fetch._TOLD_SECONDS", 0.0)
    server.files["/set.tar"] = bytes(3 << 20)
    told = []
    fetch(
        f"{server.url}/set.tar",
        sha256(bytes(3 << 20)).hexdigest(),
        tmp_path,
        blobs,
        heard=lambda done, total: told.append((done, total)),
    )
    assert (told[0], told[-1]) == ((0, 3 << 20), (3 << 20, 3 << 20))
    assert len(told) > 3
    assert told == sorted(told)


def test_where_no_length_is_told_none_is_made_up(server, blobs, tmp_path):
    told = []
    with pytest.raises(NotFetched, match="is larger"):
        fetch(
            f"{server.url}/endless.tar", "0" * 64, tmp_path, blobs, FetchBounds(1000), lambda *said: told.append(said)
        )
    assert told == [(0, 0)]


def test_nobody_who_serves_is_named_with_the_reason(blobs, tmp_path):
    with pytest.raises(NotFetched, match=r"^error AX386: http://127\.0\.0\.1:9/set\.tar cannot be fetched: nobody "):
        fetch("http://127.0.0.1:9/set.tar", "0" * 64, tmp_path, blobs)


@pytest.mark.parametrize(
    ("url", "library", "extra"), [("https://h/a.tar", "aiohttp", "remote"), ("s3://b/a.tar", "s3fs", "s3")]
)
def test_without_its_library_an_address_says_what_to_install(blobs, tmp_path, monkeypatch, url, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ExtraMissing) as raised:
        fetch(url, "0" * 64, tmp_path, blobs)
    assert raised.value.sentence.endswith(f":// addresses need {library}, which is not installed")
    assert raised.value.hint == f"pip install 'axbuild[{extra}]'"
    extras = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(one.startswith(library) for one in extras[extra])


def test_an_address_is_shown_without_what_may_be_secret():
    assert shown("https://user:pw@host:8/a/b.tar?key=1#x") == "https://host:8/a/b.tar"
    assert shown("s3://bucket/set.tar") == "s3://bucket/set.tar"


MISTAKES = {
    "no digest": (("https://host/set.tar", ""), "AX383", "an address needs the SHA-256 of what it gives"),
    "digest": (
        ("https://host/set.tar", "beef"),
        "AX383",
        "sha256 takes 64 hexadecimal digits in lower case, got 'beef'",
    ),
    "digest behind": (
        ("https://host/set.tar#sha256=beef", ""),
        "AX383",
        "sha256 takes 64 hexadecimal digits in lower case, got 'beef'",
    ),
    "two digests": (
        (f"https://host/set.tar#sha256={'1' * 64}", "0" * 64),
        "AX383",
        "sha256 says one digest, and another stands behind the address",
    ),
    "password": (("https://me:hush@host/set.tar", "0" * 64), "AX384", "an address holds a name or a password"),
    "no file": (("https://host/", "0" * 64), "AX384", "an address names a host, and ends in the name of a file"),
    "no host": (("s3:///set.tar", "0" * 64), "AX384", "an address names a host, and ends in the name of a file"),
    "path": (("samples.tar", "0" * 64), "AX114", "sha256 has no effect: it pins an address, and src is a path"),
    "scheme": (("ftp://host/set.tar", "0" * 64), "AX109", "there is no 'ftp://host/set.tar' in //m"),
}


@pytest.mark.parametrize(("given", "code", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_an_address_that_cannot_be_meant_is_an_error_before_anything_runs(tmp_path, given, code, sentence):
    url, digest = given
    pin = f'sha256 = "{digest}"\n' if digest else ""
    with pytest.raises(AxError) as raised:
        layer(tmp_path)(CHAIN.replace('src = "samples.tar"\n', f'src = "{url}"\n{pin}'))
    assert (raised.value.code, raised.value.sentence) == (code, sentence)
    assert exit_code_of(raised.value.code) == 2
    assert "hush" not in str(raised.value)
