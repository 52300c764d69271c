"""Output processors: another order of axes, and codes left as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from npu_world import Chain, preset_of, support_of
from onnx import helper

from axbuild.errors import AxError, AxWarning
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.codes import U8, U16, Grid
from axbuild.toolchain.kinds.mover import Transpose
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.net import read_model
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.postprocess import OutputProcessor, processors_of
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.simulator.machine import simulate

GRID = Grid(0.5, 3, U8)
SHAPE = (1, 3, 4, 5)
VALUES = (np.arange(60, dtype=np.float32).reshape(SHAPE) - 3) / 2
CODES = np.arange(60, dtype=np.uint8).reshape(SHAPE)
NHWC = (0, 2, 3, 1)


def two(grid=GRID):
    """Codes of x, dequantised to y and, turned, to z."""
    chain = Chain()
    codes = chain.add(Quantize(grid), chain.input("x", SHAPE, "float32"), name="codes")
    y = chain.add(Dequantize(grid), codes, name="y")
    z = chain.add(Dequantize(grid), chain.add(Transpose(grid.type, (0, 1, 3, 2)), codes, name="turned"), name="z")
    return chain.model(y, z)


def cut(folder, model, *processors):
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, SHAPE) for name in ("x", "y", "z")]
    nodes = [helper.make_node("Relu", ["x"], [name], name=f"relu_{name}") for name in ("y", "z")]
    floats = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:]))
    (folder / "q.onnx").write_bytes(model.SerializeToString())
    (folder / "optimized.onnx").write_bytes(floats.SerializeToString())
    params = PartitionParams(support_of(), (), processors)
    partition(folder / "q.onnx", folder / "optimized.onnx", folder, params=params)
    return Partition.read(folder / "partition")


def answers(folder, x):
    """Outputs y and z of the compiled subgraph."""
    out = folder / "compiled"
    out.mkdir()
    compile_subgraph(folder / "partition/subgraph_npu_0.onnx", out, params=CompileParams(preset_of()))
    program = decode((out / "program.msgpack").read_bytes())
    found = simulate(program, (out / "params.bin").read_bytes(), {"input_0": x})
    (subgraph,) = Partition.read(folder / "partition").subgraphs
    return tuple(found[f"output_{subgraph.outputs.index(name)}"] for name in ("y", "z"))


def ops(folder):
    return [node.op_type for node in read_model(folder / "partition/subgraph_npu_0.onnx").graph.node]


def test_axes_are_in_the_order_asked_for_and_codes_move_in_place_of_reals(tmp_path):
    record = cut(tmp_path, two(), OutputProcessor("y", NHWC))
    assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in record.outputs} == {
        "y": ("float32", (1, 4, 5, 3)),
        "z": ("float32", (1, 3, 5, 4)),
    }
    order = ops(tmp_path)
    assert order.count("AxTranspose") == 2
    assert order.index("AxDequantizeLinear") > order.index("AxTranspose")
    y, z = answers(tmp_path, VALUES)
    assert np.array_equal(y, VALUES.transpose(NHWC))
    assert np.array_equal(z, VALUES.transpose(0, 1, 3, 2))


@pytest.mark.parametrize(("perm", "wanted"), [((), CODES), (NHWC, CODES.transpose(NHWC))])
def test_an_output_of_codes_is_what_the_npu_computes_and_its_meaning_is_told(tmp_path, perm, wanted):
    with pytest.warns(AxWarning) as told:
        record = cut(tmp_path, two(), OutputProcessor("y", perm, "U8"))
    assert [one.message.sentence for one in told] == ["output 'y' is U8 codes: 0.5 x (code - 3)"]
    assert (record.outputs[0].dtype, record.outputs[0].shape) == ("uint8", wanted.shape)
    y, z = answers(tmp_path, VALUES)
    assert np.array_equal(y, wanted)
    assert np.array_equal(z, VALUES.transpose(0, 1, 3, 2))


def test_the_default_serves_outputs_without_an_entry_of_their_own(tmp_path):
    record = cut(tmp_path, two(), OutputProcessor("DEFAULT", NHWC), OutputProcessor("z"))
    assert [tensor.shape for tensor in record.outputs] == [(1, 4, 5, 3), (1, 3, 5, 4)]


def test_codes_of_16_bits_are_no_u8_output(tmp_path):
    with pytest.raises(AxError) as raised:
        cut(tmp_path, two(Grid(0.5, 3, U16)), OutputProcessor("y", (), "U8"))
    assert raised.value.sentence == (
        "Output 'y': output_dtype U8 keeps the codes of an output, and this one is made as U16."
    )


@pytest.mark.parametrize(
    ("processors", "sentence", "hint"),
    [
        ([OutputProcessor("yy")], "An output processor is for 'yy', which is no output of the model.",
         "did you mean y?"),
        ([OutputProcessor("y", (0, 1, 2))],
         "Output 'y': dst_perm [0, 1, 2] is no order of the axes of [1, 3, 4, 5], 0 to 3.", ""),
        ([OutputProcessor("y"), OutputProcessor("z"), OutputProcessor("DEFAULT", NHWC)],
         'The output processor "DEFAULT" has no effect: every output has its own.', ""),
    ],
)  # fmt: skip
def test_a_processor_that_fits_no_output_is_refused(processors, sentence, hint):
    with pytest.raises(AxError) as raised:
        processors_of({"y": SHAPE, "z": SHAPE}, processors)
    assert (raised.value.code, raised.value.sentence, raised.value.hint) == ("AX407", sentence, hint)
