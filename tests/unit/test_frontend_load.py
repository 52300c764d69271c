"""Files that are no models, models that are not valid, and models the front end does not take."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.frontend.load import (
    ExternalDataError,
    NotAModelError,
    load,
)
from axbuild.toolchain.frontend.support import UnsupportedModelError
from axbuild.toolchain.frontend.wiring import InvalidModelError
from axbuild.toolchain.graph import OPSET
from frontend_world import model, node, normal, optimized, place


def conv(**attributes):
    return model([node("Conv", ["x", "w"], ["y"], name="conv", **attributes)], {"w": normal(4, 3, 3, 3)})


@pytest.fixture
def external(tmp_path):
    """A model whose weight `w` lies in data/w.bin, in a folder of its own."""
    proto = conv()
    (tmp_path / "m/data").mkdir(parents=True)
    (tensor,) = proto.graph.initializer
    content = tensor.raw_data
    (tmp_path / "m/data/w.bin").write_bytes(b"head" + content)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL

    def write(**entries):
        del tensor.external_data[:]
        for key, value in {"location": "data/w.bin", "offset": "4", "length": str(len(content)), **entries}.items():
            if value is not None:
                tensor.external_data.add(key=key, value=value)
        return place(proto, tmp_path / "m")

    return write


def large():
    return model([node("Conv", ["x", "w"], ["y"], name="conv")], {"w": normal(16, 3, 3, 3), "b": normal(16)})


def test_large_weights_are_read_past_protobuf_and_small_ones_stay(tmp_path):
    loaded = load(place(large(), tmp_path))
    assert loaded.proto.graph.node[0].name == "conv"
    assert [tensor.name for tensor in loaded.proto.graph.initializer] == ["b"]
    assert [value.name for value in loaded.proto.graph.input] == ["x", "w"]
    assert [value.name for value in loaded.inputs] == ["x"]
    assert np.array_equal(loaded.weights["w"], normal(16, 3, 3, 3))
    assert loaded.weights["w"].flags.aligned


def test_large_weights_that_are_no_raw_bytes_are_weights_too(tmp_path):
    proto = large()
    (tensor,) = [item for item in proto.graph.initializer if item.name == "w"]
    tensor.float_data.extend(normal(16, 3, 3, 3).reshape(-1))
    tensor.ClearField("raw_data")
    assert np.array_equal(load(place(proto, tmp_path)).weights["w"], normal(16, 3, 3, 3))


def test_weights_whose_bytes_are_not_their_shape_s_are_named(tmp_path):
    proto = large()
    (tensor,) = [item for item in proto.graph.initializer if item.name == "w"]
    tensor.dims[0] = 17
    with pytest.raises(InvalidModelError, match=r"'w' is float32 \[17, 3, 3, 3\], 1836 bytes, .* 1728 for it"):
        load(place(proto, tmp_path))


@pytest.mark.parametrize("size", [(4, 3, 3, 3), (16, 3, 3, 3)])
@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (-np.inf, "-inf")])
def test_weights_that_are_no_numbers_are_named_with_their_place(tmp_path, size, value, shown):
    array = normal(*size).copy()
    array[2, 1, 0, 2] = value
    proto = model([node("Conv", ["x", "w"], ["y"])], {"w": array})
    with pytest.raises(
        UnsupportedModelError, match=rf"a weight holds what is no number: 'w' \({shown} at \[2, 1, 0, 2\]\)"
    ):
        load(place(proto, tmp_path))


@pytest.mark.parametrize("mask", [np.float32(-np.inf), np.array([[[[0, -np.inf, 0, 0]]]], np.float32)], ids=str)
def test_infinities_of_masks_and_bounds_are_taken(tmp_path, mask):
    loaded = load(place(model([node("Max", ["x", "w"], ["y"])], {"w": mask}), tmp_path))
    kept = {tensor.name: tensor for tensor in loaded.proto.graph.initializer}
    assert np.array_equal(numpy_helper.to_array(kept["w"]), mask)


def test_weights_whose_sum_is_too_large_for_float32_are_numbers(tmp_path):
    loaded = load(
        place(model([node("Conv", ["x", "w"], ["y"])], {"w": np.full((16, 3, 3, 3), 3e38, np.float32)}), tmp_path)
    )
    assert loaded.weights["w"].max() == np.float32(3e38)


def test_external_data_is_read_as_weights(external):
    assert np.array_equal(load(external()).weights["w"], normal(4, 3, 3, 3))


def test_external_data_without_a_length_goes_to_the_end_of_the_file(external):
    assert load(external(length=None)).weights["w"].shape == (4, 3, 3, 3)


def test_external_data_in_a_constant_node_is_read(tmp_path):
    proto = model([node("Constant", [], ["w"], value=numpy_helper.from_array(normal(4, 3, 3, 3)))], {})
    proto.graph.node.append(node("Conv", ["x", "w"], ["y"]))
    tensor = proto.graph.node[0].attribute[0].t
    (tmp_path / "w.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    assert np.array_equal(
        numpy_helper.to_array(load(place(proto, tmp_path)).proto.graph.node[0].attribute[0].t), normal(4, 3, 3, 3)
    )


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"location": "data/none.bin"}, r"the data file 'data/none\.bin' of tensor 'w' is missing"),
        ({"location": "../w.bin"}, "not inside the model's folder"),
        ({"location": "/etc/passwd"}, "not inside the model's folder"),
        ({"location": "data/../../w.bin"}, "not inside the model's folder"),
        ({"location": ""}, "not inside the model's folder"),
        ({"location": "data"}, "of tensor 'w' is missing"),
        ({"offset": "100"}, r"ends at byte 532 of data/w\.bin, and the file has 436 bytes"),
        ({"length": "99999999999"}, "ends at byte 100000000003"),
        ({"offset": "-1"}, "offset '-1' of tensor 'w' in its data file is not a number"),
        ({"length": "x"}, "length 'x' of tensor 'w'"),
    ],
)
def test_external_data_that_is_not_there_is_an_error_that_names_the_tensor(external, entries, sentence):
    with pytest.raises(ExternalDataError, match=sentence) as caught:
        load(external(**entries))
    assert exit_code_of(caught.value.code) == 2


def test_external_data_behind_a_link_is_refused(external, tmp_path):
    (tmp_path / "m/link").symlink_to(tmp_path / "m/data")
    with pytest.raises(ExternalDataError, match=r"'link/w\.bin' of tensor 'w' is a link"):
        load(external(location="link/w.bin"))


def test_external_data_of_the_wrong_size_is_not_a_valid_model(external):
    with pytest.raises(InvalidModelError, match=r"'w' is float32 \[4, 3, 3, 3\], 432 bytes, and the model has 8"):
        load(external(length="8"))


def test_a_folder_holds_exactly_one_model(tmp_path):
    with pytest.raises(NotAModelError, match=r"exactly one \.onnx file among its sources, found none"):
        load(tmp_path)
    place(conv(), tmp_path)
    (tmp_path / "other.onnx").write_bytes(b"")
    with pytest.raises(NotAModelError, match=r"found model\.onnx, other\.onnx"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"this is a text, and it goes on for a while", "is not an ONNX model"),
        (b"PK\x03\x04" + bytes(60), "is a zip archive, as PyTorch's .pt files are, and no ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "is an HDF5 file"),
        (b"\x08\x0a", "is not an ONNX model: it holds no graph"),
    ],
)
def test_a_file_that_is_no_model_is_an_error(tmp_path, content, sentence):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(NotAModelError, match=f"m.onnx {sentence}") as caught:
        load(tmp_path)
    assert exit_code_of(caught.value.code) == 2


def test_every_truncation_of_a_model_is_an_error(tmp_path):
    content = conv().SerializeToString()
    for length in range(0, len(content), 7):
        (tmp_path / "m.onnx").write_bytes(content[:length])
        with pytest.raises(AxError) as caught:
            load(tmp_path)
        assert exit_code_of(caught.value.code) == 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_is_a_users_error_or_another_model(tmp_path, data):
    proto = model(
        [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["y"])], {"w": normal(2, 3, 3, 3)}
    )
    content = bytearray(proto.SerializeToString())
    head = content.index(proto.graph.initializer[0].raw_data)
    position = data.draw(st.sampled_from([*range(head), *range(head + 216, len(content))]))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    folder = tmp_path / f"{position}-{content[position]}"
    folder.mkdir(exist_ok=True)
    (folder / "m.onnx").write_bytes(content)
    code = 2
    try:
        damaged = load(folder)
    except AxError as error:
        code = exit_code_of(error.code)
    else:
        assert damaged.proto.graph.node
    assert code == 2


def relu(**changes):
    return model([node("Relu", ["x"], ["y"], name="act")], **changes)


def custom(op_type, domain=""):
    proto = relu()
    proto.graph.node[0].op_type = op_type
    proto.graph.node[0].domain = domain
    if domain:
        proto.opset_import.append(helper.make_opsetid(domain, 1))
    return proto


def newer():
    proto = relu()
    proto.ir_version = 99
    return proto


def sparse():
    proto = model([node("Add", ["x", "w"], ["y"])])
    values = numpy_helper.from_array(np.float32([2]), "w")
    indices = numpy_helper.from_array(np.array([1]), "")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [8]))
    return proto


def quantised():
    weights = {"s": np.float32(1), "z": np.uint8(0)}
    return model([node("QuantizeLinear", ["x", "s", "z"], ["y"], name="q")], weights)


@pytest.mark.parametrize(
    ("proto", "sentence", "hint"),
    [
        (custom("Reluu"), r"ONNX does not define Reluu x1 \('act'\)", "did you mean Relu?"),
        (custom("Foo", "acme"), r"ONNX does not define Foo of domain 'acme' x1 \('act'\)", "standard ONNX operators"),
        (
            relu(kind=TensorProto.STRING),
            "input 'x' is string; float32, int32, int64 and bool are",
            "cut the model behind",
        ),
        (relu(opset=6), f"the model has opset 6; opsets 7 to {OPSET} are", f"export it at opset 7 to {OPSET}"),
        (
            model([node("SpaceToDepth", ["x"], ["y"], name="s", blocksize=2)], opset=28),
            rf"the model has opset 28, and since opset {OPSET}, .* SpaceToDepth x1 \('s'\) became another operator",
            f"export it at opset {OPSET} or lower",
        ),
        (relu(opset=999), "the model has opset 999; opsets 7 to", f"export it at opset 7 to {OPSET}"),
        (sparse(), "weights are sparse: 'w', 1 in all", "export the model with dense weights"),
        (newer(), "the model has IR version 99; versions up to", "save it with an earlier release of onnx"),
        (quantised(), r"the model is quantised already: QuantizeLinear x1 \('q'\)", "give the float model"),
        (model([node("RandomNormal", [], ["y"], name="r", shape=[3])]), r"RandomNormal x1 \('r'\) draws random", ""),
        (
            model([node("Add", ["x", "w"], ["y"])], {"w": normal(3, 16, 16).astype(ml_dtypes.int4)}),
            "tensor 'w' is int4, which no chip computes with",
            "export the model in float32",
        ),
    ],
    ids=[
        "typo",
        "domain",
        "string",
        "old",
        "new",
        "far",
        "sparse",
        "ir",
        "quantised",
        "random",
        "four_bits",
    ],
)
def test_what_is_not_supported_is_said_with_its_node_or_tensor(tmp_path, proto, sentence, hint):
    with pytest.raises(UnsupportedModelError, match=sentence) as caught:
        load(place(proto, tmp_path))
    assert hint in caught.value.hint
    assert exit_code_of(caught.value.code) == 2


def test_everything_that_is_not_supported_is_said_at_once_with_counts_and_two_names(tmp_path):
    nodes = [node("Foo", ["x"], [f"f{index}"], name=f"foo_{index}") for index in range(31)]
    nodes += [node("Bar", ["x"], ["b"], name="bar"), node("Sum", [f"f{index}" for index in range(31)], ["y"])]
    proto = model(nodes, {"n": np.float32([1, np.nan])}, opset=6)
    with pytest.raises(UnsupportedModelError) as caught:
        load(place(proto, tmp_path))
    assert caught.value.sentence == (
        f"the model has opset 6; opsets 7 to {OPSET} are supported; "
        "ONNX does not define Foo x31 (first 'foo_0', 'foo_1'), Bar x1 ('bar'); "
        "a weight holds what is no number: 'n' (nan at [1])"
    )


def test_a_later_opset_that_changed_none_of_the_operators_is_taken(tmp_path):
    turned = node("Transpose", ["x"], ["t"], name="t", perm=[0, 1, 3, 2])
    later = model([turned, node("Cast", ["t"], ["y"], name="c", to=TensorProto.FLOAT)], opset=OPSET + 1)
    after = optimized(later, tmp_path)
    assert [(entry.domain, entry.version) for entry in after.opset_import] == [("", OPSET)]


def test_domains_that_no_node_is_of_do_not_matter(tmp_path):
    proto = relu()
    proto.graph.name = ""
    proto.opset_import.extend(helper.make_opsetid(name, 99) for name in ("Paddle", "com.microsoft.nchwc", "ai.onnx.ml"))
    assert [item.op_type for item in optimized(proto, tmp_path).graph.node] == ["Relu"]


def test_nodes_out_of_order_are_put_in_order(tmp_path):
    proto = model([node("Tanh", ["b"], ["y"]), node("Sin", ["a"], ["b"]), node("Cos", ["x"], ["a"])])
    assert [item.op_type for item in optimized(proto, tmp_path).graph.node] == ["Cos", "Sin", "Tanh"]


def test_the_default_domain_may_have_its_long_name(tmp_path):
    proto = relu()
    proto.graph.node[0].domain = "ai.onnx"
    assert [item.domain for item in optimized(proto, tmp_path / "node").graph.node] == [""]
    proto.opset_import[0].domain = "ai.onnx"
    after = optimized(proto, tmp_path / "import")
    assert [entry.domain for entry in after.opset_import] == [""]


def test_a_graph_that_reads_what_nobody_writes_is_not_valid(tmp_path):
    proto = relu()
    proto.graph.node[0].input[0] = "nothing"
    with pytest.raises(InvalidModelError, match="nothing"):
        load(place(proto, tmp_path))


def test_an_import_of_a_domain_that_no_node_uses_is_dropped(tmp_path):
    proto = relu()
    proto.opset_import.append(helper.make_opsetid("Paddle", 1))
    assert [entry.domain for entry in optimized(proto, tmp_path).opset_import] == [""]


def test_two_outputs_of_one_name_are_refused(tmp_path):
    with pytest.raises(InvalidModelError, match="it has two outputs named 'y'"):
        optimized(model([node("Relu", ["x"], ["y"])], outputs=("y", "y")), tmp_path)
