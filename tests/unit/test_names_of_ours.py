"""Names that axbuild gives to what it adds to a graph make way for the user's: whatever a user calls things, the
results are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper

from axbuild.toolchain.graph import Names
from axbuild.toolchain.quant.precision import LayerConfig
from chain_world import run_chain
from frontend_world import model, node, normal

RULES = (LayerConfig(op_type="LeakyRelu", data_type="U16"), LayerConfig(op_type="AveragePool", data_type="S8"))
LACKING = ("Softmax", "Add")
"""operators that then go to the CPU although they were quantised"""


ROUNDS = 30


def everything() -> ModelProto:
    """A graph in which every pass adds something, in an old opset and with a function."""
    parameters = ["gamma", "beta", "mean", "var"]
    weights = {
        **{name: np.abs(normal(4)) + np.float32(1) for name in parameters},
        "k": np.float32(3),
        "w": normal(4, 3, 3, 3),
        "w2": normal(4, 4, 1, 1),
        "fc": normal(4, 5),
        "row": normal(5),
        "fc2": normal(5, 4),
        "around": np.array([0, 0, 1, 0, 0, 0, 0, 1]),
    }
    nodes = [
        node("Softsign", ["x"], ["e"], name="bent"),
        node("Mul", ["x", "k"], ["s"], name="scale"),
        node("Conv", ["s", "w"], ["c"], name="conv", auto_pad="SAME_UPPER"),
        node("BatchNormalization", ["c", *parameters], ["b"], name="bn"),
        node("Relu", ["b"], ["r"], name="relu"),
        node("BatchNormalization", ["r", *parameters], ["lone"], name="lone_bn"),
        node("Conv", ["lone", "w2"], ["d"], name="second", pads=[1, 1, 1, 1]),
        node("LeakyRelu", ["d"], ["h"], name="leaky"),
        node("AveragePool", ["h"], ["v"], name="average", kernel_shape=[3, 3]),
        node("Twice", ["v"], ["f"], name="call", domain="mine"),
        node("Sum", ["v", "r", "f"], ["t"], name="sum"),
        node("Concat", ["t", "e"], ["j"], name="join", axis=1),
        node("Pad", ["j", "around"], ["p"], name="pad"),
        node("Squeeze", ["t"], ["flat"], name="squeeze", axes=[0]),
        node("ReduceMean", ["t"], ["m"], name="mean_of", axes=[2, 3], keepdims=0),
        node("Gemm", ["m", "fc", "row"], ["q"], name="gemm", alpha=0.5),
        node("Softmax", ["q"], ["z"], name="soft", axis=1),
        node("Add", ["q", "z"], ["a"], name="add"),
        node("MatMul", ["a", "fc2"], ["y"], name="last"),
    ]
    proto = model(nodes, weights, inputs=(("x", [1, 3, 6, 6]),), outputs=("y", "p", "flat"), opset=12)
    body = [node("Add", ["i", "i"], ["double"], name="double"), node("Relu", ["double"], ["o"], name="clamped")]
    imports = [helper.make_opsetid("", 12)]
    proto.functions.append(helper.make_function("mine", "Twice", ["i"], ["o"], body, imports))
    proto.opset_import.append(helper.make_opsetid("mine", 1))
    return proto


def results(proto: ModelProto, folder: Path) -> list[list[bytes]]:
    """Outputs of the quantised model by sample and place, which the simulated NPU agreed with to the last bit."""
    source = proto.graph.input[0].name
    pictures = np.random.default_rng(3).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    chain = run_chain(
        proto,
        folder,
        {source: list(pictures)},
        images=(source,),
        source="U8",
        layout="NHWC",
        mean=(120.0,),
        std=(60.0,),
        rules=RULES,
        lacking=LACKING,
    )
    assert chain.verdict()["passed"]
    found = chain.reference_outputs(optimized=False).values()
    return [[array.tobytes() for array in outputs.values()] for outputs in found]


def renamed(proto: ModelProto, tensors: dict[str, str], nodes: dict[str, str]) -> ModelProto:
    found = ModelProto()
    found.CopyFrom(proto)
    for item in found.graph.node:
        item.name = nodes.get(item.name, item.name)
        for names in (item.input, item.output):
            names[:] = [tensors.get(name, name) for name in names]
    for value in (*found.graph.input, *found.graph.output, *found.graph.initializer):
        value.name = tensors.get(value.name, value.name)
    return found


def names_made(folder: Path) -> set[str]:
    """Names of all that stands in a model that was written on the way."""
    graphs = [onnx.load(file).graph for file in folder.rglob("*.onnx")]
    tensors = {name for graph in graphs for item in graph.node for name in (*item.input, *item.output)}
    return tensors | {item.name for graph in graphs for item in graph.node}


def test_results_are_the_same_whatever_of_our_names_the_user_has_taken(tmp_path, monkeypatch):
    given: set[str] = set()
    free = Names.free

    def watched(self: Names, like: str) -> str:
        given.add(like)
        return free(self, like)

    monkeypatch.setattr(Names, "free", watched)
    proto = everything()
    expected = results(proto, tmp_path / "own")
    nodes = [item.name for item in proto.graph.node]
    tensors = sorted({name for item in proto.graph.node for name in (*item.input, *item.output)})
    ours = sorted((given | names_made(tmp_path / "own")) - {*tensors, *nodes, ""})
    assert {"x/prepared", "e/codes", "q/real", "conv.weight", "sum.1.out", "flat.before"} <= {*ours}
    rng = np.random.default_rng(5)
    for number in range(ROUNDS):
        moved, named = (list(rng.permutation(names)[: len(names) // 2]) for names in (tensors, nodes))
        # What is named after a tensor or node is a danger only while that one has its name.
        taken = [name for name in ours if _base(name, [*tensors, *nodes]) not in {*moved, *named}]
        some = list(rng.permutation(taken))
        swapped = renamed(proto, _to(moved, some), _to(named, some[::-1]))
        assert results(swapped, tmp_path / str(number)) == expected, (moved, named, some)


def _base(name: str, names: list[str]) -> str:
    return max((own for own in names if name.startswith(own)), key=len, default="")


def _to(names: list[str], taken: list[str]) -> dict[str, str]:
    return dict(zip(names, taken, strict=False))
