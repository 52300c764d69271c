"""Small nets with loud channels, and the stages of SmoothQuant run on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from quantised import Net, quantised

from axbuild.toolchain.smooth.pairs import Pair, pairs_of
from axbuild.toolchain.smooth.scale import scale

LOUD = 3
"""the channel that is"""


def norm_net(*, residual: bool = False, windows: bool = False) -> Net:
    """LayerNormalization with a loud channel, two MatMuls behind it, and what is asked for between and beside them."""
    net = Net(1, 6, 8)
    gain = np.ones(8, np.float32)
    gain[LOUD] = 64.0
    net.constant("gain", gain)
    net.constant("shift", net.rng.normal(size=8).astype(np.float32))
    net.add("LayerNormalization", ["x", "gain", "shift"], "norm", axis=-1)
    seen = "norm"
    if windows:
        net.constant("parts", np.array([1, 2, 3, 8], np.int64))
        net.add("Reshape", ["norm", "parts"], "cut")
        net.add("Transpose", ["cut"], "turned", perm=[0, 2, 1, 3])
        seen = "turned"
    for name in ("a", "b"):
        net.constant(f"w{name}", net.rng.normal(size=(8, 5)).astype(np.float32))
        net.add("MatMul", [seen, f"w{name}"], name)
    net.add("Mul", ["a", "b"], "y")
    if residual:
        net.add("Add", ["x", "norm"], "sum")
    return net


@dataclass(frozen=True)
class Smoothed:
    """A float model before and after; pairs: those that were found."""

    before: onnx.ModelProto
    after: onnx.ModelProto
    pairs: list[Pair]


def smoothed(model: onnx.ModelProto, samples: list[dict[str, np.ndarray]], threshold: float = 0.5) -> Smoothed:
    statistics = quantised(model, samples).statistics
    whole = ir.from_proto(model)
    pairs = pairs_of(whole.graph, statistics, threshold, 0.6)
    scale(whole.graph, pairs)
    return Smoothed(model, ir.to_proto(whole), pairs)


def write_optimised(model: onnx.ModelProto, folder: Path) -> Path:
    folder.mkdir()
    onnx.save(model, folder / "optimized.onnx")
    return folder
