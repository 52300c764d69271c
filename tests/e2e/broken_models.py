"""Models that are broken or not supported: name -> (content of model.onnx, a pattern of what is said of it)."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node
value = helper.make_tensor_value_info


def weight(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def graph(nodes, weights=None, *, shape=(1, 3, 8, 8), kind=FLOAT, output=FLOAT) -> GraphProto:
    """x -> y, `weights` as initialisers."""
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    return helper.make_graph(nodes, "g", [value("x", kind, shape)], [value("y", output, None)], constants)


def model(nodes, weights=None, *, opset=17, ir_version=9, domains=(), **more) -> ModelProto:
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph(nodes, weights, **more), opset_imports=opsets, ir_version=ir_version)


def relu(**more) -> ModelProto:
    return model([node("Relu", ["x"], ["y"], name="act")], **more)


def conv(weights=(4, 3, 3, 3), **attributes) -> ModelProto:
    return model([node("Conv", ["x", "w"], ["y"], name="conv", **attributes)], {"w": weight(*weights)})


def changed(proto: ModelProto, change) -> ModelProto:
    change(proto)
    return proto


def branch(name: str, op_type: str) -> GraphProto:
    return helper.make_graph([node(op_type, ["x"], [name])], name, [], [value(name, FLOAT, None)])


def choice() -> ModelProto:
    nodes = [
        node("ReduceMax", ["x"], ["m"], name="max", keepdims=0),
        node("Cast", ["m"], ["c"], name="cast", to=BOOL),
        node("If", ["c"], ["y"], name="choice", then_branch=branch("t", "Relu"), else_branch=branch("e", "Neg")),
    ]
    return model(nodes)


def loop(trips: str, **weights) -> ModelProto:
    body = helper.make_graph(
        [node("Identity", ["held"], ["on"]), node("Relu", ["a"], ["b"])],
        "body",
        [value("i", INT64, []), value("held", BOOL, []), value("a", FLOAT, None)],
        [value("on", BOOL, []), value("b", FLOAT, None)],
    )
    nodes = [
        node("ReduceMax", ["x"], ["m"], name="max", keepdims=0),
        node("Cast", ["m"], ["computed"], name="cast", to=INT64),
        node("Loop", [trips, "", "x"], ["y"], name="loop", body=body),
    ]
    return model(nodes, weights)


def loop_that_data_ends() -> ModelProto:
    body = helper.make_graph(
        [
            node("Relu", ["a"], ["b"], name="act"),
            node("ReduceMax", ["b"], ["m"], name="max", keepdims=0),
            node("Cast", ["m"], ["on"], name="positive", to=BOOL),
        ],
        "body",
        [value("i", INT64, []), value("held", BOOL, []), value("a", FLOAT, None)],
        [value("on", BOOL, []), value("b", FLOAT, None)],
    )
    return model([node("Loop", ["", "", "x"], ["y"], name="loop", body=body)])


def recursive() -> ModelProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    ring = [
        helper.make_function("mine", name, ["a"], ["b"], [node(other, ["a"], ["b"], domain="mine")], opsets)
        for name, other in (("F", "G"), ("G", "F"))
    ]
    proto = model([node("F", ["x"], ["y"], name="call", domain="mine")], domains=("mine",))
    proto.functions.extend(ring)
    return proto


def sequence_input() -> ModelProto:
    proto = model([node("ConcatFromSequence", ["x"], ["y"], name="join", axis=0)])
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, [1]))
    proto.graph.input[0].type.CopyFrom(kind)
    return proto


def optional_input() -> ModelProto:
    proto = model([node("OptionalGetElement", ["x"], ["y"], name="get")], opset=18)
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [1]))
    proto.graph.input[0].type.CopyFrom(kind)
    return proto


def sparse() -> ModelProto:
    proto = model([node("Add", ["x", "w"], ["y"], name="add")])
    values = numpy_helper.from_array(np.float32([2]), "w")
    indices = numpy_helper.from_array(np.array([1]), "")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [8]))
    return proto


def short_weight() -> ModelProto:
    proto = conv()
    proto.graph.initializer[0].raw_data = bytes(20)
    return proto


def external(location: str, **entries: str) -> ModelProto:
    proto = conv((16, 3, 3, 3))
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=text)
    return proto


def quantised() -> ModelProto:
    scales = {"s": np.float32(0.1), "z": np.uint8(0)}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantise"),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], name="dequantise"),
    ]
    return model(nodes, scales)


def no_weights_of(op_type: str, *shape: int) -> ModelProto:
    return model([node(op_type, ["x", "w"], ["y"], name="node")], {"w": weight(*shape)})


def expand(*shape: int) -> ModelProto:
    return model([node("Expand", ["x", "s"], ["y"], name="bomb")], {"s": np.array(shape)}, shape=(1, 1, 1, 1))


def drop_outputs(proto: ModelProto) -> None:
    del proto.graph.output[:]


def drop_opsets(proto: ModelProto) -> None:
    del proto.opset_import[:]


def drop_nodes(proto: ModelProto) -> None:
    del proto.graph.node[:]


def add_output(name: str):
    return lambda proto: proto.graph.output.append(value(name, FLOAT, None))


def no_graph(proto: ModelProto) -> None:
    proto.ClearField("graph")


def no_type(proto: ModelProto) -> None:
    proto.graph.input[0].ClearField("type")


def no_rank(proto: ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.ClearField("shape")


def negative_dimension(proto: ModelProto) -> None:
    proto.graph.initializer[0].dims[0] = -4


def twice(proto: ModelProto) -> None:
    proto.graph.initializer.append(proto.graph.initializer[0])


def input_twice(proto: ModelProto) -> None:
    proto.graph.input.append(proto.graph.input[0])


LONG = "n" * 1500

REFUSED_BY_THE_CLIENT: dict[str, tuple[bytes | ModelProto, str]] = {
    "empty file": (b"", "is not a readable ONNX model: it has no graph"),
    "text": (b"this is a text, and it goes on for a while", "is not a readable ONNX model: "),
    "LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        r"is not a readable ONNX model(.|\n)*hint: it is a Git LFS pointer, not the file itself: run `git lfs pull`",
    ),
    "zip": (b"PK\x03\x04" + bytes(60), r"is not a readable ONNX model(.|\n)*hint: it is a zip archive, as PyTorch's"),
    "pickle": (b"\x80\x02}q\x00." + bytes(60), r"is not a readable ONNX model(.|\n)*hint: it is a pickle, as older Py"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(60), r"is not a readable ONNX model(.|\n)*hint: it is an HDF5 file"),
    "gzip": (b"\x1f\x8b\x08" + bytes(60), r"is not a readable ONNX model(.|\n)*hint: it is a gzip archive"),
    "truncated": (conv((16, 3, 3, 3)).SerializeToString()[:900], "is not a readable ONNX model: it ends too early"),
    "no graph": (changed(relu(), no_graph), "is not a readable ONNX model: it has no graph"),
    "missing data": (external("w.bin"), r"keeps weights in 'w\.bin', and there is no such file"),
    "data outside": (external("../w.bin"), r"keeps weights in '\.\./w\.bin', which is not a path inside the model's"),
    "absolute data": (external("/etc/passwd"), "keeps weights in '/etc/passwd', which is not a path inside"),
    "folder as data": (external("."), r"keeps weights in '\.', and there is no such file"),
}

REFUSED: dict[str, tuple[bytes | ModelProto, str]] = {
    "no nodes": (changed(relu(), drop_nodes), "is not an ONNX model: it holds no graph with nodes"),
    "no opset": (changed(relu(), drop_opsets), "is not an ONNX model: it holds no graph with nodes and an opset"),
    "no outputs": (changed(relu(), drop_outputs), "the model has no outputs"),
    "undefined tensor": (
        model([node("Relu", ["z"], ["y"], name="act")]),
        r"node 'act' \(Relu\) reads 'z', which nothing",
    ),
    "undefined output": (changed(relu(), add_output("z")), "output 'z' of the model is made by no node"),
    "circle": (
        model(
            [
                node("Add", ["x", "b"], ["a"], name="one"),
                node("Relu", ["a"], ["b"], name="two"),
                node("Relu", ["b"], ["y"]),
            ]
        ),
        r"nodes read each other in a circle: 'one' \(Add\), 'two' \(Relu\)",
    ),
    "tensor made twice": (
        model([node("Relu", ["x"], ["y"], name="one"), node("Neg", ["x"], ["y"], name="two")]),
        r"tensor 'y' is made twice: by node 'one' \(Relu\) and by node 'two' \(Neg\)",
    ),
    "input made again": (
        model([node("Relu", ["x"], ["x"], name="one"), node("Neg", ["x"], ["y"])]),
        r"tensor 'x' is made twice: as an input and by node 'one' \(Relu\)",
    ),
    "initialiser twice": (changed(conv(), twice), "it has two initialisers named 'w'"),
    "output twice": (changed(relu(), add_output("y")), "it has two outputs named 'y'"),
    "input twice": (changed(relu(), input_twice), "tensor 'x' is made twice: as an input and as an input"),
    "input as output": (changed(relu(), add_output("x")), "output 'x' is an input handed through"),
    "unknown operator": (model([node("Reluu", ["x"], ["y"], name="act")]), r"ONNX does not define Reluu x1 \('act'\)"),
    "unknown domain": (
        model([node("Foo", ["x"], ["y"], name="foo", domain="acme")], domains=("acme",)),
        r"ONNX does not define Foo of domain 'acme' x1 \('foo'\)",
    ),
    "undeclared domain": (
        model([node("Foo", ["x"], ["y"], name="foo", domain="acme")]),
        r"ONNX does not define Foo of domain 'acme' x1 \('foo'\)",
    ),
    "wrong attribute type": (conv(pads="same"), r"node 'conv' \(Conv\): Mismatched attribute type in 'conv : pads'"),
    "unknown attribute": (conv(padding=[1]), r"node 'conv' \(Conv\): .*padding"),
    "missing attribute": (model([node("Concat", ["x", "x"], ["y"], name="cat")]), r"node 'cat' \(Concat\): .*'axis'"),
    "too few inputs": (model([node("Conv", ["x"], ["y"], name="conv")]), r"node 'conv' \(Conv\).* input"),
    "too many inputs": (model([node("Relu", ["x", "x"], ["y"], name="act")]), r"node 'act' \(Relu\).* input"),
    "needed input left out": (model([node("Add", ["x", ""], ["y"], name="add")]), r"node 'add' \(Add\).* input"),
    "bytes of a weight": (
        short_weight(),
        r"initialiser 'w' is not \[4, 3, 3, 3\]|'w' is float32 \[4, 3, 3, 3\], 432 bytes",
    ),
    "negative dimension of a weight": (
        changed(conv(), negative_dimension),
        r"Negative dimension value \(tensor name: w\)",
    ),
    "external data cut off": (
        external("data.bin", offset="0", length="99999"),
        r"the data of tensor 'w' ends at byte 99999",
    ),
    "NaN": (model([node("Add", ["x", "w"], ["y"])], {"w": np.float32([1, np.nan] * 4)}), r"'w' \(nan at \[1\]\)"),
    "infinity": (model([node("Add", ["x", "w"], ["y"])], {"w": np.float32([1, np.inf] * 4)}), r"'w' \(inf at \[1\]\)"),
    "text input": (relu(kind=TensorProto.STRING), "input 'x' is string; float32, int32, int64 and bool are supported"),
    "text weight": (
        model(
            [node("StringConcat", ["s", "s"], ["t"], name="text"), node("Relu", ["x"], ["y"])],
            {"s": np.array(["a"])},
            opset=20,
        ),
        "tensor 's' is string",
    ),
    "complex input": (relu(kind=TensorProto.COMPLEX64), "input 'x' is complex64"),
    "untyped input": (changed(relu(), no_type), "input 'x' is of no stated type"),
    "sequence input": (sequence_input(), "input 'x' is a sequence"),
    "optional input": (optional_input(), "input 'x' is an optional value"),
    "sparse weight": (sparse(), "weights are sparse: 'w', 1 in all"),
    "open dimension": (
        relu(shape=(1, 3, "height", 8)),
        r"input 'x' has unknown dimensions: \[1, 3, height, 8\](.|\n)*input_shapes = \{ \"x\" = \[1, 3, ..., 8\] \}",
    ),
    "negative dimension": (relu(shape=(1, 3, -2, 8)), r"input 'x' has unknown dimensions: \[1, 3, \?, 8\]"),
    "zero dimension": (relu(shape=(1, 3, 0, 8)), r"input 'x' has unknown dimensions: \[1, 3, \?, 8\]"),
    "no rank": (changed(relu(), no_rank), r"input 'x' has unknown dimensions: \[\?\]"),
    "huge tensor": (
        expand(1, 2**15, 2**15, 2**15),
        r"tensor 'y' has the shape \[1, 32768, 32768, 32768\], larger than any",
    ),
    "huge input": (
        relu(shape=(1, 2**20, 2**20, 1)),
        r"tensor 'x' has the shape \[1, 1048576, 1048576, 1\], larger than",
    ),
    "recursive functions": (recursive(), "Cycle detected in model-local function references: mine::"),
    "loop of computed length": (loop("computed"), r"Loop x1 \('loop'\) has no constant number of rounds"),
    "loop that data ends": (loop_that_data_ends(), r"Loop x1 \('loop'\) decides in its body, by data, when it ends"),
    "long loop": (loop("n", n=np.array(5000)), r"Loop x1 \('loop'\) runs 5000 times, and at most 1024 are written out"),
    "computed condition": (choice(), r"If x1 \('choice'\) chooses its branch by a condition that is computed"),
    "opset too new": (relu(opset=99), "the model has opset 99; opsets 7 to 24 are supported"),
    "opset too old": (relu(opset=6), "the model has opset 6; opsets 7 to 24 are supported"),
    "IR version too new": (relu(ir_version=99), "the model has IR version 99; versions up to"),
    "channels of a convolution": (conv((4, 5, 3, 3)), r"node 'conv' \(Conv\)"),
    "groups of a convolution": (conv((4, 3, 3, 3), group=2), r"node 'conv' \(Conv\)"),
    "kernel larger than its input": (conv((4, 3, 9, 9)), r"node 'conv' \(Conv\)"),
    "product of matrices": (no_weights_of("MatMul", 7, 4), r"node 'node' \(MatMul\)"),
    "broadcast": (no_weights_of("Add", 5), r"node 'node' \(Add\)"),
    "reshape": (
        model([node("Reshape", ["x", "s"], ["y"], name="shape")], {"s": np.array([1, 7])}),
        r"node 'shape' \(Reshape\)",
    ),
    "concat": (
        model([node("Concat", ["x", "w"], ["y"], name="cat", axis=1)], {"w": weight(1, 3, 4, 8)}),
        r"node 'cat' \(Concat\)",
    ),
    "axis": (model([node("Softmax", ["x"], ["y"], name="soft", axis=7)]), r"node 'soft' \(Softmax\)"),
    "order of a transpose": (
        model([node("Transpose", ["x"], ["y"], name="turn", perm=[0, 1, 1, 2])]),
        r"node 'turn' \(Transpose\)",
    ),
    "types that differ": (
        model([node("Add", ["x", "w"], ["y"], name="add")], {"w": np.array([1, 2])}),
        r"node 'add' \(Add\)",
    ),
    "quantised already": (quantised(), r"the model is quantised already: QuantizeLinear x1 \('quantise'\)"),
    "random": (
        model([node("RandomNormalLike", ["x"], ["y"], name="dice")]),
        r"RandomNormalLike x1 \('dice'\) draws random",
    ),
    "output without input": (
        model([node("Relu", ["x"], ["z"]), node("Relu", ["w"], ["y"])], {"w": weight(3)}),
        "output 'y' does not depend on any input",
    ),
    "long name": (model([node("Reluu", ["x"], ["y"], name=LONG)]), r"ONNX does not define Reluu x1 \('n{100}\.\.\.'\)"),
    "control characters": (
        model([node("Reluu", ["x"], ["y"], name="a\x1b[2Jb\n\u202ec")]),
        r"ONNX does not define Reluu x1 \('a\\x1b\[2Jb\\n\\u202ec'\)",
    ),
}


def content(proto: bytes | ModelProto) -> bytes:
    return proto if isinstance(proto, bytes) else bytes(proto.SerializeToString())
