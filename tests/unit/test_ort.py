"""onnxruntime's levels: what each does to a graph."""

import numpy as np
import onnx
import onnxruntime
import pytest
from quantised import Net

from axbuild.toolchain import ort


def fusible() -> onnx.ModelProto:
    """What the default level fuses, such as MatMul and its scale, LayerNormalization and Add, Gemm and Relu."""
    n = Net(1, 16, 8, 8)
    n.conv("x", "c", 16, 16, 3, pads=[1] * 4)
    n.add("Relu", ["c"], "r")
    n.add("Transpose", ["r"], "t", perm=[0, 1, 3, 2])
    n.add("MatMul", ["t", "r"], "m")
    n.add("Mul", ["m", n.constant("third", np.float32(1 / 3))], "s")
    n.add("Softmax", ["s"], "p")
    n.add("Add", ["p", n.weight("bias", 8)], "a")
    n.add("Gelu", ["a"], "g")
    n.add("Add", ["g", "a"], "skip")
    n.add("LayerNormalization", ["skip", n.weight("w", 8), n.weight("b", 8)], "l")
    n.add("Flatten", ["l"], "f")
    n.add("Gemm", ["f", n.weight("k", 1024, 4)], "d")
    n.add("Relu", ["d"], "y")
    return n.model("y", opset=20)


def nodes(level: str, tmp_path, monkeypatch) -> list[tuple[str, str]]:
    """(domain, operator) of the graph that a session at the level runs."""
    made = onnxruntime.SessionOptions

    def writing():
        options = made()
        options.optimized_model_filepath = str(tmp_path / f"{level}.onnx")
        return options

    monkeypatch.setattr(onnxruntime, "SessionOptions", writing)
    ort.open_session(fusible().SerializeToString(), level=level)
    monkeypatch.undo()
    return [(node.domain, node.op_type) for node in onnx.load(tmp_path / f"{level}.onnx").graph.node]


def test_blocked_changes_the_layout_of_convolutions_and_fuses_nothing_else(tmp_path, monkeypatch):
    plain, blocked = (nodes(level, tmp_path, monkeypatch) for level in ("basic", "blocked"))
    layout = [node for node in blocked if node[0] == "com.microsoft.nchwc"]
    assert layout == [("com.microsoft.nchwc", name) for name in ("ReorderInput", "Conv", "ReorderOutput")]
    assert plain[:2] == [("", "Conv"), ("", "Relu")], "which are one in that layout"
    assert [node for node in blocked if node not in layout] == plain[2:]
    assert len(nodes("all", tmp_path, monkeypatch)) < len(blocked)


@pytest.mark.parametrize("level", ort.LEVELS)
def test_every_level_computes_the_same_to_rounding(level):
    model = fusible().SerializeToString()
    x = np.random.default_rng(0).normal(size=(1, 16, 8, 8)).astype(np.float32)
    (expected,), (found,) = (ort.open_session(model, level=one).run(None, {"x": x}) for one in ("off", level))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
