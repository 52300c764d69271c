"""enable_data_soft_compression: the same model in a smaller file, and files that lie about their sizes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import zstandard

from axbuild.cli.app import run
from axbuild.toolchain.axmodel.compression import compressed, opened
from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.axmodel.read import MalformedError, read
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.axmodel.write import write
from axmodel_world import AX650, SHAPE, lay

SIZES = "axbuild.compressed"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same model as it is, and compressed."""
    folder = tmp_path_factory.mktemp("compressed")
    partition, programs = lay(folder)
    made = []
    for packed in (False, True):
        (folder / str(packed)).mkdir()
        fuse([partition], [programs], folder / str(packed), params=FuseParams(AX650, compressed=packed))
        made.append((folder / str(packed) / "compiled.axmodel").read_bytes())
    return tuple(made)


def changed(content, **edits):
    """The file with other metadata ("sizes") or another params frame ("params")."""
    model = onnx.load_from_string(content)
    if "sizes" in edits:
        next(one for one in model.metadata_props if one.key == SIZES).value = json.dumps(edits["sizes"])
    if "params" in edits:
        next(one for one in model.graph.initializer if one.name == "npu_params").raw_data = edits["params"]
    return model.SerializeToString()


def sizes_of(content):
    model = onnx.load_from_string(content)
    return json.loads(next(one.value for one in model.metadata_props if one.key == SIZES))


def test_a_compressed_model_is_smaller_and_answers_the_same(files):
    plain, packed = files
    assert len(packed) < 0.8 * len(plain)
    x = np.random.default_rng(0).integers(0, 256, (3, *SHAPE[1:]), np.uint8)
    answers = [InferenceSession(content).run(None, {"image": x})[0] for content in files]
    assert answers[0].tobytes() == answers[1].tobytes()


def test_it_holds_the_same_and_is_the_same_bytes_each_time(files):
    plain, packed = (read(content) for content in files)
    assert replace(packed, compressed=frozenset()) == plain
    assert write(packed) == files[1]
    assert SIZES.encode() not in files[0]
    assert packed.stored.keys() == {"npu_params", *(f"subgraph_npu_{n}_b{b}_neu" for n in (0, 1) for b in (1, 2, 4))}


def test_inspect_shows_both_sizes(files, tmp_path, capsys):
    (tmp_path / "m.axmodel").write_bytes(files[1])
    assert run(["inspect", str(tmp_path / "m.axmodel")]) == 0
    container = read(files[1])
    line = f"parameters  512 bytes, {container.stored['npu_params']:,} in the file"
    assert line in capsys.readouterr().out.splitlines()


BOMB = zstandard.ZstdCompressor().compress(bytes(1 << 20))


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda sizes: {"params": BOMB}, "the compressed 'npu_params' does not hold the 512 bytes that are stated"),
        (lambda sizes: {"params": b"no frame"}, "the compressed 'npu_params' is damaged"),
        (lambda sizes: {"params": compressed(bytes(512))[:-2]}, "the compressed 'npu_params' is damaged"),
        (lambda sizes: {"sizes": sizes | {"npu_params": 1 << 40}}, "the sizes of its compressed contents are no sizes"),
        (lambda sizes: {"sizes": sizes | dict.fromkeys(list(sizes)[:2], 2**31 - 1)},
         "bytes, more than any file holds"),
        (lambda sizes: {"sizes": sizes | {"npu_params": 513}},
         "the compressed 'npu_params' does not hold the 513 bytes that are stated"),
        (lambda sizes: {"sizes": sizes | {"other": 1}}, "the compressed 'other' is not there"),
        (lambda sizes: {"sizes": [1]}, "the sizes of its compressed contents are no sizes"),
    ],
)  # fmt: skip
def test_a_file_that_lies_about_its_sizes_is_refused(files, edit, fault):
    content = changed(files[1], **edit(sizes_of(files[1])))
    with pytest.raises(MalformedError) as raised:
        read(content, "m.axmodel")
    assert raised.value.sentence.startswith("m.axmodel is damaged: ")
    assert raised.value.sentence.endswith(fault)


def test_a_frame_of_unknown_size_is_refused():
    """It could go on for ever: what it holds is not stated in it."""
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100))
    with pytest.raises(Exception, match="does not hold the 100 bytes"):
        opened({"a": frame}, {"a": 100})
