"""What torch computes for each operator, beside onnxruntime; fake quantisation beside the exact integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
import torch
from quantised import Net, float_run, quantised

from axbuild.toolchain.kinds.arithmetic import dequantise, quantise
from axbuild.toolchain.kinds.codes import CODES, S8, U8, Grid
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.tune.arrays import to_array, to_tensor
from axbuild.toolchain.tune.evaluations import EVALUATIONS, WEIGHTED
from axbuild.toolchain.tune.passes import coded_outputs
from axbuild.toolchain.tune.program import JudgedSites, Numbers, TorchBlock, fake_quantised
from axbuild.toolchain.tune.settle import float_weight, layer_of

CPU = torch.device("cpu")
Build = Callable[[Net], str]


def one(op: str, **attributes: object) -> Build:
    return lambda net: net.add(op, ["x"], "y", **attributes)


def two(op: str) -> Build:
    def build(net: Net) -> str:
        net.input("z", 1, 4, 6, 6)
        return net.add(op, ["x", "z"], "y")

    return build


def with_constants(op: str, *arrays: np.ndarray, **attributes: object) -> Build:
    def build(net: Net) -> str:
        names = [net.constant(f"c{place}", array) for place, array in enumerate(arrays)]
        return net.add(op, ["x", *names], "y", **attributes)

    return build


def weighted(op: str, *shape: int, **attributes: object) -> Build:
    def build(net: Net) -> str:
        bias = [] if op == "MatMul" else [net.weight("b", 8)]
        if op == "Gemm":
            net.add("Flatten", ["x"], "flat")
            return net.add(op, ["flat", net.weight("w", *shape), *bias], "y", **attributes)
        return net.add(op, ["x", net.weight("w", *shape), *bias], "y", **attributes)

    return build


def positive(op: str) -> Build:
    def build(net: Net) -> str:
        net.add("Softplus", ["x"], "p")
        return net.add(op, ["p"], "y")

    return build


def divided(net: Net) -> str:
    net.add("Exp", ["x"], "p")
    return net.add("Div", ["x", "p"], "y")


BUILDS: dict[str, list[Build]] = {
    "Add": [two("Add"), with_constants("Add", np.float32([1.5]))],
    "AveragePool": [
        one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        one("AveragePool", kernel_shape=[3, 3], pads=[1, 0, 1, 0], count_include_pad=1),
        one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0], ceil_mode=1, count_include_pad=1),
    ],
    "Clip": [with_constants("Clip", np.float32(-0.5), np.float32(1.0)), with_constants("Clip", np.float32([-0.25]))],
    "Concat": [lambda net: (net.input("z", 1, 2, 6, 6), net.add("Concat", ["x", "z"], "y", axis=1))[1]],
    "Conv": [
        weighted("Conv", 8, 4, 3, 3, pads=[1, 1, 1, 1]),
        weighted("Conv", 8, 2, 3, 3, pads=[0, 1, 2, 0], strides=[2, 1], group=2),
        weighted("Conv", 8, 4, 2, 2, dilations=[2, 3]),
    ],
    "Div": [divided],
    "Dropout": [one("Dropout")],
    "Elu": [one("Elu", alpha=0.7)],
    "Erf": [one("Erf")],
    "Exp": [one("Exp")],
    "Flatten": [one("Flatten")],
    "Gelu": [one("Gelu"), one("Gelu", approximate="tanh")],
    "Gemm": [weighted("Gemm", 8, 144, transB=1), weighted("Gemm", 144, 8, alpha=0.5, beta=2.0)],
    "GlobalAveragePool": [one("GlobalAveragePool")],
    "HardSigmoid": [one("HardSigmoid"), one("HardSigmoid", alpha=0.3, beta=0.4)],
    "HardSwish": [one("HardSwish")],
    "Identity": [one("Identity")],
    "LayerNormalization": [with_constants("LayerNormalization", np.linspace(0.5, 2, 6), np.linspace(-1, 1, 6))],
    "LeakyRelu": [one("LeakyRelu", alpha=0.2)],
    "MatMul": [two("MatMul"), weighted("MatMul", 6, 5)],
    "MaxPool": [one("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 0, 1])],
    "Mish": [one("Mish")],
    "Mul": [two("Mul")],
    "Neg": [one("Neg")],
    "PRelu": [with_constants("PRelu", np.linspace(-0.5, 0.5, 4).reshape(4, 1, 1))],
    "ReduceMean": [
        with_constants("ReduceMean", np.int64([2, 3])),
        with_constants("ReduceMean", np.int64([1]), keepdims=0),
    ],
    "ReduceSum": [with_constants("ReduceSum", np.int64([-1])), one("ReduceSum")],
    "Relu": [one("Relu")],
    "Reshape": [with_constants("Reshape", np.int64([1, 8, 18]))],
    "Sigmoid": [one("Sigmoid")],
    "Softmax": [one("Softmax", axis=1)],
    "Softplus": [one("Softplus")],
    "Sqrt": [positive("Sqrt")],
    "Squeeze": [
        lambda net: (
            net.add("GlobalAveragePool", ["x"], "g"),
            net.add("Squeeze", ["g", net.constant("a", np.int64([2, 3]))], "y"),
        )[1]
    ],
    "Sub": [two("Sub")],
    "Swish": [one("Swish"), one("Swish", alpha=1.7)],
    "Tanh": [one("Tanh")],
    "Transpose": [one("Transpose", perm=[0, 2, 3, 1])],
    "Unsqueeze": [with_constants("Unsqueeze", np.int64([2]))],
}
CASES = [(op, place) for op, builds in BUILDS.items() for place in range(len(builds))]


def test_every_operator_that_torch_computes_has_a_case() -> None:
    assert BUILDS.keys() == EVALUATIONS.keys() | WEIGHTED.keys()


@pytest.mark.parametrize(("op", "place"), CASES)
def test_torch_computes_what_onnxruntime_computes(op: str, place: int) -> None:
    net = Net(1, 4, 6, 6)
    model = net.model(BUILDS[op][place](net))
    samples = net.samples()
    graph = ir.from_proto(model).graph
    sites = placed(graph, quantised(model, samples).scheme)
    part = JudgedSites(sites, ("y",), {})
    block = TorchBlock(part, CPU, rounded=False)
    layers = [layer_of(place) for place in sites if place[1].weight is not None]
    weights = [to_tensor(float_weight(layer), CPU) for layer in layers]
    numbers = Numbers(weights, [to_tensor(layer.bias, CPU) for layer in layers], {})
    for sample in samples:
        values = {(name, edge): to_tensor(sample[name], CPU) for name, edge in block.needs}
        found = to_array(block.run(values, numbers)["y"])
        np.testing.assert_allclose(found, float_run(model, sample)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", CODES, ids=str)
def test_fake_quantisation_is_within_a_step_of_the_codes(kind) -> None:
    grid = Grid(0.03 if kind in (U8, S8) else 2e-4, 0 if kind.signed else kind.hi // 3, kind)
    x = np.random.default_rng(0).normal(0, 3, 5000).astype(np.float32)
    codes = dequantise(quantise(x, grid), grid)
    found = to_array(fake_quantised(to_tensor(x, CPU), grid))
    learnt = to_array(fake_quantised(to_tensor(x, CPU), grid, torch.tensor([grid.scale])))
    assert np.abs(found - codes).max() <= grid.scale * 1.001
    assert (np.abs(found - codes) > grid.scale / 2).mean() < 0.001
    np.testing.assert_allclose(learnt, found, atol=grid.scale * 1.001)


@pytest.mark.parametrize("op", ["Conv", "Gemm", "MatMul"])
def test_a_fused_node_is_within_a_step_of_its_integers(op: str) -> None:
    net = Net(1, 4, 6, 6)
    net.add("Relu", [BUILDS[op][-1](net)], "z")
    model, samples = net.model("z"), net.samples()
    graph = ir.from_proto(model).graph
    scheme = quantised(model, samples).scheme
    sites = placed(graph, scheme)
    block = TorchBlock(JudgedSites(sites, ("z",), {}), CPU, rounded=True)
    layers = [layer_of(place) for place in sites if place[1].weight is not None]
    weights = [
        to_tensor(np.rint(layer.weight) * layer.scale.reshape(-1, *[1] * (layer.weight.ndim - 1)), CPU)
        for layer in layers
    ]
    numbers = Numbers(weights, [to_tensor(layer.bias, CPU) for layer in layers], {})
    stacked = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
    exact = coded_outputs(graph, scheme, stacked)["z"]
    grid = next(edge for _, site in sites for name, edge in site.writes.items() if name == "z")
    for number, sample in enumerate(samples):
        values = {(name, edge): fake_quantised(to_tensor(sample[name], CPU), edge) for name, edge in block.needs}
        found = to_array(fake_quantised(block.run(values, numbers)["z"], grid))
        assert np.abs(found - exact[number]).max() <= grid.scale * 1.001
