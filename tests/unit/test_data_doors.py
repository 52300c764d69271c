"""The doors at which a data set comes in: whatever a library raises there is a sentence of ours."""

from __future__ import annotations

import zipfile

import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.data.archives import BrokenArchiveError, members
from axbuild.toolchain.data.arrays import BadArrayError, decode_array
from axbuild.toolchain.data.images import decode_image


@pytest.mark.parametrize(
    "raised", [RecursionError("too deep"), IndexError("pop"), KeyError("x"), AssertionError(), LookupError("l")]
)
@pytest.mark.parametrize(
    ("library", "name", "sentence"),
    [
        ("zipfile.ZipFile", "a.zip", "a.zip is not a readable zip archive"),
        ("tarfile.open", "a.tar", "a.tar is not a readable tar archive"),
        ("PIL.Image.open", "a.png", "'a.png' is not a readable picture"),
        ("numpy.lib.format.read_magic", "a.npy", "'a.npy' is not an .npy file"),
    ],
)
def test_whatever_a_library_raises_for_foreign_bytes_is_the_door_s_own_sentence(
    tmp_path, monkeypatch, library, name, sentence, raised
):
    def fail(*_arguments, **_more):
        raise raised

    (tmp_path / name).write_bytes(b"foreign")
    monkeypatch.setattr(library, fail)
    with pytest.raises(AxError) as found:
        read_all(tmp_path)
    assert found.value.sentence.startswith(sentence)
    assert exit_code_of(found.value.code) == 2


def read_all(source):
    with members(source) as listed:
        for member in listed:
            if member.name.endswith(".npy"):
                decode_array(member.read(), member.name, (1,), "float32", "x")
            else:
                decode_image(member.read(), member.name, (1, 1), "RGB")


def test_a_header_of_an_array_that_is_no_python_is_named():
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,"  # what numpy's tokeniser gives up on
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(BadArrayError, match=r"'x\.npy' is not an \.npy file: "):
        decode_array(content, "x.npy", (1,), "float32", "x")


def test_a_member_without_a_name_of_which_zipfile_asks_the_last_letter_is_the_archives_fault(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as made:
        nameless = zipfile.ZipInfo("x")
        nameless.filename = ""
        made.writestr(nameless, b"1")
    with pytest.raises(BrokenArchiveError, match=r"set\.zip is not a readable zip archive: "), members(tmp_path):
        pass


@pytest.mark.parametrize("name", ["set.7z", "set.tar.xz", "set.rar", "set.tar.zst", "set.gz", "set.tar.bz2"])
def test_an_archive_of_another_kind_is_named_with_those_that_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(b"7z\xbc\xaf")
    with pytest.raises(BrokenArchiveError) as raised, members(tmp_path):
        pass
    assert str(raised.value) == (
        f"error AX332: {name} is an archive of a kind that is not read\n"
        "  hint: pack its files as .tar, .tar.gz, .tgz or .zip, or give them as a folder"
    )
