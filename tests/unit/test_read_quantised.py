"""A quantised model from a file: what it gives, and how everything else is refused."""

import base64
import json

import numpy as np
import onnx
import pytest
from npu_world import support_of
from onnx import TensorProto, helper, numpy_helper
from quantised import Net, quantised
from quantised_file import files, read, written

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.frontend.attributes import OpPatch
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.quant.outline import outline_of
from axbuild.toolchain.quant.tensors import NODES


@pytest.fixture(scope="module")
def net():
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 24, 3)
    n.conv("a", "b", 24, 24)
    n.add("Transpose", ["b"], "t", perm=[0, 1, 3, 2])
    n.add("Softsign", ["t"], "e")
    n.add("Mul", ["e", n.constant("half", np.full((1, 24, 8, 8), 0.5))], "m")
    n.add("Add", ["a", "t"], "y")
    return n


@pytest.fixture(scope="module")
def made(net):
    return quantised(net.model("m", "y"), net.samples())


def node(model, name):
    return next(one for one in model.graph.node if one.name == name)


def test_it_comes_out_as_it_was_with_its_interface_and_its_operators(made, tmp_path):
    out = read(written(made, tmp_path / "in"), tmp_path / "out")
    found = files(out)
    assert sorted(found) == [
        "interface.json",
        "outline/operators.json",
        "outline/optimized.onnx",
        "quant_axmodel.json",
        "quant_axmodel.onnx",
    ]
    assert found["quant_axmodel.onnx"] == made.content
    assert json.loads(found["quant_axmodel.json"]) == made.records
    assert json.loads(found["outline/operators.json"]) == {"Add": 1, "Conv": 2, "Mul": 1, "Softsign": 1, "Transpose": 1}
    assert json.loads(found["interface.json"])["inputs"] == [{"name": "x", "shape": [1, 3, 8, 8], "dtype": "float32"}]


def test_an_outline_holds_no_weight_that_is_large(made):
    outline = outline_of(made.model)
    assert {value.name for value in outline.graph.input} == {"x", "b_w", "half"}
    assert {tensor.name for tensor in outline.graph.initializer} == {"a_w", "a_b", "b_b"}
    assert len(outline.SerializeToString()) < len(made.content) / 3


def test_weights_in_a_file_of_their_own_are_taken_in(made, tmp_path):
    folder = written(made, tmp_path / "in")
    model = onnx.load_from_string(made.content)
    onnx.save(model, folder / "quant_axmodel.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    assert len((folder / "quant_axmodel.onnx").read_bytes()) < len(made.content)
    assert files(read(folder, tmp_path / "out"))["quant_axmodel.onnx"] == made.content


def test_another_name_of_the_file_is_no_matter(made, tmp_path):
    folder = written(made, tmp_path / "in")
    for path in list(folder.iterdir()):
        path.rename(path.with_stem("net.v2"))
    assert files(read(folder, tmp_path / "out"))["quant_axmodel.onnx"] == made.content


def planned(made, tmp_path, chip):
    out = read(written(made, tmp_path / "in"), tmp_path / "out")
    (tmp_path / "planned").mkdir()
    params = PartitionParams(chip, ())
    partition(out / "quant_axmodel.onnx", out / "outline", tmp_path / "planned", params=params)
    return tmp_path / "planned"


def test_constants_of_float_operators_come_from_the_quantised_model(tmp_path):
    """A float operator and its constant of 6 kB stand in it as they are."""
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 24, 3)
    steps = np.full((1, 24, 8, 8), 2.0, np.float32)
    n.add("Mod", ["a", n.constant("steps", steps)], "y", fmod=1)
    out = planned(quantised(n.model("y"), n.samples()), tmp_path, support_of())
    on_cpu = onnx.load(out / "partition/subgraph_cpu_0.onnx")
    assert [one.op_type for one in on_cpu.graph.node] == ["Mod"]
    assert np.array_equal(numpy_helper.to_array(on_cpu.graph.initializer[0]), steps)


def test_an_operator_whose_weights_are_left_out_cannot_go_to_the_cpu(made, tmp_path):
    chip = support_of()
    lacking = type(chip)(chip.name, {name: limits for name, limits in chip.operators.items() if name != "Conv"})
    with pytest.raises(AxError) as raised:
        planned(made, tmp_path, lacking)
    assert str(raised.value) == (
        "error AX591: operator 'b' runs on the CPU of this chip, and its float weights 'b_w' are not in the quantised "
        "model\n  hint: build from the float model, which has them"
    )
    assert exit_code_of(raised.value.code) == 2


def test_a_shape_that_it_has_may_be_asked_for_and_no_other(made, tmp_path):
    folder = written(made, tmp_path / "in")
    read(folder, tmp_path / "out", input_shapes={"x": (1, 3, 8, 8)})
    for shapes, sentence in (
        (
            {"x": (1, 3, 16, 16)},
            "input_shapes says [1, 3, 16, 16] for 'x', and the model was quantised at [1, 3, 8, 8]",
        ),
        ({"z": (1,)}, "input_shapes names 'z', and the quantised model's inputs are x"),
    ):
        with pytest.raises(AxError) as raised:
            read(folder, tmp_path / f"out{len(shapes)}{sentence[-1]}", input_shapes=shapes)
        assert (raised.value.code, raised.value.sentence) == ("AX591", sentence)


# What is no quantised model -------------------------------------------------------------------------------------


def _float(model):
    return onnx.load_from_string(outline_of(model).SerializeToString())


def _qdq(model):
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    scale = [numpy_helper.from_array(np.float32(1), "s")]
    ends = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])]
    return helper.make_model(helper.make_graph(nodes, "qdq", [port], ends, scale))


def _vendors(model):
    for one in model.graph.node:
        one.domain = ""
    return model


def _empty(model):
    return onnx.ModelProto()


def _other_body(model):
    body = next(one for one in model.functions if one.name == "AxQuantizedConv")
    body.node[0].op_type = "Neg"
    return model


def _one_body_more(model):
    model.functions.add().CopyFrom(model.functions[0])
    model.functions[-1].name = "AxOther"
    return model


def _no_body(model):
    del model.functions[0]
    return model


def _scale_of_one_reader(model):
    next(entry for entry in node(model, "b").attribute if entry.name == "x_scale").f *= 2
    return model


def _scale_of_all(model):
    """An output's grid, at its writer and its readers."""
    old = next(entry.f for entry in node(model, "b").attribute if entry.name == "x_scale")
    for one in model.graph.node:
        for entry in one.attribute:
            if entry.name.endswith("_scale") and entry.f == old:
                entry.f = np.float32(old * 2)
    return model


def _weights_of_another_type(model):
    weight = next(one for one in model.graph.initializer if one.data_type == TensorProto.INT8)
    weight.data_type = TensorProto.UINT8
    return model


def _too_few_bytes(model):
    weight = next(one for one in model.graph.initializer if one.data_type == TensorProto.INT8)
    weight.raw_data = weight.raw_data[:-1]
    return model


def _no_outline(model):
    del model.metadata_props[:]
    return model


def _bad_base64(model):
    model.metadata_props[0].value = "%%%"
    return model


def _outline(change):
    def changed(model):
        outline = outline_of(model)
        change(outline)
        model.metadata_props[0].value = base64.b64encode(outline.SerializeToString()).decode()
        return model

    changed.__name__ = change.__name__
    return changed


def _outline_of_no_model(outline):
    outline.ClearField("graph")


def _outline_lacks_an_operator(outline):
    outline.graph.node[1].name = "other"


def _outline_of_another_input(outline):
    outline.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 9


def _outline_of_another_float_operator(outline):
    next(one for one in outline.graph.node if one.op_type == "Softsign").op_type = "Softplus"


def _outline_of_another_tensor(outline):
    for one in outline.graph.node:
        one.output[:] = [f"{name}_" if name == "t" else name for name in one.output]
        one.input[:] = [f"{name}_" if name == "t" else name for name in one.input]


def _note(value):
    def changed(model):
        next(entry for entry in node(model, "b").metadata_props if entry.key == NODES).value = value
        return model

    changed.__name__ = f"note_{value[:8]}"
    return changed


def _external(location):
    def changed(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        return model

    changed.__name__ = f"external_{location[:6]}"
    return changed


def _older_opset(model):
    model.opset_import[0].version = 17
    return model


BROKEN = {
    _float: "none of its operators is quantised, as in a float model",
    _qdq: "it has QuantizeLinear and DequantizeLinear nodes, as a QuantONNX model has",
    _vendors: "is an operator of the vendor's own toolchain, whose definition is not public",
    _empty: "it has 0 bytes",
    _other_body: "the body is not the one that this axbuild writes",
    _one_body_more: "at 'AxOther",
    _no_body: "is not there",
    _scale_of_one_reader: "at 'b': it reads 'a' as U8 of scale",
    _scale_of_all: "are not those of its grids",
    _weights_of_another_type: "must be int8",
    _too_few_bytes: "cannot reshape",
    _no_outline: "it does not hold the outline of its float model",
    _bad_base64: "the outline of its float model is damaged",
    _outline(_outline_of_no_model): "is no quantised model of axbuild",
    _outline(_outline_lacks_an_operator): "it stands for 'b', and the outline has no such operator",
    _outline(_outline_of_another_input): "its inputs and outputs are not the model's",
    _outline(_outline_of_another_float_operator): "the float operator is another one in the outline",
    _outline(_outline_of_another_tensor): "it stands for the tensor 't', and the outline has none",
    _note("[1]"): "its note axbuild.nodes is no list of names",
    _note(""): "its note axbuild.nodes is no list of names",
    _note("["): "its note axbuild.nodes is no list of names",
    _note("[" * 100_000): "its note axbuild.nodes is no list of names",
    _note("[]"): "do not agree",
    _older_opset: "the opsets are",
    _external("gone.bin"): "the data file 'gone.bin' of tensor",
    _external("../x"): "is not inside the model's folder",
    _external("/etc/passwd"): "is not inside the model's folder",
}


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda one: one.__name__.strip("_"))
def test_a_model_that_is_not_as_the_quantiser_writes_it_is_refused(made, tmp_path, breaks):
    content = breaks(onnx.load_from_string(made.content)).SerializeToString()
    with pytest.raises(AxError) as raised:
        read(written(made, tmp_path / "in", content), tmp_path / "out")
    assert BROKEN[breaks] in raised.value.sentence
    assert exit_code_of(raised.value.code) == 2
    assert files(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "quant_axmodel.onnx is no quantised model of axbuild: it has 0 bytes"),
        (b"\x1f\x8b\x08rest", "quant_axmodel.onnx is no quantised model of axbuild: it "),
        (b"\xff" * 40, "its 40 bytes do not parse as ONNX, or are cut off"),
    ],
)
def test_what_is_no_onnx_file_is_refused(made, tmp_path, content, sentence):
    with pytest.raises(AxError) as raised:
        read(written(made, tmp_path / "in", content), tmp_path / "out")
    assert sentence in raised.value.sentence


def test_a_file_that_is_cut_off_anywhere_is_refused(made, tmp_path):
    for number, end in enumerate(range(1, len(made.content), len(made.content) // 60)):
        with pytest.raises(AxError) as raised:
            read(written(made, tmp_path / f"in{number}", made.content[:end]), tmp_path / f"out{number}")
        assert exit_code_of(raised.value.code) == 2, end


def test_a_byte_that_is_another_one_is_refused_or_changes_a_number(made, tmp_path):
    """Never anything but an error of ours."""
    rng, codes = np.random.default_rng(7), []
    for number in range(300):
        content = bytearray(made.content)
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        try:
            read(written(made, tmp_path / f"in{number}", bytes(content)), tmp_path / f"out{number}")
        except AxError as error:
            codes.append(exit_code_of(error.code))
    assert set(codes) == {2}
    assert len(codes) > 150


# Records ----------------------------------------------------------------------------------------------------------


def _no_json(records):
    return "{"


def _deep(records):
    return "[" * 200_000


def _a_list(records):
    return "[]"


def _no_record(records):
    return json.dumps(dict.fromkeys(records, 1))


def _of_another(records):
    return json.dumps({f"{name}_": tensors for name, tensors in records.items()})


def _other_hash(records):
    records["b"]["b"]["hash"] += 1
    return json.dumps(records)


def _other_scale(records):
    for tensors in records.values():
        if "a" in tensors:
            tensors["a"]["scale"] *= 2
    return json.dumps(records)


def _strange_scale(records):
    for tensors in records.values():
        if "a" in tensors:
            tensors["a"]["scale"] = {"x": []}
    return json.dumps(records)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_no_json, "quant_axmodel.json is not JSON"),
        (_deep, "quant_axmodel.json is not JSON"),
        (_a_list, "quant_axmodel.json does not hold a record for each tensor of each operator"),
        (_no_record, "quant_axmodel.json does not hold a record for each tensor of each operator"),
        (_of_another, "the records are of another model: they and the model do not have the same operators"),
        (_other_hash, "the record of 'b' is damaged"),
        (_other_scale, "no record of 'a' says so"),
        (_strange_scale, "no record of 'a' says so"),
    ],
)
def test_records_that_do_not_fit_are_refused(made, tmp_path, change, sentence):
    folder = written(made, tmp_path / "in")
    (folder / "quant_axmodel.json").write_text(change(json.loads(json.dumps(made.records))))
    with pytest.raises(AxError) as raised:
        read(folder, tmp_path / "out")
    assert (raised.value.code, sentence in raised.value.sentence) == ("AX590", True), raised.value


def test_records_that_are_not_there_are_asked_for(made, tmp_path):
    folder = written(made, tmp_path / "in")
    (folder / "quant_axmodel.json").unlink()
    with pytest.raises(AxError) as raised:
        read(folder, tmp_path / "out")
    assert str(raised.value) == (
        "error AX590: quant_axmodel.onnx is no quantised model of axbuild: there is no quant_axmodel.json beside it, "
        "which says how each tensor was made\n  hint: copy it from where quant_axmodel.onnx was written: both lie in "
        "quant/ of that build"
    )


def test_attributes_may_be_overwritten_again(made, tmp_path):
    folder = written(made, tmp_path / "in")
    out = read(folder, tmp_path / "out", quant_op_processors=(OpPatch("t", {"perm": [0, 1, 3, 2]}),))
    assert files(out)["quant_axmodel.onnx"] == made.content
    with pytest.raises(AxError, match="has none"):
        read(folder, tmp_path / "out2", quant_op_processors=(OpPatch("nobody", {"perm": [0]}),))
