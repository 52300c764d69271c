"""A calibration set behind an address: fetched once from a real server, by the digest that is pinned for it."""

from __future__ import annotations

import json
from hashlib import sha256

import numpy as np
import onnx
import pytest
from calibration_world import npy, tar
from http_world import SECRET, Server
from onnx import TensorProto, helper, numpy_helper
from s3_world import S3Server

from net_workspace import QUANT, net_workspace
from zoo_workspace import Zoo


@pytest.fixture
def server():
    served = Server()
    yield served
    served.stop()


def net():
    weights = numpy_helper.from_array(np.random.default_rng(1).standard_normal((4, 3), dtype=np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 4), ("y", 3)))
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "g", [x], [y], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The bytes of a set of three samples, and their SHA-256."""
    rng = np.random.default_rng(2)
    samples = {f"{number}.npy": npy(rng.standard_normal((1, 4)).astype(np.float32)) for number in range(3)}
    content = tar(tmp_path_factory.mktemp("set") / "set.tar", samples).read_bytes()
    return content, sha256(content).hexdigest()


def test_a_set_is_fetched_once_whatever_its_address_is(server, archive, tmp_path):
    server.files["/set.tar"], digest = archive
    address = f'src = "{server.url}/set.tar?{SECRET}"\nsha256 = "{digest}"\n'
    zoo = net_workspace(tmp_path / "ws", QUANT.replace('src = "samples"\n', address), net(), [])
    done = zoo.build("//m:quant")
    assert "decode" in done.executed
    assert server.asked == ["/set.tar"]
    assert "hush" not in done.out + done.err
    said = f"//m:quant deal fetches {server.url}/set.tar: 0.0 of {len(archive[0]) / 1e3:.1f} kB"
    assert done.err.count(said) == 1
    with zoo.edited("m/BUILD.toml", f"{server.url}/set.tar?{SECRET}", f"{server.url}/moved/set.tar"):
        assert zoo.build("//m:quant").executed == []
    with zoo.edited("m/BUILD.toml", f'/set.tar?{SECRET}"\nsha256 = "{digest}"', f'/set.tar#sha256={digest}"'):
        assert zoo.build("//m:quant").executed == []
    assert server.asked == ["/set.tar"]


def test_a_build_tells_its_events_how_much_has_come(server, archive, tmp_path):
    server.files["/set.tar"], digest = archive
    address = f'src = "{server.url}/set.tar?{SECRET}"\nsha256 = "{digest}"\n'
    zoo = net_workspace(tmp_path / "ws", QUANT.replace('src = "samples"\n', address), net(), [])
    events = [event for event in zoo.build("//m:quant").events if event["event"] == "fetching"]
    size = len(archive[0])
    assert [(event["done"], event["total"]) for event in events][:: len(events) - 1] == [(0, size), (size, size)]
    assert {(event["action"], event["address"]) for event in events} == {("deal", f"{server.url}/set.tar")}


@pytest.fixture
def s3():
    served = S3Server()
    yield served
    served.stop()


CONFIG = {"input": "net.onnx", "output_dir": "out"}


def vendor_project(folder, address):
    folder.mkdir()
    model = onnx.shape_inference.infer_shapes(net())
    onnx.save(model, folder / "net.onnx")
    data = {"tensor_name": "DEFAULT", "calibration_dataset": address, "calibration_format": "Numpy"}
    (folder / "config.json").write_text(json.dumps(CONFIG | {"quant": {"input_configs": [data]}}))
    return Zoo(folder, folder.parent / "cache")


def test_pulsar2_build_fetches_from_s3_and_leaves_the_files_that_were_used(s3, archive, tmp_path):
    content, digest = archive
    address = s3.put("data/set.tar", content)
    zoo = vendor_project(tmp_path / "project", f"{address}#sha256={digest}")
    zoo.environment |= s3.environment
    done = zoo.run("pulsar2", "build", "--config", "config.json")
    assert done.code == 0, done.out + done.err
    lines = done.out.splitlines()
    fetched = f"INFO    | fetches {address}: 0.0 of {len(content) / 1e3:.1f} kB"
    extracted = f"INFO    | extract [{address}] to [out/quant/dataset/DEFAULT]..."
    assert lines.index(fetched) < lines.index(extracted)
    assert [path.name for path in sorted((zoo.root / "out/quant/dataset/DEFAULT").iterdir())] == [
        f"{number}.npy" for number in range(3)
    ]
    s3.stop()
    again = zoo.run("pulsar2", "build", "--config", "config.json")
    assert again.code == 0, again.out + again.err
    assert "fetches" not in again.out


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("s3://b/set.tar", "AX383", "calibration_dataset: an address needs the SHA-256 of what it gives"),
        (f"https://h/a.tar?{SECRET}", "AX383", "hint: https://h/a.tar#sha256=...:"),
        ("s3://b/set.tar#sha256=beef", "AX383", "calibration_dataset: sha256 takes 64 hexadecimal digits"),
        ("https://me:hush@h/a.tar", "AX384", "calibration_dataset: an address holds a name or a password"),
        ("ftp://h/a.tar", "AX598", "calibration_dataset: nothing is fetched from ftp://"),
    ],
)
def test_an_address_that_pulsar2_build_cannot_use_is_told_before_anything_is_written(tmp_path, address, code, told):
    zoo = vendor_project(tmp_path / "project", address)
    done = zoo.run("pulsar2", "build", "--config", "config.json")
    assert done.code == 2, done.out + done.err
    assert f"error {code}: " in done.err
    assert told in done.err
    assert "hush" not in done.out + done.err
    assert not (zoo.root / "out").exists()


def test_what_pulsar2_build_takes_from_this_machine_alone_may_be_no_address(tmp_path, archive):
    zoo = vendor_project(tmp_path / "project", f"s3://b/set.tar#sha256={archive[1]}")
    flags = ("--compiler.check", "1", "--compiler.input_sample_dir", f"https://h/a.tar?{SECRET}")
    done = zoo.run("pulsar2", "build", "--config", "config.json", *flags)
    assert done.code == 2
    said = "error AX598: compiler.input_sample_dir takes files of this machine, and 'https://h/a.tar' is an address"
    assert said in done.err
    assert "hush" not in done.out + done.err


def test_other_bytes_than_those_that_are_pinned_end_pulsar2_build(server, archive, tmp_path):
    server.files["/set.tar"] = archive[0]
    zoo = vendor_project(tmp_path / "project", f"{server.url}/set.tar#sha256={'0' * 64}")
    done = zoo.run("pulsar2", "build", "--config", "config.json")
    assert done.code == 2
    assert f"error AX387: //:model_quant decode: {server.url}/set.tar has the SHA-256 {archive[1]}" in done.err
    assert not (zoo.root / "out").exists()
