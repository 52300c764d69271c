"""A calibration set behind an address: fetched once from a real server, by the digest that its target pins."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from calibration_world import npy, tar
from http_world import SECRET, Server
from onnx import TensorProto, helper, numpy_helper

from net_workspace import QUANT, net_workspace


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


def test_a_set_is_fetched_once_whatever_its_address_is(server, tmp_path):
    rng = np.random.default_rng(2)
    samples = {f"{number}.npy": npy(rng.standard_normal((1, 4)).astype(np.float32)) for number in range(3)}
    server.files["/set.tar"] = tar(tmp_path / "set.tar", samples).read_bytes()
    digest = sha256(server.files["/set.tar"]).hexdigest()
    address = f'src = "{server.url}/set.tar?{SECRET}"\nsha256 = "{digest}"\n'
    zoo = net_workspace(tmp_path / "ws", QUANT.replace('src = "samples"\n', address), net(), [])
    done = zoo.build("//m:quant")
    assert "decode" in done.executed
    assert server.asked == ["/set.tar"]
    assert "hush" not in done.out + done.err
    with zoo.edited("m/BUILD.toml", f"{server.url}/set.tar?{SECRET}", f"{server.url}/moved/set.tar"):
        assert zoo.build("//m:quant").executed == []
    assert server.asked == ["/set.tar"]
