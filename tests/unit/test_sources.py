"""Paths, folders and globs of a package, and the data files that belong to an ONNX model."""

import os
import random
import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.workspace.artifact import SourceFiles
from axbuild.workspace.disk import MemoryDisk, RealDisk
from axbuild.workspace.ignore import Ignore
from axbuild.workspace.rulepack import standard_module
from axbuild.workspace.sources import find_sources

external_data = standard_module("_external_data")

FILES = {
    "m/net.onnx": "",
    "m/net.data": "",
    "m/pics/a.png": "",
    "m/pics/b.png": "",
    "m/pics/b.jpg": "",
    "m/pics/deep/c.png": "",
    "m/pics/.hidden.png": "",
    "m/pics/.git/d.png": "",
    "m/pics/skip/e.png": "",
    "m/odd[1].txt": "",
    "m/inner/BUILD.toml": "",
    "m/inner/f.png": "",
    "n/x.png": "",
    "axbuild-out/m/x.bin": "",
}


def find(*items, one_file=False, companions=None, package="m"):
    return find_sources(MemoryDisk(FILES), Ignore((), ("skip",)), package, list(items), one_file, companions)


def names(source):
    assert source.tree
    return [name for name, _ in source.files]


def test_a_file_is_a_single_artifact():
    assert find("net.onnx") == SourceFiles((("net.onnx", "m/net.onnx"),))
    assert find("./pics/a.png") == SourceFiles((("a.png", "m/pics/a.png"),))
    assert find("odd[1].txt") == SourceFiles((("odd[1].txt", "m/odd[1].txt"),))


def test_a_folder_is_a_tree_of_everything_in_it_but_what_is_ignored():
    found = find("pics")
    assert names(found) == ["a.png", "b.jpg", "b.png", "deep/c.png"]
    assert found.files[3][1] == "m/pics/deep/c.png"


def test_a_glob_is_a_tree_even_of_one_file():
    assert names(find("pics/*.png")) == ["a.png", "b.png"]
    assert names(find("pics/**/*.png")) == ["a.png", "b.png", "deep/c.png"]
    assert names(find("pics/?.jpg")) == ["b.jpg"]
    assert names(find("pics/[ab].png")) == ["a.png", "b.png"]
    assert names(find("**/c.png")) == ["pics/deep/c.png"]
    assert names(find("p*/*.jpg")) == ["pics/b.jpg"]


def test_names_in_a_list_are_counted_from_the_folder_that_all_share():
    assert names(find("pics/a.png", "pics/deep/*")) == ["a.png", "deep/c.png"]
    assert names(find("pics/*.png", "net.onnx")) == ["net.onnx", "pics/a.png", "pics/b.png"]
    assert names(find("pics/a.png", "pics/*.png")) == ["a.png", "b.png"]


def test_moving_the_files_together_renames_nothing():
    moved = {path.replace("m/pics", "other/place/of"): text for path, text in FILES.items()}
    there = find_sources(MemoryDisk(moved), Ignore((), ("skip",)), "other", ["place/of/*.png"], False, None)
    assert names(there) == names(find("pics/*.png"))


def test_the_root_package_reaches_every_folder():
    assert names(find("n/*.png", package="")) == ["x.png"]
    assert find("m/net.onnx", package="") == SourceFiles((("net.onnx", "m/net.onnx"),))


MISTAKES = [
    (("nett.onnx",), {}, "AX109: there is no 'nett.onnx' in //m\n  hint: did you mean 'net.onnx'?"),
    (("nett.onnx",), {"one_file": True}, "AX109: there is no 'nett.onnx' in //m\n  hint: did you mean 'net.onnx'?"),
    (("nothing",), {"package": ""}, "AX109: there is no 'nothing' in the workspace's root package"),
    (("pics",), {"one_file": True}, "AX111: 'pics' is a folder, not a file"),
    (("*.tar",), {}, "AX111: no file matches '*.tar'"),
    (("pics/skip",), {}, None),
    (("../n/x.png",), {}, "AX110: '../n/x.png' leaves the package //m\n"
                          "  hint: declare a filegroup in that folder's package and name its label"),
    (("pics/../../n",), {}, "AX110: 'pics/../../n' leaves the package //m\n"
                            "  hint: declare a filegroup in that folder's package and name its label"),
    (("inner/f.png",), {}, "AX110: 'inner/f.png' belongs to the package //m/inner\n"
                           "  hint: declare a filegroup in //m/inner and name its label"),
    (("inner",), {}, "AX110: 'inner' belongs to the package //m/inner\n"
                     "  hint: declare a filegroup in //m/inner and name its label"),
    (("inner/*.png",), {}, "AX110: 'inner/*.png' belongs to the package //m/inner\n"
                           "  hint: declare a filegroup in //m/inner and name its label"),
    (("**/f.png",), {}, "AX111: no file matches '**/f.png'"),
    (("/etc/passwd",), {}, "AX110: '/etc/passwd' is not a path inside the package"),
    (("~/x",), {}, "AX110: '~/x' is not a path inside the package"),
    (("a\\b",), {}, "AX110: 'a\\b' is not a path inside the package"),
    (("axbuild-out/m/x.bin",), {"package": ""}, "AX110: 'axbuild-out/m/x.bin' is an output of a build\n"
                                                "  hint: name the label of the target that makes it"),
]  # fmt: skip


@pytest.mark.parametrize(("items", "how", "message"), MISTAKES)
def test_a_path_that_means_nothing_is_refused(items, how, message):
    if message is None:
        assert names(find(*items, **how)) == ["e.png"]
        return
    with pytest.raises(AxError) as raised:
        find(*items, **how)
    assert str(raised.value) == f"error {message}"
    assert exit_code_of(raised.value.code) == 2


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / b"caf\xe9.png".decode(errors="surrogateescape")).touch()
    with pytest.raises(AxError) as raised:
        find_sources(RealDisk(str(tmp_path)), Ignore(), "m", ["*.png"], False, None)
    assert str(raised.value) == r"error AX110: the name of the file 'm/caf\udce9.png' is not UTF-8"


@pytest.fixture
def pictures(tmp_path):
    """A workspace with one picture in m/pics, and one outside of it."""
    (tmp_path / "w" / "m" / "pics").mkdir(parents=True)
    (tmp_path / "w" / "m" / "pics" / "a.png").touch()
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "deep" / "c.png").touch()
    return tmp_path / "w" / "m" / "pics"


def pngs(root, item="**/*.png"):
    return names(find_sources(RealDisk(str(root)), Ignore(("cache",)), "m", [item], False, None))


def test_links_to_files_and_to_folders_are_followed(pictures, tmp_path):
    (pictures / "b.png").symlink_to(pictures / "a.png")
    (pictures / "far").symlink_to(tmp_path / "far")
    (pictures / "near").symlink_to("far/deep")
    assert pngs(tmp_path / "w") == ["pics/a.png", "pics/b.png", "pics/far/deep/c.png", "pics/near/c.png"]
    assert pngs(tmp_path / "w", "pics") == ["a.png", "b.png", "far/deep/c.png", "near/c.png"]


@pytest.mark.parametrize("circle", ["m", "m/pics", ".", "/", "far and back"])
def test_a_link_that_leads_in_a_circle_is_named(pictures, tmp_path, circle):
    where = "m/pics/loop"
    if circle == "far and back":
        (pictures / "loop").symlink_to(tmp_path / "far")
        (tmp_path / "far" / "back").symlink_to(pictures)
        where = "m/pics/loop/back"
    else:
        (pictures / "loop").symlink_to(tmp_path / "w" / circle)
    with pytest.raises(AxError) as raised:
        pngs(tmp_path / "w")
    assert str(raised.value) == (
        f"error AX110: the link '{where}' leads back to a folder that it lies in\n"
        "  hint: remove it, or list it in .axbuildignore"
    )


@pytest.mark.parametrize("own", ["axbuild-out", "axbuild-out/m", "cache"])
def test_a_link_to_what_builds_write_is_refused(pictures, tmp_path, own):
    (tmp_path / "w" / own).mkdir(parents=True)
    (pictures / "last").symlink_to(tmp_path / "w" / own)
    with pytest.raises(AxError, match=f"AX110: the link 'm/pics/last' leads to what builds write, {own}"):
        pngs(tmp_path / "w")


def test_bytecode_is_in_no_walk_and_no_listing(pictures, tmp_path):
    before = {folder: seen.digest for folder, seen in listings(tmp_path / "w").items()}
    (pictures / "__pycache__").mkdir()
    (pictures / "__pycache__" / "d.png").touch()
    (pictures / "x.pyc").touch()
    assert {folder: seen.digest for folder, seen in listings(tmp_path / "w").items()} == before
    assert pngs(tmp_path / "w", "pics") == ["a.png"]
    assert pngs(tmp_path / "w", "pics/*") == ["a.png"]


def listings(root):
    disk = RealDisk(str(root))
    find_sources(disk, Ignore(), "m", ["pics"], False, None)
    return disk.listings()


@pytest.mark.parametrize("item", ["pics", "pics/*.png", "pics/gone.png"])
def test_a_link_that_leads_nowhere_is_no_file_less(tmp_path, item):
    (tmp_path / "m" / "pics").mkdir(parents=True)
    (tmp_path / "m" / "pics" / "a.png").touch()
    (tmp_path / "m" / "pics" / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "m" / "pics" / ".#a.png").symlink_to("someone@somewhere")
    with pytest.raises(AxError) as raised:
        find_sources(RealDisk(str(tmp_path)), Ignore(), "m", [item], False, None)
    assert str(raised.value) == (
        "error AX109: the link 'm/pics/gone.png' leads to no file\n"
        "  hint: fetch what it should lead to, remove it, or list it in .axbuildignore"
    )
    (tmp_path / "m" / "pics" / "gone.png").unlink()
    assert names(find_sources(RealDisk(str(tmp_path)), Ignore(), "m", ["pics"], False, None)) == ["a.png"]


def tensor(name, location):
    made = numpy_helper.from_array(np.zeros(4, np.float32), name)
    made.ClearField("raw_data")
    made.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        made.external_data.add(key=key, value=value)
    return made


def model(*initializers, nodes=(), functions=()):
    graph = helper.make_graph(list(nodes), "g", [], [], initializer=list(initializers))
    made = helper.make_model(graph, functions=list(functions), doc_string="text " * 3000)
    return made.SerializeToString()


def data_of(content, *others):
    disk = MemoryDisk({"m/sub/net.onnx": content, **dict.fromkeys(others, "")})
    return external_data.external_data_files(disk, "m/sub/net.onnx")


def test_a_model_with_its_weights_inside_has_no_data_files():
    big = numpy_helper.from_array(np.random.default_rng(0).normal(size=100_000).astype(np.float32), "w")
    assert data_of(model(big)) == []


def test_data_files_are_found_wherever_a_tensor_can_stand():
    constant = helper.make_node("Constant", [], ["c"], value=tensor("c", "in_node.data"))
    branch = helper.make_graph([], "then", [], [], initializer=[tensor("t", "in_branch.data")])
    choice = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    inner = helper.make_node("Constant", [], ["c"], value=tensor("c", "deep/in_function.data"))
    function = helper.make_function("d", "f", [], ["c"], [inner], [helper.make_opsetid("", 18)])
    big = numpy_helper.from_array(np.zeros(50_000, np.float32), "w")
    content = model(big, tensor("a", "a.data"), tensor("b", "./a.data"), nodes=[constant, choice], functions=[function])
    found = ["a.data", "deep/in_function.data", "in_branch.data", "in_node.data"]
    assert data_of(content, *(f"m/sub/{name}" for name in found)) == [f"m/sub/{name}" for name in found]


@pytest.mark.parametrize("location", ["../up.data", "/abs.data", "a/../../up.data", "", "C:\\x.data", "..\\up.data"])
def test_a_data_file_outside_the_models_folder_is_refused(location):
    with pytest.raises(AxError) as raised:
        data_of(model(tensor("a", location)), "m/up.data")
    assert str(raised.value) == (
        f"error AX118: m/sub/net.onnx keeps weights in '{location}', which is not a path inside the model's folder"
    )


def test_a_missing_data_file_is_named():
    with pytest.raises(AxError) as raised:
        data_of(model(tensor("a", "w.data")))
    assert str(raised.value) == "error AX118: m/sub/net.onnx keeps weights in 'w.data', and there is no such file"
    assert exit_code_of(raised.value.code) == 2


@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b"\x00" * 100, b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 50]
)
def test_a_file_that_is_no_model_is_refused(content):
    with pytest.raises(AxError, match=r"AX112: m/sub/net\.onnx is not a readable ONNX model: "):
        data_of(content)


def test_a_cut_or_damaged_model_is_read_or_refused_but_never_hangs():
    content = model(tensor("a", "w.data"), nodes=[helper.make_node("Relu", ["x"], ["y"])])[15_000:]
    whole = model(tensor("a", "w.data"))
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(whole if rng.random() < 0.5 else content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            found = data_of(bytes(damaged[: rng.randrange(len(damaged))]), "m/sub/w.data")
        except (external_data.NotOnnx, external_data.BadExternalData):
            continue
        assert set(found) <= {"m/sub/w.data"}


def test_data_files_come_along_in_a_tree():
    disk = MemoryDisk({"m/net.onnx": model(tensor("a", "w/all.data")), "m/w/all.data": ""})
    found = find_sources(disk, Ignore(), "m", ["net.onnx"], True, external_data.external_data_files)
    assert found == SourceFiles((("net.onnx", "m/net.onnx"), ("w/all.data", "m/w/all.data")), tree=True)


def test_onnxs_own_external_data_is_found(tmp_path):
    weights = numpy_helper.from_array(np.arange(1000, dtype=np.float32), "w")
    node = helper.make_node("Identity", ["w"], ["y"])
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1000])
    made = helper.make_model(helper.make_graph([node], "g", [], [output], initializer=[weights]))
    (tmp_path / "m").mkdir()
    onnx.save_model(made, tmp_path / "m" / "net.onnx", save_as_external_data=True, location="net.data")
    assert external_data.external_data_files(RealDisk(str(tmp_path)), "m/net.onnx") == ["m/net.data"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bytes(100_000_000), "byte 0 begins a field without a number"),
        (b"\x08\x01" * 50_000_000, "it has more than 2000000 fields"),
        (b"\x3a\x80\x80\x80\x30" + b"\x0a\x00" * 50_331_648, "it has more than 2000000 fields"),
    ],
    ids=["zeros", "numbers", "empty nodes"],
)
def test_the_client_s_own_reader_ends_soon_whatever_it_reads(data, said):
    begin = time.perf_counter()
    with pytest.raises(AxError) as raised:
        external_data.external_data_files(MemoryDisk({"m/net.onnx": data}), "m/net.onnx")
    assert str(raised.value) == f"error AX112: m/net.onnx is not a readable ONNX model: {said}"
    assert time.perf_counter() - begin < 20.0


def test_brackets_in_the_name_of_a_folder_are_the_folders_own():
    files = {"m/set[1]/a.png": "", "m/set[1]/b.txt": "", "m/set1/c.png": ""}
    found = find_sources(MemoryDisk(files), Ignore(), "m", ["set[1]/*.png"], False, None)
    assert found.files == (("a.png", "m/set[1]/a.png"),)
    without = {path: text for path, text in files.items() if "[" not in path}
    assert find_sources(MemoryDisk(without), Ignore(), "m", ["set[1]/*.png"], False, None).files[0][1] == "m/set1/c.png"


def test_a_name_that_only_looks_the_same_is_told():
    disk = MemoryDisk({"m/mode\u0300le.onnx": ""})
    with pytest.raises(AxError) as caught:
        find_sources(disk, Ignore(), "m", ["mod\u00e8le.onnx"], True, None)
    assert caught.value.hint == (
        "'mode\u0300le.onnx' looks the same and is written with other characters (Unicode NFC and NFD); rename it"
    )


def test_a_pipe_is_no_missing_file(tmp_path):
    (tmp_path / "m").mkdir()
    os.mkfifo(tmp_path / "m" / "a.onnx")
    with pytest.raises(
        AxError, match=r"AX109: 'a\.onnx' is a pipe, a socket or a device, and a source is a plain file"
    ):
        find_sources(RealDisk(str(tmp_path)), Ignore(), "m", ["a.onnx"], True, None)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


def test_a_model_that_is_a_pointer_of_git_lfs_is_told_as_one():
    with pytest.raises(AxError, match="hint: it is a Git LFS pointer, not the file itself: run `git lfs pull`"):
        external_data.external_data_files(MemoryDisk({"m/net.onnx": POINTER}), "m/net.onnx")
