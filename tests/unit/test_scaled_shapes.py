"""A model that SmoothQuant has scaled, at a second input shape: its scaled constants come along, its twin too."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file, shape_of
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.watch import WatchParams, watch
from axbuild.toolchain.shapes.optimize_at import OptimizeAtParams, optimize_at
from axbuild.toolchain.shapes.quantize_at import QuantizeAtParams, quantize_at
from axbuild.toolchain.smooth.pairs import Pair
from axbuild.toolchain.smooth.scale import SMOOTHED, scale
from axbuild.toolchain.smooth.smooth import write_model
from chain_world import place
from frontend_world import optimized
from smooth_world import LOUD, norm_net

LONGER = {"x": (1, 9, 8)}


def test_what_was_scaled_is_scaled_at_the_other_shape_and_computes_the_same(tmp_path):
    net = norm_net(residual=True)
    optimized(net.model("y", "sum"), tmp_path)
    front, scaled = tmp_path / "out/optimized", tmp_path / "scaled"
    whole = ir.load(model_file(front))
    exponents = tuple(4 if channel == LOUD else 0 for channel in range(8))
    scale(whole.graph, [Pair("norm", 2, ("a", "b"), True, exponents)])
    write_model(whole, scaled)
    samples = [next(iter(one.values())) for one in net.samples(4)]
    other = place(tmp_path, "other")
    optimize_at(tmp_path / "in", front, place(tmp_path, "front"), params=OptimizeAtParams(LONGER))
    scheme, reshaped = scheme_of(scaled, tmp_path, samples), tmp_path / "front/optimized"
    quantize_at(front, scaled, scheme, reshaped, other, params=QuantizeAtParams(LONGER))

    found = ir.load(model_file(other / "optimized")).graph
    twin = next(node for node in found if (node.name or "").endswith(SMOOTHED))
    assert shape_of(twin.outputs[0]) == (1, 9, 8)
    x = np.random.default_rng(1).normal(size=LONGER["x"]).astype(np.float32)
    plain, smooth, codes = (
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(["y", "sum"], {"x": x})
        for file in (model_file(reshaped), model_file(other / "optimized"), other / "quant_axmodel.onnx")
    )
    for one, same, near in zip(plain, smooth, codes, strict=True):
        assert np.allclose(one, same, rtol=1e-4, atol=1e-4)
        assert np.sum(one * near) / np.linalg.norm(one) / np.linalg.norm(near) > 0.98


def scheme_of(model, folder, samples):
    """Of MinMax on the samples."""
    inputs, trees = (InputData("x", "Numpy"),), [place(folder, "samples")]
    for number, array in enumerate(samples):
        np.save(trees[0] / f"{number}.npy", array)
    watch(model, place(folder, "watched"), params=WatchParams())
    observe(model, folder / "watched/watch.json", trees, place(folder, "observed"), params=ObserveParams(inputs))
    calibrate(model, folder / "observed/statistics.msgpack", place(folder, "calibrated"), params=CalibrateParams())
    return folder / "calibrated/scheme.msgpack"
