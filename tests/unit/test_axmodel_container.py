"""The container: its public shape, what a reader believes, and what damage looks like."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axbuild.errors import AxError
from axbuild.toolchain.axmodel import wire
from axbuild.toolchain.axmodel.container import NOTE, Container, CpuSubgraph, NpuSubgraph
from axbuild.toolchain.axmodel.cpu import CpuRunError
from axbuild.toolchain.axmodel.fuse import FuseError, FuseParams, fuse
from axbuild.toolchain.axmodel.read import ForeignError, MalformedError, read
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.axmodel.write import UnwritableError, write
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.record import PartitionRecordError
from axmodel_world import AX650, SHAPE, TABLE, absolute, build, expected, lay


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return build(tmp_path_factory.mktemp("axmodel"))


@pytest.fixture
def model(content):
    return onnx.load_from_string(content)


def test_the_file_is_onnx_with_one_neu_mode_node_a_subgraph(model):
    assert (model.producer_name, model.ir_version, model.opset_import[0].version) == ("axbuild", 10, 18)
    assert {entry.key: entry.value for entry in model.metadata_props}["axbuild.note"] == NOTE
    assert NOTE.endswith("not for real hardware")
    assert [(node.op_type, node.name) for node in model.graph.node] == [
        ("neu mode", "subgraph_npu_0"),
        ("neu mode", "subgraph_npu_1"),
    ]
    assert [list(node.input) + list(node.output) for node in model.graph.node] == [
        ["image", "codes"],
        ["codes", "out/put"],
    ]


def test_inputs_and_outputs_show_the_largest_batch(model):
    described = [
        (value.name, value.type.tensor_type.elem_type, [item.dim_value for item in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert described == [("image", 2, [4, 3, 2, 2]), ("out/put", 1, [4, 2, 3, 2])]


def test_programs_and_parameters_are_initialisers_and_listed_as_values(model):
    blobs = {tensor.name: tensor for tensor in model.graph.initializer}
    programs = [f"subgraph_npu_{index}_b{batch}_neu" for index in (0, 1) for batch in (1, 2, 4)]
    assert list(blobs) == ["npu_params", "npu_dyn_params", *programs]
    assert all(tensor.data_type == onnx.TensorProto.UINT8 for tensor in blobs.values())
    assert set(blobs) <= {value.name for value in model.graph.value_info}
    assert blobs["npu_dyn_params"].raw_data == b""


def test_a_constant_that_all_batches_share_is_stored_once(model):
    params = next(tensor for tensor in model.graph.initializer if tensor.name == "npu_params")
    assert params.raw_data == TABLE.tobytes()


def test_nothing_in_the_file_passes_for_a_vendor_binary(model):
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in model.graph.node[0].attribute}
    info = json.loads(attributes["npu_graph_info"])
    assert info["type"] == "AxRefNpu"
    assert attributes["version"] >= 1000
    assert {entry.key: entry.value for entry in model.metadata_props}["axbuild.backend"] == "axref/1"
    assert next(t for t in model.graph.initializer if t.name.endswith("_neu")).raw_data.startswith(b"axref")


def test_graph_info_names_the_blobs_of_each_batch(model):
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in model.graph.node[1].attribute}
    assert attributes["neu_name"] == b"subgraph_npu_1"
    assert json.loads(attributes["outputs_info"]) == {"out/put": ["FP32", [4, 2, 3, 2]]}
    units = json.loads(attributes["npu_graph_info"])["dotneus"]
    assert [(unit["batch"], unit["neu_key"]) for unit in units] == [
        (batch, f"subgraph_npu_1_b{batch}_neu") for batch in (1, 2, 4)
    ]
    assert units[0]["extra_inputs"] == [
        {"name": "params", "type": "DotNeuInputConst", "const_data_key": "npu_params"},
        {"name": "dyn_params", "type": "DotNeuInputDynParam", "dyn_param_expr_key": "npu_dyn_params"},
    ]


def test_extra_data_has_the_public_fields(model):
    meta = {entry.key: entry.value for entry in model.metadata_props}
    message = wire.decode(base64.b64decode(meta["extra_data"]))
    assert [number for number, _ in message] == [1, 1, 2, 3, 3, 4]
    assert wire.decode(message[0][1]) == [(1, b"image"), (2, 1), (3, 2)]
    assert wire.decode(message[1][1]) == [(1, b"out/put")]
    assert message[2] == (2, b"1")
    assert message[5] == (4, b"")
    subgraph = wire.decode(message[3][1])
    assert subgraph[0] == (1, b"subgraph_npu_0")
    unit = wire.decode(subgraph[2][1])
    assert unit[:2] == [(1, b"subgraph_npu_0_b2_neu"), (2, 2)]
    assert wire.decode(unit[2][1]) == [(1, b"params"), (3, b"npu_params")]
    assert wire.decode(unit[3][1]) == [(1, b"dyn_params"), (2, 2), (10, b"npu_dyn_params")]


def test_mode_and_chip_have_their_public_numbers():
    container = small(target_hardware="AX620E", chip_number=1, npu_mode="NPU2")
    meta = {entry.key: entry.value for entry in onnx.load_from_string(write(container)).metadata_props}
    message = wire.decode(base64.b64decode(meta["extra_data"]))
    assert message[-2:] == [(4, wire.encode([(3, 1)])), (5, 1)]


def test_a_mode_without_a_number_cannot_be_written():
    with pytest.raises(UnwritableError, match="no number for NPU4; known are NPU1, NPU2, NPU3"):
        write(small(npu_mode="NPU4"))


def test_a_chips_number_is_read_back_and_guarded_by_the_digest():
    content = write(small(target_hardware="AX637", chip_number=1637))
    assert read(content).chip_number == 1637
    other = write(small(target_hardware="AX637", chip_number=1638))
    swapped = onnx.load_from_string(content)
    extra = next(e.value for e in onnx.load_from_string(other).metadata_props if e.key == "extra_data")
    next(e for e in swapped.metadata_props if e.key == "extra_data").value = extra
    with pytest.raises(MalformedError, match="does not agree with the rest of the file"):
        read(swapped.SerializeToString())


def small(**changes):
    tensor = BoundaryTensor("x", "uint8", (1, 4))
    settled = {
        "target_hardware": "AX650",
        "chip_number": 0,
        "npu_mode": "NPU1",
        "inputs": (tensor,),
        "outputs": (BoundaryTensor("y", "float32", (1, 2)),),
        "inner": (),
        "subgraphs": (NpuSubgraph("subgraph_npu_0", ("x",), ("y",), {1: b"one", 8: b"eight"}),),
        "params": b"weights",
        "sources": {"partition/partition.json": "00"},
    }
    container = Container(**settled | changes)
    return replace(container, shown_batch=max(container.batches()))


names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=8).filter(lambda name: name != "y")
tensors = st.builds(
    BoundaryTensor,
    names,
    st.sampled_from(["uint8", "float32", "int32", "int64", "bool"]),
    st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple),
    st.sampled_from([0, 1, None]),
    st.sampled_from([0, 3]),
    st.sampled_from(["", "NHWC", "NCHW"]),
    st.sampled_from(["", "GRAY", "BGR", "RGB"]),
)


@settings(max_examples=50, deadline=None)
@given(
    inputs=st.lists(tensors, min_size=1, max_size=3, unique_by=lambda item: item.name),
    programs=st.dictionaries(st.integers(1, 16), st.binary(max_size=20), min_size=1, max_size=3),
    params=st.binary(max_size=40),
    mode=st.sampled_from(["NPU1", "NPU2", "NPU3"]),
    layers=st.dictionaries(names, names, max_size=2),
)
def test_a_reader_finds_what_was_written(inputs, programs, params, mode, layers):
    container = small(
        inputs=tuple(inputs),
        subgraphs=(NpuSubgraph("s", tuple(item.name for item in inputs), ("y",), programs, layers=layers),),
        params=params,
        npu_mode=mode,
    )
    assert read(write(container)) == container
    assert write(read(write(container))) == write(container)


@pytest.mark.parametrize("layers", ["", "[]", '{"subgraph_npu_0": 1}', '{"subgraph_npu_0": {"t": 1}}'])
def test_names_of_layers_that_are_none_are_damage(layers):
    model = onnx.load_from_string(write(small()))
    next(entry for entry in model.metadata_props if entry.key == "axbuild.layers").value = layers
    with pytest.raises(MalformedError, match=r"axbuild\.layers is no"):
        read(model.SerializeToString())


def test_a_layer_that_no_program_has_is_damage(content):
    container = read(content)
    first, *others = container.subgraphs
    odd = replace(container, subgraphs=(replace(first, layers={"t99": "relu"}), *others))
    with pytest.raises(MalformedError, match="damaged: the program subgraph_npu_0_b1_neu has no tensor 't99'"):
        InferenceSession(write(odd))


def test_the_same_programs_make_the_same_bytes(content, tmp_path):
    assert build(tmp_path / "again") == content


def test_digests_of_the_sources_are_in_the_container(content):
    sources = read(content).sources
    assert "partition/partition.json" in sources
    assert "programs/subgraph_npu_0/b4/program.msgpack" in sources
    assert all(len(value) == 64 for value in sources.values())


def test_every_truncation_is_an_error(content):
    for length in range(0, len(content), 97):
        with pytest.raises(MalformedError):
            read(content[:length])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_an_error_or_changes_nothing(content, data):
    position = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = InferenceSession(bytes(damaged)).source
    except AxError as error:
        known = error.code in ("AX480", "AX481")
    else:
        known = found == read(content)
    assert known


def test_a_vendor_file_is_refused_in_words(model):
    model.producer_name = "Pulsar2"
    del model.metadata_props[:]
    with pytest.raises(ForeignError, match=r"model\.axmodel was compiled by Pulsar2 for the hardware itself"):
        read(model.SerializeToString(), "model.axmodel")


def test_an_onnx_model_and_a_text_are_no_axmodels():
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    with pytest.raises(MalformedError, match="is an ONNX model and not a compiled one"):
        read(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(MalformedError, match="do not parse as ONNX"):
        read(b"a text, and no model")
    with pytest.raises(MalformedError, match="holds no graph"):
        read(b"")


def change(model, edit):
    edit(model)
    return model.SerializeToString()


def set_attribute(node, name, value):
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda m: set_attribute(m.graph.node[0], "npu_graph_info", "{"), "npu_graph_info is not JSON"),
        (lambda m: set_attribute(m.graph.node[0], "npu_graph_info", '{"type": "NPUDotNeu"}'), "is not for AxRefNpu"),
        (lambda m: set_attribute(m.graph.node[0], "version", 1), "has version 1"),
        (lambda m: m.graph.initializer.pop(2), "names a program 'subgraph_npu_0_b1_neu' that is not there"),
        (lambda m: m.graph.initializer.pop(0), "it has no npu_params"),
        (lambda m: m.graph.node.add(op_type="Relu", name="r"), "node 'r' is a Relu, which is no subgraph"),
        (lambda m: m.graph.input[0].type.tensor_type.shape.dim.pop(), "contradicts its graph|does not agree"),
        (lambda m: m.metadata_props.pop(0), "extra_data does not agree with the rest of the file"),
        (lambda m: setattr(m.metadata_props[0], "value", "!"), "extra_data cannot be read"),
        (lambda m: set_attribute(m.graph.node[1], "outputs_info", "{}"), "'subgraph_npu_1' contradicts its graph"),
        (lambda m: m.graph.node[0].input.append("z"), "'subgraph_npu_0' has a stray tensor"),
    ],
)
def test_a_container_that_contradicts_itself_is_an_error(model, edit, sentence):
    with pytest.raises(MalformedError, match=sentence):
        InferenceSession(change(model, edit))


def test_programs_of_another_partition_cannot_be_fused(tmp_path):
    partition, programs = lay(tmp_path)
    (programs / "subgraph_npu_0/b1/params.bin").write_bytes(bytes(TABLE.size))
    with pytest.raises(FuseError, match=r"params\.bin does not hold the blob"):
        fuse([partition], [programs], tmp_path, params=FuseParams(AX650))


def test_subgraphs_of_different_batches_cannot_be_fused(tmp_path):
    partition, programs = lay(tmp_path, batches=(1, 2))
    shutil.rmtree(programs / "subgraph_npu_1/b2")
    wanted = r"subgraph_npu_1 is compiled for the batches \[1\], and others for \[1, 2\]"
    with pytest.raises(PartitionRecordError, match=wanted):
        fuse([partition], [programs], tmp_path, params=FuseParams(AX650))
    shutil.rmtree(programs)
    with pytest.raises(PartitionRecordError, match=r"subgraph_npu_0 is compiled for the batches \[\]"):
        fuse([partition], [programs], tmp_path, params=FuseParams(AX650))


def test_a_model_of_dynamic_batches_shows_the_largest_that_was_allowed(tmp_path):
    partition, programs = lay(tmp_path, batches=(1, 2))
    fuse([partition], [programs], tmp_path, params=FuseParams(AX650, shown_batch=6))
    content = (tmp_path / "compiled.axmodel").read_bytes()
    session = InferenceSession(content)
    assert session.get_inputs()[0].shape == [6, *SHAPE[1:]]
    assert session.get_outputs()[0].shape == [6, 2, 3, 2]
    assert (session.source.batches(), session.source.inputs[0].shape) == ((1, 2), SHAPE)
    pictures = np.arange(5 * 12, dtype=np.uint8).reshape(5, *SHAPE[1:])
    assert np.array_equal(session.run(None, {"image": pictures})[0], expected(pictures))
    shown = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in onnx.load_from_string(content).graph.input]
    assert shown == [[6, *SHAPE[1:]]]


@pytest.mark.parametrize("shown", ["", "1", "x", "99999999999", "-4"])
def test_a_batch_that_cannot_be_shown_is_damage(model, shown):
    next(entry for entry in model.metadata_props if entry.key == "axbuild.shown_batch").value = shown
    with pytest.raises(MalformedError, match=r"axbuild\.shown_batch is"):
        read(model.SerializeToString())


def test_shapes_of_one_sample_are_read_back(content):
    assert read(content).inputs == (BoundaryTensor("image", "uint8", SHAPE, layout="NHWC", color="BGR"),)
    assert read(content).batches() == (1, 2, 4)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The container of a model with a subgraph on the CPU."""
    return build(tmp_path_factory.mktemp("mixed"), on_cpu=True)


def test_a_subgraph_on_the_cpu_is_one_node_that_names_its_file(mixed):
    model = onnx.load_from_string(mixed)
    assert [(node.op_type, node.name) for node in model.graph.node] == [
        ("neu mode", "subgraph_npu_0"),
        ("neu mode", "subgraph_npu_1"),
        ("cpu mode", "subgraph_cpu_0"),
    ]
    node = model.graph.node[2]
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    assert (list(node.input), list(node.output), attributes["cpu_name"]) == (["real"], ["out/put"], b"subgraph_cpu_0")
    assert json.loads(attributes["cpu_graph_info"]) == {
        "name": "subgraph_cpu_0",
        "type": "OnnxCpu",
        "onnx_key": "subgraph_cpu_0_onnx",
    }
    held = next(tensor.raw_data for tensor in model.graph.initializer if tensor.name == "subgraph_cpu_0_onnx")
    assert held == absolute().SerializeToString()


def test_where_samples_lie_and_what_depends_on_data_is_read_back():
    selected = BoundaryTensor("y", "int64", (-1, 3), 0, 1)
    times = BoundaryTensor("x", "float32", (7, 1, 8), 1)
    cpu = CpuSubgraph("subgraph_cpu_0", ("x",), ("y",), absolute().SerializeToString())
    container = small(inputs=(times,), outputs=(selected,), subgraphs=(cpu,))
    assert read(write(container)) == container
    assert container.batches() == (1,)


def outside(model):
    tensor = model.graph.initializer.add(name="w", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model


def hidden(model):
    """The same in an attribute of a node."""
    attribute = model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.external_data.add(key="location", value="/etc/passwd")
    return model


def branched(model):
    inner = onnx.helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", inner))
    return model


def with_function(model):
    model.functions.add(name="Abs", domain="")
    return model


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no model", "subgraph_cpu_0 is no ONNX file: its 8 bytes do not parse as ONNX"),
        (
            absolute().SerializeToString().replace(b"abs", b"a\xffs"),
            "subgraph_cpu_0 is damaged: a name in it is not text",
        ),
        (absolute("Evil", domain="com.example"), "subgraph_cpu_0 imports other domains"),
        (absolute(shape=(1, 2, 3, 3)), "its input 'real' is not 'real'"),
        (outside(absolute()), "the data of 'w' lies outside the file"),
        (hidden(absolute()), "the data of '' lies outside the file"),
        (branched(absolute("If")), r"'abs' \(If\) holds a graph of its own"),
        (with_function(absolute()), "is no plain graph"),
    ],
)
def test_a_file_for_the_cpu_that_is_more_than_a_plain_graph_does_not_run(mixed, content, sentence):
    container = read(mixed)
    data = content if isinstance(content, bytes) else content.SerializeToString()
    other = replace(container.subgraphs[2], content=data)
    with pytest.raises(MalformedError, match=sentence):
        InferenceSession(write(replace(container, subgraphs=(*container.subgraphs[:2], other))))


def test_an_operator_that_onnxruntime_does_not_know_is_said_when_it_runs(mixed):
    container = read(mixed)
    other = replace(container.subgraphs[2], content=absolute("NoSuchOperator").SerializeToString())
    session = InferenceSession(write(replace(container, subgraphs=(*container.subgraphs[:2], other))))
    with pytest.raises(CpuRunError, match=r"onnxruntime does not run subgraph_cpu_0: .*NoSuchOperator"):
        session.run(None, {"image": np.zeros(SHAPE, np.uint8)})


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_of_a_mixed_model_is_an_error_or_changes_nothing(mixed, data):
    position = data.draw(st.integers(0, len(mixed) - 1))
    damaged = bytearray(mixed)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = InferenceSession(bytes(damaged)).source
    except AxError as error:
        known = error.code in ("AX480", "AX481")
    else:
        known = found == read(mixed)
    assert known


def moved(model):
    first, *others = (onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*others, first])


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (moved, "'subgraph_npu_1' reads what no subgraph before it makes"),
        (lambda m: set_attribute(m.graph.node[2], "cpu_graph_info", '{"type": "OnnxCpu"}'), "a program None that is"),
        (lambda m: set_attribute(m.graph.node[2], "shape_group", -1), "is of shape group -1"),
        (lambda m: m.graph.node.pop(2), r"no subgraph makes the output 'out/put'"),
        (lambda m: setattr(m.graph.node[2], "op_type", "gpu mode"), "is a gpu mode, which is no subgraph"),
    ],
)
def test_a_mixed_container_that_contradicts_itself_is_an_error(mixed, edit, sentence):
    with pytest.raises(MalformedError, match=sentence):
        InferenceSession(change(onnx.load_from_string(mixed), edit))
