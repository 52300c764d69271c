"""Archives of samples that cannot be trusted."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile

import pytest
from calibration_world import ARRAYS, PICTURES, png, room_in, tar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axbuild.codes import exit_code_of
from axbuild.toolchain.data import archives
from axbuild.toolchain.data.archives import BrokenArchiveError, UnsafeArchiveError, members


@pytest.fixture
def room(tmp_path):
    return room_in(tmp_path)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "c:\\a.png", "x\\a.png", "a\n.png"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_members_that_lead_out_of_the_archive_are_refused(room, name, kind):
    if kind == "tar":
        tar(room.source / "a.tar", {name: png((0, 0, 0))})
    else:
        with zipfile.ZipFile(room.source / "a.zip", "w") as opened:
            opened.writestr(zipfile.ZipInfo(name), b"")
    with pytest.raises(UnsafeArchiveError) as caught:
        room.run(PICTURES)
    assert exit_code_of(caught.value.code) == 2


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(room, kind):
    with tarfile.open(room.source / "a.tar", "w") as opened:
        info = tarfile.TarInfo("a.png")
        info.type = kind
        info.linkname = "/etc/passwd"
        opened.addfile(info)
    with pytest.raises(UnsafeArchiveError, match=r"'a\.png' that is a link or a device"):
        room.run(PICTURES)


def test_links_of_a_zip_are_refused(room):
    with zipfile.ZipFile(room.source / "a.zip", "w") as opened:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = 0o120777 << 16
        opened.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match=r"'a\.png' that is a link or a device"):
        room.run(PICTURES)


def test_two_members_of_one_name_are_refused(room):
    with tarfile.open(room.source / "a.tar", "w") as opened:
        for _ in range(2):
            opened.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    with pytest.raises(UnsafeArchiveError, match=r"two members named 'a\.png'"):
        room.run(PICTURES)


def test_a_zip_bomb_is_refused_by_what_it_states(room):
    with zipfile.ZipFile(room.source / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.npy", b"\0" * (archives.FREE_BYTES + 1))
    with pytest.raises(UnsafeArchiveError, match="beyond reason for its size"):
        room.run(ARRAYS)


def test_a_tar_that_states_an_absurd_member_is_refused_without_reading_it(room):
    info = tarfile.TarInfo("a.npy")
    info.size = archives.MAX_MEMBER_BYTES + 1
    (room.source / "a.tar.gz").write_bytes(gzip.compress(info.tobuf() + b"\0" * 1024))
    with pytest.raises(UnsafeArchiveError, match=r"member 'a\.npy' of"):
        room.run(ARRAYS)


def test_a_tar_header_that_asks_for_gigabytes_is_refused(room):
    info = tarfile.TarInfo("a.npy")
    info.type = tarfile.XHDTYPE
    info.size = 2**33
    (room.source / "a.tar").write_bytes(info.tobuf() + b"\0" * 1024)
    with pytest.raises(BrokenArchiveError):
        room.run(ARRAYS)


def test_too_many_members_are_refused(room, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    tar(room.source / "a.tar", {f"{index}.png": b"" for index in range(4)})
    with pytest.raises(UnsafeArchiveError, match="more than 3 members"):
        room.run(PICTURES)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), kind=st.sampled_from(["a.tar", "a.tar.gz", "a.zip"]))
def test_a_damaged_archive_is_an_error_or_still_gives_files(tmp_path, data, kind):
    path = tmp_path / kind
    files = {"a.png": png((1, 2, 3)), "b.png": png((4, 5, 6))}
    if kind.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in files.items():
                opened.writestr(name, content)
    else:
        tar(path, files, "w:gz" if kind.endswith("gz") else "w")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    folder = tmp_path / "only"
    folder.mkdir(exist_ok=True)
    path.rename(folder / kind)
    try:
        with contextlib.suppress(UnsafeArchiveError, BrokenArchiveError), members(folder) as found:
            for member in found:
                assert len(member.read()) == member.size
    finally:
        (folder / kind).unlink()
