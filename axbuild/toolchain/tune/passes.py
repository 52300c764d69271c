"""A block run by onnxruntime, sample by sample: the float operators, or the exact integers of a scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from axbuild.toolchain import ort
from axbuild.toolchain.graph import Array
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.lowered import lowered
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.boundary import Tensors


def float_outputs(model: Path | bytes, inputs: Mapping[str, Array]) -> Tensors:
    """Every output of the float model, the samples stacked as in `inputs`."""
    return _outputs(ort.open_session(model), inputs)


def coded_outputs(graph: ir.Graph, scheme: Scheme, inputs: Mapping[str, Array]) -> Tensors:
    """Every output of the quantised model that a scheme makes of the float graph, as reals.

    Raises AxError where a number of the scheme does not fit an operator.
    """
    content = model_with(graph, lowered(graph, scheme)).SerializeToString()
    return _outputs(ort.open_session(content), inputs)


def _outputs(session: Any, inputs: Mapping[str, Array]) -> Tensors:
    names = [port.name for port in session.get_outputs()]
    wanted = [port.name for port in session.get_inputs()]
    count = len(next(iter(inputs.values())))
    rows = [session.run(names, {name: inputs[name][sample] for name in wanted}) for sample in range(count)]
    return {name: np.stack([row[place] for row in rows]) for place, name in enumerate(names)}


def reals_of(tensors: Mapping[str, Array]) -> Tensors:
    """Those that an error can be told of."""
    return {name: array for name, array in tensors.items() if array.dtype.kind == "f"}


def error_of(target: Mapping[str, Array], found: Mapping[str, Array]) -> float:
    """Noise over signal, a sum over the tensors; both of reals."""
    return sum(_share(target[name].astype(np.float64), found[name].astype(np.float64)) for name in target)


def _share(target: Array, found: Array) -> float:
    signal, noise = float(np.sum(target**2)), float(np.sum((found - target) ** 2))
    return noise / signal if signal else noise


def decibels(noise: float) -> str:
    """Of noise over signal."""
    return f"{-10.0 * math.log10(noise):.2f} dB SQNR" if noise else "none"
