"""Scratch folders: each action finds its own empty, and those that are left as they were made serve again."""

from pathlib import Path

import pytest

from axbuild.store.scratch import Scratches


@pytest.fixture
def scratches(tmp_path):
    folder = tmp_path / "build"
    folder.mkdir()
    return Scratches(folder)


def used(scratches: Scratches) -> Path:
    folder = scratches.new("s")
    (folder / "in/set/deep").mkdir(parents=True)
    (folder / "in/set/deep/file").write_text("x")
    (folder / "in/link").symlink_to(folder / "out")
    (folder / "out/left").write_text("x")
    return folder


def test_a_folder_that_was_given_back_is_empty_and_has_another_path(scratches):
    first = used(scratches)
    inode = first.stat().st_ino
    scratches.give_back(first)
    again = scratches.new("s")
    assert again.stat().st_ino == inode
    assert again != first
    assert not first.exists()
    assert sorted(path.relative_to(again).as_posix() for path in again.rglob("*")) == ["in", "out", "tmp"]


def test_what_a_stage_left_beside_its_parts_goes(scratches):
    folder = used(scratches)
    (folder / "own").mkdir()
    (folder / "own/file").write_text("x")
    (folder / "core").write_text("x")
    scratches.give_back(folder)
    assert sorted(path.name for path in scratches.new("s").iterdir()) == ["in", "out", "tmp"]


@pytest.mark.parametrize("part", [".", "out", "tmp"])
def test_a_folder_whose_mode_a_stage_changed_serves_no_other(scratches, part):
    folder = used(scratches)
    (folder / part).chmod(0o700 if part == "tmp" else 0o777)
    scratches.give_back(folder)
    assert not folder.exists()
    new = scratches.new("s")
    assert {path.stat().st_mode for path in new.iterdir()} == {new.stat().st_mode}


def test_a_part_that_became_a_link_is_not_followed(scratches, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folder = used(scratches)
    (folder / "out/left").unlink()
    (folder / "out").rmdir()
    (folder / "out").symlink_to(outside)
    scratches.give_back(folder)
    assert (outside / "kept").read_text() == "x"
    assert not folder.exists()
    assert (scratches.new("s") / "out").lstat().st_mode == folder.parent.lstat().st_mode
