"""The verifier of the quantised graph: each thing that must hold, broken by hand, has its sentence."""

import msgpack
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from quantised import Net, quantised

from axbuild.errors import AxError
from axbuild.toolchain.quant.scheme import Scheme, SchemeError
from axbuild.toolchain.quant.verify import GraphFault, verify


@pytest.fixture(scope="module")
def made():
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3)
    n.conv("a", "b", 4, 4)
    n.add("Transpose", ["b"], "t", perm=[0, 1, 3, 2])
    n.add("Softsign", ["t"], "e")
    n.add("Add", ["a", "t"], "y")
    return quantised(n.model("e", "y"), n.samples())


def copied(made) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(made.model)
    return model


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(item for item in model.graph.node if item.name == name)


def attribute(model: onnx.ModelProto, of: str, name: str, value: object) -> None:
    item = node(model, of)
    (old,) = (entry for entry in item.attribute if entry.name == name)
    old.CopyFrom(helper.make_attribute(name, value))


def info(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(item for item in model.graph.value_info if item.name == name)


def test_what_the_quantiser_makes_is_sound(made):
    verify(made.model)


def _other_scale(model):
    attribute(model, "b", "x_scale", 0.5)


def _other_zero(model):
    attribute(model, "y", "a_zero", 3)


def _other_type(model):
    attribute(model, "t", "type", "U16")
    node(model, "t").overload = "u16_u16"


def _no_body(model):
    del model.functions[:]


def _two_writers(model):
    node(model, "t").output[0] = "b"


def _unwritten(model):
    node(model, "b").input[0] = "nowhere"


def _unread(model):
    model.graph.node.append(node(model, "t"))
    model.graph.node[-1].name, model.graph.node[-1].output[0] = "spare", "spare"
    model.graph.value_info.append(info(model, "t"))
    model.graph.value_info[-1].name = "spare"


def _unread_constant(model):
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "idle"))


def _float_reads_codes(model):
    node(model, "e").input[0] = "b"


def _shape(model):
    info(model, "b").type.tensor_type.shape.dim[1].dim_value = 5


def _output_of_codes(model):
    model.graph.output.append(info(model, "b"))


FAULTS = {
    "a reader of another scale": (_other_scale, r"'b'.* reads 'a' as U8 of scale 0\.5 .*, and that is U8"),
    "a reader of another zero": (_other_zero, "'y'.* reads 'a' as U8"),
    "a mover of another type": (_other_type, "'t'"),
    "a node without its body": (_no_body, "the body AxQuantizeLinear"),
    "a tensor written twice": (_two_writers, "'b' is written twice"),
    "a tensor nobody writes": (_unwritten, "'b': nothing has written 'nowhere'"),
    "a node nobody reads": (_unread, "'spare': nobody reads"),
    "a constant nobody reads": (_unread_constant, "'idle': nobody reads this constant"),
    "a float operator on codes": (_float_reads_codes, "'e': the float operator reads the codes 'b'"),
    "another shape": (_shape, r"'b'.*\[1, 4, 8, 8\].*\[1, 5, 8, 8\]"),
    "an output of codes": (_output_of_codes, "'b': the output is U8, and its writer makes U8 of scale"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_names_its_node_and_edge(made, fault):
    change, sentence = FAULTS[fault]
    model = copied(made)
    change(model)
    with pytest.raises(GraphFault, match=sentence) as caught:
        verify(model)
    assert caught.value.code == "AX359"


def test_the_scheme_file_reads_back_as_it_was_written(made, tmp_path):
    made.scheme.write(tmp_path / "a")
    Scheme.read(tmp_path / "a").write(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


DAMAGES = {
    "another format": lambda tree: tree.update(format="x"),
    "no sites": lambda tree: tree.update(sites=None),
    "a site without nodes": lambda tree: tree["sites"][0].update(nodes=[]),
    "an unknown form": lambda tree: tree["sites"][0].update(form="magic"),
    "no grid": lambda tree: tree["sites"][0]["writes"].update(a=[-1.0, 0, "U8"]),
    "an edge of two parts": lambda tree: tree["sites"][0]["writes"].update(a=[1.0, 0]),
    "codes that are cut": lambda tree: tree["sites"][0]["weight"].update(codes=b"\0"),
    "a scale of zero": lambda tree: tree["sites"][0]["weight"].update(scale=bytes(16)),
    "a bias of text": lambda tree: tree["sites"][0]["weight"].update(bias="x"),
    "a weight of floats": lambda tree: tree["sites"][0]["weight"].update(type="FP32"),
    "owners of numbers": lambda tree: tree.update(owners=[1]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_scheme_is_refused(made, tmp_path, damage):
    made.scheme.write(tmp_path / "s")
    tree = msgpack.unpackb((tmp_path / "s").read_bytes())
    DAMAGES[damage](tree)
    (tmp_path / "s").write_bytes(msgpack.packb(tree))
    with pytest.raises(SchemeError):
        Scheme.read(tmp_path / "s")


def test_cut_and_flipped_schemes_give_our_error_or_a_valid_reading(made, tmp_path):
    made.scheme.write(tmp_path / "good")
    good, rng, refused = (tmp_path / "good").read_bytes(), np.random.default_rng(5), 0
    for index in range(300):
        bad = bytearray(good[: rng.integers(len(good))] if index % 2 else good)
        if index % 2 == 0:
            bad[rng.integers(min(len(bad), 400))] ^= int(rng.integers(1, 256))
        (tmp_path / "bad").write_bytes(bytes(bad))
        try:
            Scheme.read(tmp_path / "bad")
        except AxError as error:
            refused += error.code in ("AX357", "AX457")
    assert refused > 150
