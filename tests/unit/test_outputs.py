import errno

import pytest

from axbuild.codes import exit_code_of
from axbuild.engine.run.content import File
from axbuild.engine.run.outputs import BadOutputPath, OutputFolders, OutputsNotWritable, clean
from axbuild.store.faults import BlobLost
from axbuild.store.statcache import StatCache
from axbuild.store.store import Store

LABEL = "//pkg:t"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "cache") as store:
        yield store


@pytest.fixture
def place(store, tmp_path):
    outputs = OutputFolders(tmp_path, store.blobs, StatCache(tmp_path / "stat"))
    return lambda contents, label=LABEL: outputs.place(label, contents)


def below(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_and_trees_stand_where_they_are_declared(store, place, tmp_path):
    one, two = File(store.blobs.add_bytes(b"one")), File(store.blobs.add_bytes(b"two"))
    paths = place({"compiled.axmodel": one, "compiler/": {"b1/report.json": two}})
    assert paths == ["axbuild-out/pkg/t/compiled.axmodel", "axbuild-out/pkg/t/compiler/b1/report.json"]
    assert below(tmp_path / "axbuild-out/pkg/t") == {"compiled.axmodel": "one", "compiler/b1/report.json": "two"}


def test_a_source_is_copied(place, tmp_path):
    (tmp_path / "a.txt").write_text("source")
    place({"a.txt": File("0" * 64, "a.txt")})
    assert below(tmp_path / "axbuild-out/pkg/t") == {"a.txt": "source"}


def test_what_an_earlier_build_put_there_is_removed_and_nothing_else(store, place, tmp_path):
    blob = File(store.blobs.add_bytes(b"x"))
    place({"old/deep/x": blob, "kept": blob})
    place({"x": blob}, "//pkg/t:sub")
    (tmp_path / "axbuild-out/pkg/t/mine").write_text("mine")
    place({"kept": blob})
    assert below(tmp_path / "axbuild-out/pkg/t") == {"kept": "x", "mine": "mine", "sub/x": "x"}
    assert not (tmp_path / "axbuild-out/pkg/t/old").exists()


def test_a_file_that_is_right_is_left_alone_and_a_wrong_one_replaced(store, place, tmp_path):
    blob = File(store.blobs.add_bytes(b"right"))
    place({"x": blob})
    path = tmp_path / "axbuild-out/pkg/t/x"
    inode = path.stat().st_ino
    place({"x": blob})
    assert path.stat().st_ino == inode
    path.write_text("wrong")
    place({"x": blob})
    assert path.read_text() == "right"


def test_a_file_may_become_a_folder_and_a_folder_a_file(store, place, tmp_path):
    blob = File(store.blobs.add_bytes(b"x"))
    folder = tmp_path / "axbuild-out/pkg/t"
    place({"a": blob})
    place({"a/b": blob})
    assert below(folder) == {"a/b": "x"}
    place({"a": blob})
    assert below(folder) == {"a": "x"}


def test_a_link_in_the_way_is_replaced_and_what_it_leads_to_left(store, place, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    folder = tmp_path / "axbuild-out/pkg/t"
    folder.mkdir(parents=True)
    (folder / "x").symlink_to(target)
    place({"x": File(store.blobs.add_bytes(b"x"))})
    assert (below(folder), target.read_text()) == ({"x": "x"}, "precious")


def test_a_lost_blob_is_told_to_the_caller(place):
    with pytest.raises(BlobLost):
        place({"x": File("ab" * 32)})


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/../b", "."])
def test_a_path_that_leaves_the_folder_is_refused(store, place, name):
    with pytest.raises(BadOutputPath):
        place({name: File(store.blobs.add_bytes(b"x"))})


def test_two_outputs_at_one_place_are_refused(store, place):
    blob = File(store.blobs.add_bytes(b"x"))
    for contents in ({"a": blob, "a/b": blob}, {"a/b": blob, "a": blob}, {"a/": {"b": blob}, "a/b": blob}):
        with pytest.raises(BadOutputPath, match="another output stands at"):
            place(contents)


def test_a_folder_that_cannot_be_made_is_a_clear_error(store, place, tmp_path):
    (tmp_path / "axbuild-out").write_text("a file")
    with pytest.raises(OutputsNotWritable, match="axbuild-out/pkg/t cannot be written"):
        place({"x": File(store.blobs.add_bytes(b"x"))})


def test_clean_removes_every_output(store, place, tmp_path):
    assert clean(tmp_path) is False
    place({"x": File(store.blobs.add_bytes(b"x"))})
    assert clean(tmp_path) is True
    assert not (tmp_path / "axbuild-out").exists()


@pytest.fixture
def fresh(store, tmp_path):
    """Each call is a build of its own."""
    stat = StatCache(tmp_path / "stat")
    return lambda label, contents: OutputFolders(tmp_path, store.blobs, stat).place(label, contents)


def test_a_stale_file_that_a_target_of_a_sub_package_has_taken_over_stays(store, fresh, tmp_path):
    one, two = File(store.blobs.add_bytes(b"one")), File(store.blobs.add_bytes(b"two"))
    fresh("//a:b", {"x/t": one, "own": one})
    fresh("//a/b:x", {"t": two})
    fresh("//a:b", {"y": one})
    assert below(tmp_path / "axbuild-out/a/b") == {"x/t": "two", "y": "one"}
    fresh("//a/b:x", {"other": two})
    assert below(tmp_path / "axbuild-out/a/b") == {"x/other": "two", "y": "one"}


def test_the_root_packages_targets_share_folders_with_packages_too(store, fresh, tmp_path):
    one, two = File(store.blobs.add_bytes(b"one")), File(store.blobs.add_bytes(b"two"))
    fresh("//:b", {"x/t": one})
    fresh("//b:x", {"t": two})
    fresh("//:b", {"y": one})
    assert below(tmp_path / "axbuild-out/b") == {"x/t": "two", "y": "one"}


def test_two_targets_of_one_build_cannot_hand_over_the_same_file(store, place):
    blob = File(store.blobs.add_bytes(b"x"))
    place({"x/t": blob}, "//a:b")
    with pytest.raises(BadOutputPath) as caught:
        place({"t": blob}, "//a/b:x")
    assert caught.value.sentence == "//a/b:x hands over 't': //a:b hands over the same file; rename one of the two"


def test_a_file_never_replaces_another_targets_folder_nor_a_folder_its_file(store, fresh, tmp_path):
    one, two = File(store.blobs.add_bytes(b"one")), File(store.blobs.add_bytes(b"two"))
    fresh("//a/b:x", {"deep/t": two})
    with pytest.raises(BadOutputPath, match="//a/b:x has its files in a folder of that name"):
        fresh("//a:b", {"x": one})
    assert below(tmp_path / "axbuild-out").items() >= {"a/b/x/deep/t": "two"}.items()
    fresh("//c:d", {"x": one})
    with pytest.raises(BadOutputPath, match="//c:d hands over the file c/d/x"):
        fresh("//c/d:x", {"t": two})
    assert (tmp_path / "axbuild-out/c/d/x").read_text() == "one"


def test_what_nobody_claims_makes_way(store, fresh, tmp_path):
    one = File(store.blobs.add_bytes(b"one"))
    fresh("//a:b", {"x/deep": one, "y": one})
    fresh("//a:b", {"x": one, "y/deep": one})
    assert below(tmp_path / "axbuild-out/a/b") == {"x": "one", "y/deep": "one"}
    (tmp_path / "axbuild-out/c").write_text("in the way")
    fresh("//c:d", {"x": one})
    assert below(tmp_path / "axbuild-out/c") == {"d/x": "one"}


def test_nothing_is_written_or_removed_behind_a_link(store, place, tmp_path):
    one, two = File(store.blobs.add_bytes(b"one")), File(store.blobs.add_bytes(b"two"))
    place({"quant/x": one, "other/y": one})
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("quant", "other"):
        folder = tmp_path / "axbuild-out/pkg/t" / name
        next(folder.iterdir()).unlink()
        folder.rmdir()
        folder.symlink_to(mine)
    (mine / "x").write_text("my x")
    (mine / "y").write_text("my y")
    place({"quant/x": two})
    assert below(mine) == {"x": "my x", "y": "my y"}
    assert (tmp_path / "axbuild-out/pkg/t/quant/x").read_text() == "two"


def test_a_full_disk_of_the_outputs_is_not_blamed_on_the_cache(store, place, tmp_path, monkeypatch):
    blob = File(store.blobs.add_bytes(b"x"))

    def full(target, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("axbuild.store.blobs.write_new", full)
    with pytest.raises(OutputsNotWritable) as caught:
        place({"x": blob})
    assert caught.value.sentence == f"the outputs in {tmp_path}/axbuild-out cannot be written: no space left"
    assert exit_code_of(caught.value.code) == 3


def test_outputs_that_may_not_be_written_are_not_the_cache(store, place, tmp_path, monkeypatch):
    blob = File(store.blobs.add_bytes(b"x"))

    def refused(target, data):
        raise PermissionError(errno.EACCES, "Permission denied", str(target))

    monkeypatch.setattr("axbuild.store.blobs.write_new", refused)
    with pytest.raises(OutputsNotWritable) as caught:
        place({"x": blob})
    assert caught.value.sentence == f"the outputs in {tmp_path}/axbuild-out cannot be written: Permission denied"


def test_a_linked_output_folder_is_emptied_and_the_link_stays(tmp_path):
    (tmp_path / "elsewhere" / "m" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere" / "m" / "a" / "x").touch()
    (tmp_path / "axbuild-out").symlink_to("elsewhere")
    assert clean(tmp_path)
    assert (tmp_path / "axbuild-out").is_symlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []
