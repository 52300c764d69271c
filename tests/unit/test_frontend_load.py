"""Files that are no models, models that are not valid, and models the front end does not take."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.frontend.load import (
    ExternalDataError,
    InvalidModelError,
    NotAModelError,
    UnsupportedModelError,
    load,
)
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


def test_a_model_is_read_with_its_weights(tmp_path):
    assert load(place(conv(), tmp_path)).graph.node[0].name == "conv"


def test_external_data_is_read_into_the_model(external):
    (tensor,) = load(external()).graph.initializer
    assert np.array_equal(onnx.numpy_helper.to_array(tensor), normal(4, 3, 3, 3))


def test_external_data_without_a_length_goes_to_the_end_of_the_file(external):
    (tensor,) = load(external(length=None)).graph.initializer
    assert len(tensor.raw_data) == 4 * 3 * 3 * 3 * 4


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
    with pytest.raises(InvalidModelError, match=r"model\.onnx is not a valid ONNX model"):
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
        (b"PK\x03\x04" + bytes(60), "is not an ONNX model"),
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
        assert damaged.graph.node
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


def branch():
    body = relu().graph
    return model(
        [node("If", ["c"], ["y"], name="choice", then_branch=body, else_branch=body)], {"c": np.array(True)}, inputs=()
    )


def quantised():
    weights = {"s": np.float32(1), "z": np.uint8(0)}
    return model([node("QuantizeLinear", ["x", "s", "z"], ["y"], name="q")], weights)


@pytest.mark.parametrize(
    ("proto", "sentence", "hint"),
    [
        (custom("Reluu"), "node 'act' has the operator Reluu, which ONNX does not define", "did you mean Relu?"),
        (custom("Foo", "acme"), "node 'act' has the operator Foo of domain 'acme'", "standard ONNX operators"),
        (branch(), "node 'choice' \\(If\\) is control flow", ""),
        (relu(kind=TensorProto.FLOAT16), "input 'x' is float16; only float32", ""),
        (relu(kind=TensorProto.INT64), "input 'x' is int64; only float32", ""),
        (relu(opset=6), "the model has opset 6; opsets 7 to", ""),
        (relu(opset=999), "the model has opset 999", ""),
        (quantised(), "quantised already \\(node 'q'\\)", ""),
        (
            model([node("Add", ["x", "w"], ["y"])], {"w": normal(3, 1, 1).astype(np.float16)}),
            "tensor 'w' is float16; only float32",
            "export the model in float32",
        ),
    ],
    ids=["typo", "domain", "branch", "half", "integer", "old", "new", "quantised", "weights"],
)
def test_what_is_not_supported_is_said_with_its_node_or_tensor(tmp_path, proto, sentence, hint):
    with pytest.raises(UnsupportedModelError, match=sentence) as caught:
        load(place(proto, tmp_path))
    assert hint in caught.value.hint
    assert exit_code_of(caught.value.code) == 2


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
