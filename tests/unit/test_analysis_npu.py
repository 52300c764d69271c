"""The precision table by the simulated NPU: its values are the definition's, to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from npu_world import preset_of, support_of

from axbuild.errors import AxError
from axbuild.toolchain.analysis.float_values import float_values
from axbuild.toolchain.analysis.measure_on_npu import MeasureOnNpuParams, measure_on_npu
from axbuild.toolchain.analysis.take_apart import in_floats, take_apart
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.fuse import FuseParams, join
from axbuild.toolchain.axmodel.simulate_layers import SimulateLayersParams, simulate_layers
from axbuild.toolchain.axmodel.simulate_parts import SimulatePartsParams, simulate_parts
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.postprocess import OutputProcessor
from axbuild.toolchain.npu.plan.record import NPU, Partition
from axbuild.toolchain.npu.plan.wholly_npu import wholly_npu
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.precision.feeds import feeds
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams, measure_edges
from axbuild.toolchain.precision.measured_edges import MeasuredEdges
from axbuild.toolchain.quant.precision import LayerConfig
from chain_world import place, run_chain
from frontend_world import model, node, normal

AX650 = FuseParams(Nameplate("AX650", 0, "NPU1"))

PICTURES = (InputProcessor("x", "RGB", "RGB", "U8", "NHWC", (127.5,) * 3, (58.0,) * 3),)
FLOAT = LayerConfig(op_type="Softmax", data_type="FP32")


def net(between="Relu"):
    """Convolutions, an activation with a grid of its own inside, a Split, a Softmax in floats, and two outputs."""
    weights = {"w1": normal(6, 3, 3, 3) / 4, "w2": normal(6, 6, 1, 1) / 2, "halves": np.array([2, 4])}
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="first", pads=[1, 1, 1, 1]),
        node(between, ["a"], ["b"], name="between"),
        node("Conv", ["b", "w2"], ["c"], name="second"),
        node("Sigmoid", ["c"], ["s"], name="gate"),
        node("Mul", ["c", "s"], ["d"], name="scaled"),
        node("Split", ["d", "halves"], ["u", "v"], name="split", axis=1),
        node("Concat", ["v", "u"], ["j"], name="join", axis=1),
        node("Add", ["j", "b"], ["y"], name="add"),
        node("GlobalAveragePool", ["y"], ["g"], name="pool"),
        node("Softmax", ["g"], ["z"], name="softmax", axis=1),
    ]
    return model(nodes, weights, inputs=(("x", [1, 3, 8, 8]),), outputs=("y", "z"))


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    rng = np.random.default_rng(5)
    pictures = [rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(4)]
    (own,) = PICTURES
    settings = {"mean": own.mean, "std": own.std, "source": own.src_dtype, "layout": own.src_layout, "rules": (FLOAT,)}
    return run_chain(net(), tmp_path_factory.mktemp("npu"), {"x": pictures}, images=("x",), **settings)


def files(chain):
    """The float model, the quantised one, and samples: what every measuring stage takes."""
    return chain.folder / "float/out/optimized", chain.folder / "quant/quant_axmodel.onnx", chain.samples


def reference(chain):
    measure_edges(*files(chain), place(chain.folder, "reference_edges"), params=MeasureEdgesParams(chain.inputs, 3))
    return MeasuredEdges.read(chain.folder / "reference_edges/edges.json")


def compiled(model, chain, out, *processors):
    """An axmodel of a quantised model; processors: of its inputs and of its outputs."""
    cut = PartitionParams(support_of(), *(processors or ((),)))
    partition(model, files(chain)[0], place(out, "cut"), params=cut)
    for subgraph in Partition.read(out / "cut/partition").at(NPU):
        folder = out / "programs" / subgraph.name / "b1"
        folder.mkdir(parents=True)
        compile_subgraph(out / "cut/partition" / subgraph.file, folder, params=CompileParams(preset_of(), 1))
    join([out / "cut/partition"], [out / "programs"], out, params=AX650)
    return out / "compiled.axmodel"


def measured(chain, made, method, out):
    params = MeasureOnNpuParams(chain.inputs, 3, method)
    measure_on_npu(*files(chain), made, out, params=params)
    return MeasuredEdges.read(out / "edges.json")


@pytest.fixture(scope="module")
def known(chain):
    return reference(chain)


def test_per_layer_every_operator_is_simulated_by_itself_and_no_element_differs(chain, known):
    room = place(chain.folder, "apart")
    take_apart(*files(chain)[:2], room)
    axmodel = compiled(room / "apart.onnx", chain, room)
    float_values(*files(chain), room, params=MeasureEdgesParams(chain.inputs, 3))
    simulate_parts(axmodel, room / "boundaries", [], room, params=SimulatePartsParams(()))
    models = ExposedModels(files(chain)[0], onnx.load(files(chain)[1]))
    differing = elements = 0
    for sample, feed in feeds(models.inputs, chain.samples, chain.inputs, {"000", "001", "002"}):
        exact, made = models.alone_reals(models.float_values(feed)), outputs.load(room / "outputs", sample)
        for name, own in in_floats(models).outputs.items():
            elements += exact[name].size
            differing += int((exact[name].view(np.int32) != made[own].view(np.int32)).sum())
    assert (differing, elements > 5000) == (0, True)
    found = measured(chain, room / "outputs", "PerLayer", room)
    assert found.samples == known.samples == 3
    assert found.edges == [replace(edge, accumulated=None) for edge in known.edges]


def test_end_to_end_the_axmodel_runs_through_and_no_element_differs(chain, known):
    room = place(chain.folder, "through")
    simulate_layers(chain.axmodel, chain.samples, room, params=SimulateLayersParams(chain.inputs, PICTURES, 0, 3))
    assert outputs.samples(room / "outputs") == ["000", "001", "002"]
    models = ExposedModels(files(chain)[0], onnx.load(files(chain)[1]))
    for sample, feed in feeds(models.inputs, chain.samples, chain.inputs, {"000", "001", "002"}):
        made = outputs.load(room / "outputs", sample)
        for name, codes in models.coded_values(feed).items():
            assert (made[name] != codes).sum() == 0, (sample, name)
    found = measured(chain, room / "outputs", "EndToEnd", room)
    assert found.edges == [replace(edge, local=None) for edge in known.edges]


def test_outputs_in_another_order_or_as_codes_are_compared_as_the_model_has_them(chain, known):
    room = place(chain.folder, "moved")
    given = (OutputProcessor("y", (0, 2, 3, 1), "U8"), OutputProcessor("z", (0, 3, 1, 2)))
    axmodel = compiled(files(chain)[1], chain, room, PICTURES, given)
    simulate_layers(axmodel, chain.samples, room, params=SimulateLayersParams(chain.inputs, PICTURES, 0, 3))
    made = outputs.load(room / "outputs", "000")
    assert {name: (made[name].shape, made[name].dtype) for name in "yz"} == {
        "y": ((1, 8, 8, 6), np.uint8),
        "z": ((1, 1, 6, 1), np.float32),
    }
    found = measured(chain, room / "outputs", "EndToEnd", room)
    assert found.edges == [replace(edge, local=None) for edge in known.edges]


@pytest.mark.filterwarnings("ignore:warning AX411")
def test_a_model_with_a_subgraph_on_the_cpu_is_refused_by_name(tmp_path):
    rng = np.random.default_rng(5)
    samples = {"x": [rng.standard_normal((1, 3, 8, 8), dtype=np.float32) for _ in range(2)]}
    mixed = run_chain(net("Softsign"), tmp_path, samples)
    with pytest.raises(AxError, match="AX490") as found:
        wholly_npu(mixed.folder / "cut/partition", tmp_path)
    assert (
        "the CPU of AX650 runs 1 operator of this one: 'between' (Softsign): Softsign has no " in found.value.sentence
    )
    assert found.value.hint == 'mode = "Reference" analyses these too'


def test_a_model_that_is_wholly_on_the_npu_is_not_refused(chain, tmp_path):
    wholly_npu(chain.folder / "cut/partition", tmp_path)
    assert json.loads((tmp_path / "preflight.json").read_text()) == {"operators": 7}
