"""Whole small networks: bit-exact at every optimisation level, and no noisier than onnxruntime's own quantiser."""

import numpy as np
import onnx
import pytest
from bodies import LEVELS
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from quantised import Net, float_run, ort_session, quantised, sqnr

STAGES = ((1, 8, 1, 1), (6, 16, 2, 2), (6, 24, 2, 2))
"""expansion, channels, repeats, stride of the inverted residuals"""


class MobileNet(Net):
    """A MobileNetV2 in small, random weights of the usual variance."""

    def __init__(self, seed: int) -> None:
        super().__init__(1, 3, 40, 40, seed=seed)
        self.constant("lo", np.float32(0))
        self.constant("hi", np.float32(6))
        x, channels, index = self.layer("x", "stem", 16, 3, 3, stride=2), 16, 0
        for expansion, out, repeats, stride in STAGES:
            for step in (stride, *[1] * (repeats - 1)):
                x, channels, index = self.residual(x, channels, out, expansion, step, index), out, index + 1
        x = self.layer(x, "last", 64, channels, 1)
        self.add("GlobalAveragePool", [x], "mean")
        self.add("Flatten", ["mean"], "flat")
        self.add("Gemm", ["flat", self.weight("fw", 10, 64), self.weight("fb", 10)], "y", transB=1)

    def layer(self, x: str, name: str, co: int, ci: int, k: int, *, stride=1, group=1, clamp=True) -> str:
        fan = k * k * ci // group
        w = self.constant(f"{name}_w", self.rng.normal(0, (2 / fan) ** 0.5, (co, ci // group, k, k)))
        b = self.constant(f"{name}_b", self.rng.normal(0, 0.1, co))
        pads = [k // 2] * 4
        self.add("Conv", [x, w, b], name, kernel_shape=[k, k], strides=[stride, stride], pads=pads, group=group)
        return self.add("Clip", [name, "lo", "hi"], f"{name}_r") if clamp else name

    def residual(self, x: str, ci: int, co: int, expansion: int, stride: int, index: int) -> str:
        wide, y = ci * expansion, x
        if expansion > 1:
            y = self.layer(y, f"e{index}", wide, ci, 1)
        y = self.layer(y, f"d{index}", wide, wide, 3, stride=stride, group=wide)
        y = self.layer(y, f"p{index}", co, wide, 1, clamp=False)
        return self.add("Add", [x, y], f"a{index}") if (stride, ci) == (1, co) else y


class Reader(CalibrationDataReader):
    def __init__(self, samples):
        self.samples = iter(samples)

    def get_next(self):
        return next(self.samples, None)


def onnxruntime_static(model: onnx.ModelProto, samples, folder) -> bytes:
    """onnxruntime's own MinMax quantisation in the same scheme."""
    onnx.save(model, folder / "float.onnx")
    quantize_static(
        folder / "float.onnx",
        folder / "static.onnx",
        Reader(samples),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )
    return (folder / "static.onnx").read_bytes()


def test_a_small_mobilenet_is_no_noisier_than_onnxruntimes_static_quantisation(tmp_path):
    ours, theirs = [], []
    for seed in range(3):
        net = MobileNet(seed)
        model, calibration, others = net.model("y"), net.samples(8), net.samples(16)
        result, peer = quantised(model, calibration), ort_session(onnxruntime_static(model, calibration, tmp_path))
        reference = np.stack([float_run(model, feeds)[0] for feeds in others])
        ours.append(sqnr(reference, np.stack([result.run(feeds)[0] for feeds in others])))
        theirs.append(sqnr(reference, np.stack([peer.run(None, feeds)[0] for feeds in others])))
    assert min(ours) > 30
    # The scheme is the same, so what differs is noise of rounding: 0.2 dB either way on so few outputs.
    assert np.mean(ours) > np.mean(theirs) - 0.2


def test_a_small_mobilenet_gives_the_same_bits_at_every_optimisation_level():
    net = MobileNet(7)
    result = quantised(net.model("y"), net.samples(4))
    for feeds in net.samples(4):
        first, *others = [result.run(feeds, level=level)[0].tobytes() for level in LEVELS]
        assert all(other == first for other in others)


def test_clamps_cost_no_node_in_a_mobilenet():
    net = MobileNet(0)
    result = quantised(net.model("y"), net.samples(1))
    convolutions = [node for node in net.nodes if node.op_type == "Conv"]
    assert result.kinds().count("AxQuantizedConv") == len(convolutions)
    assert "AxRequantizeLinear" not in result.kinds()


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize(("strides", "pads", "dilations"), [([2, 1], [0, 1, 2, 1], [1, 1]), ([1, 1], [2] * 4, [2, 2])])
def test_every_geometry_of_a_convolution_is_within_a_few_steps_of_float(kernel, group, strides, pads, dilations):
    net = Net(1, 4, 9, 11, seed=kernel * group)
    net.conv("x", "y", 8, 4, kernel, group=group, strides=strides, pads=pads, dilations=dilations)
    samples = net.samples(2)
    result = quantised(net.model("y"), samples)
    y, reference = result.run(samples[0])[0], float_run(net.model("y"), samples[0])[0]
    assert y.shape == reference.shape
    assert np.abs(y - reference).max() <= 4 * result.scale("y")


@pytest.mark.parametrize(("count_include_pad", "ceil_mode"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_average_pooling_counts_as_onnxruntime_does(count_include_pad, ceil_mode):
    net = Net(1, 2, 8, 7)
    flags = {"count_include_pad": count_include_pad, "ceil_mode": ceil_mode}
    net.add("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], **flags)
    samples = net.samples(2)
    result = quantised(net.model("y", opset=19), samples)
    y, reference = result.run(samples[0])[0], float_run(net.model("y", opset=19), samples[0])[0]
    assert y.shape == reference.shape
    assert np.abs(y - reference).max() <= 0.5 * result.scale("x") + 0.51 * result.scale("y")


def test_padding_puts_the_value_where_onnxruntime_does():
    net = Net(1, 2, 5, 6)
    pads = net.constant("p", np.array([0, 0, 1, 2, 0, 0, 3, 1]))
    net.add("Pad", ["x", pads, net.constant("v", 0.5)], "y")
    samples = net.samples(2)
    result = quantised(net.model("y"), samples)
    distance = np.abs(result.run(samples[0])[0] - float_run(net.model("y"), samples[0])[0]).max()
    assert distance <= 0.51 * result.scale("y")


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2]])
def test_a_mean_over_height_and_width_is_a_global_average(keepdims, axes):
    net = Net(1, 3, 5, 6)
    net.add("ReduceMean", ["x", net.constant("a", np.array(axes))], "y", keepdims=keepdims)
    samples = net.samples(2)
    result = quantised(net.model("y"), samples)
    y, reference = result.run(samples[0])[0], float_run(net.model("y"), samples[0])[0]
    assert y.shape == reference.shape
    assert np.abs(y - reference).max() <= 0.5 * result.scale("x") + 0.51 * result.scale("y")


@pytest.mark.parametrize(("scale", "held"), [((1,), (1,)), ((24,), (24,))])
def test_a_norm_holds_one_weight_where_all_are_equal(scale, held):
    net = Net(1, 6, 24)
    values = np.full(24, 0.7) if scale == (1,) else net.rng.normal(1, 0.2, 24)
    net.add("LayerNormalization", ["x", net.constant("g", values)], "y")
    model, samples = net.model("y"), net.samples(2)
    result = quantised(model, samples)
    assert result.kind("y").weight.shape == result.kind("y").bias.shape == held
    assert sqnr(float_run(model, samples[0])[0], result.run(samples[0])[0]) > 38
