"""What is missing or damaged in the cache is made again, and told in one line."""

import re
import shutil

import pytest

from tiny_workspace import Tiny

OUTPUTS = {
    "axbuild-out/p/both/text": "HELLO! my world",
    "axbuild-out/p/words/words/my.txt": "MY WORLDmy",
    "axbuild-out/p/words/words/world.txt": "MY WORLDworld",
}


@pytest.fixture
def built(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    assert tiny.build("//...").code == 0
    shutil.rmtree(tiny.root / "axbuild-out")
    return tiny


def blobs(tiny):
    return [path for path in (tiny.root / "cache/cas").rglob("*") if len(path.name) == 64]


def damage(path):
    path.chmod(0o644)
    path.write_bytes(b"nonsense")


def warnings(done):
    return re.findall(r"^warning .*$", done.err, re.MULTILINE)


def test_everything_missing_is_one_line(built):
    for path in blobs(built):
        path.unlink()
    done = built.build("//...")
    assert (done.code, len(done.executed)) == (0, 9)
    [said] = warnings(done)
    assert re.fullmatch(
        r"warning AX903: 9 stored results were missing; made again \(the first of //p:[ab] strip\)", said
    )
    assert {name: built.read(name) for name in OUTPUTS} == OUTPUTS
    assert warnings(built.build("//...", _AXBUILD_NO_SNAPSHOT="1")) == []


def test_one_missing_result_is_named(built):
    for path in blobs(built):
        if path.read_bytes() == b"HELLO!":
            path.unlink()
    done = built.build("//p:both")
    assert done.executed == ["shout"]
    assert warnings(done) == ["warning AX903: 1 stored result was missing; made again (of //p:loud shout)"]


def test_everything_damaged_is_one_line(built):
    for path in blobs(built):
        damage(path)
    done = built.build("//...")
    assert done.code == 0
    [said] = warnings(done)
    again = len(done.executed)
    assert re.fullmatch(
        rf"warning AX903: {again} stored results were missing or damaged; made again \(the first of .*\)", said
    )
    assert {name: built.read(name) for name in OUTPUTS} == OUTPUTS


def test_some_missing_and_some_damaged_is_one_line(built):
    for path in blobs(built):
        if path.read_bytes() == b"HELLO!":
            path.unlink()
        elif path.read_bytes().startswith(b"MY WORLD"):
            damage(path)
    done = built.build("//p:loud", "//p:words")
    assert sorted(done.executed) == ["shout", "shout", "shout"]
    [said] = warnings(done)
    assert said.startswith("warning AX903: 3 stored results were missing or damaged; made again (the first of //p:")
