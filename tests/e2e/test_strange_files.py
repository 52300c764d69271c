"""FIFOs, devices, sockets and links to nowhere where a cache or state file is expected: no hang, no trace."""

from __future__ import annotations

import os
import socket
from itertools import count
from pathlib import Path

import pytest

from tiny_workspace import Tiny

KINDS = ("fifo", "device", "socket", "nowhere", "folder")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    tiny = Tiny(tmp_path_factory.mktemp("strange") / "ws")
    tiny.build()
    return tiny


def put(kind: str, path: Path) -> None:
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                os.chdir(path.parent)
                made.bind(path.name)
        case "nowhere":
            path.symlink_to("nowhere/at/all")
        case "folder":
            path.mkdir()


def one(root: Path, pattern: str) -> Path:
    return min(root.glob(pattern))


NUMBERS = count()

PLACES = [
    "cache/workspaces/*/stat.msgpack",
    "cache/workspaces/*/code.msgpack",
    "cache/workspaces/*/packages.msgpack",
    "cache/workspaces/*/builds/made.log",
    "cache/workspaces/*/builds/0*",
    "cache/workspaces/*/root",
    "cache/workspaces/*/snapshots/*.keys",
    "cache/results/cache.db",
    "cache/cas/*/fingerprints",
    "cache/cas/*/[0-9a-f]*[0-9a-f]",
    "cache/collected",
    "axbuild-out/.axbuild/.snapshots/*",
    "axbuild-out/.axbuild/p/both.json",
    "axbuild-out/p/both/text",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_none_of_ours_is_made_again_or_named(tiny, place, kind):
    found = sorted(tiny.root.glob(place))
    if not found:  # a build as small as this one may have had no reason to make it
        (folder,) = tiny.root.glob(place.rpartition("/")[0])
        found = [folder / place.rpartition("/")[2]]
    target = found[0]
    put(kind, target)
    word = f"w{next(NUMBERS)}"
    tiny.write("p/a.txt", word)  # so that no snapshot answers
    done = tiny.build()
    if done.code != 0:
        assert done.code == 3
        assert kind == "folder"
        assert "error AX911: " in done.err or "error AX950: " in done.err or "error AX905: " in done.err
        assert str(target.relative_to(tiny.root)) in done.err
        if target.is_dir():
            target.rmdir()
        done = tiny.build()
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    output = tiny.root / "axbuild-out/p/both/text"
    assert output.is_file()
    assert not output.is_symlink()
    assert output.read_text() == f"{word.upper()}! my world"


@pytest.mark.parametrize("kind", [*KINDS[:4], "file"])
def test_a_cache_that_is_no_folder_is_named(tmp_path, kind):
    tiny = Tiny(tmp_path / "ws")
    if kind == "file":
        tiny.write("cache", "mine")
    else:
        put(kind, tiny.root / "cache")
    done = tiny.build()
    assert (done.code, "Traceback" in done.err) == (3, False), done.err
    assert f"error AX911: {tiny.root}/cache" in done.err
