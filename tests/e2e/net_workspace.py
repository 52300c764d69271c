"""A workspace of one small net in the package m: its BUILD file in pieces, and the files it names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from zoo_workspace import Zoo

QUANT = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "samples"
format = "Numpy"
size = -1

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"
"""
"""ends in the quant_model, whose other attributes may follow"""
AXMODEL = """
[[axmodel]]
name = "axmodel"
quant = ":quant"
"""
CHECK = """
[[check]]
name = "check"
axmodel = ":axmodel"
level = "equal"
"""
PRECISION = """
[[precision_check]]
name = "precision"
quant = ":quant"
"""


def net_workspace(
    root: Path, build: str, net: onnx.ModelProto, samples: Iterable[np.ndarray], package: Path | None = None
) -> Zoo:
    """Nothing is built yet; the cache stands beside the workspace. package: as in Zoo."""
    (root / "m/samples").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "m/BUILD.toml").write_text(build)
    onnx.save(net, root / "m/net.onnx")
    for number, sample in enumerate(samples):
        np.save(root / f"m/samples/{number}.npy", sample)
    return Zoo(root, root.parent / "cache", package)
