"""Stage: made-up samples for a compiled model of which no data is known, in the form that it takes in.

An input that is quantised gets values over the range that it was calibrated to, evenly, before its mean and std are
undone; bytes are all bytes; whole numbers are 0 or 1. What no range is known of is `random_array`'s.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.errors import AxWarning, counted
from axbuild.toolchain.axmodel.random_array import generator, random_array
from axbuild.toolchain.data.processors import InputProcessor, processor_of
from axbuild.toolchain.file_names import file_name
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.npu.net import read_model
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.quantised import PlanGraph, read_graph
from axbuild.toolchain.npu.plan.record import Partition

Range = tuple[float, float]


@dataclass(frozen=True)
class RandomSamplesParams:
    """count: samples; input_processors: the compiled model's."""

    count: int
    input_processors: tuple[InputProcessor, ...] = ()


def random_samples(model: Path, partition: Path, out: Path, *, params: RandomSamplesParams) -> None:
    """model: quant_axmodel.onnx. Writes samples/, a folder for each input, and warns that data is made up."""
    graph = read_graph(read_model(model))
    said = []
    for tensor in Partition.read(partition).inputs:
        processor = processor_of(tensor.name, params.input_processors)
        folder = out / "samples" / file_name(tensor.name)
        folder.mkdir(parents=True)
        found = _range(graph, tensor)
        said.append(f"'{tensor.name}' {_told(tensor, found)}")
        for number in range(params.count):
            key = f"{number}\n{tensor.name}"
            sample = random_array(tensor, 1, key) if found is None else _even(tensor, key, found, processor)
            np.save(folder / f"random_{number}.npy", sample)
    made = counted(params.count, "random sample")
    sentence = f"compared on {made}, since the quantised model came without its calibration data: {', '.join(said)}"
    warnings.warn(AxWarning("AX592", sentence), stacklevel=2)


def _range(graph: PlanGraph, tensor: BoundaryTensor) -> Range | None:
    """What a float input was calibrated to, the widest of its readers; None where nothing quantises it."""
    if np.dtype(tensor.dtype).kind != "f":
        return None
    ends = list(_ends(graph, tensor.name))
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


def _ends(graph: PlanGraph, name: str) -> Iterator[Range]:
    for node in graph.nodes:
        if node.enters and name in node.reads and node.kind is not None and isinstance(grid := node.kind.writes, Grid):
            yield grid.real(grid.type.lo), grid.real(grid.type.hi)


def _even(tensor: BoundaryTensor, key: str, found: Range, processor: InputProcessor | None) -> Array:
    """float32 [the input's shape], values of the model's own input spread over the range, as the run-time input."""
    values = generator(key).uniform(*found, tensor.shape)
    if processor is not None and len(tensor.shape) > 1:
        shape = [1] * len(tensor.shape)
        shape[-1 if tensor.layout == "NHWC" else 1] = -1
        mean, std = (np.reshape(some or (d,), shape) for some, d in ((processor.mean, 0.0), (processor.std, 1.0)))
        values = values * std + mean
    return values.astype(tensor.dtype)


def _told(tensor: BoundaryTensor, found: Range | None) -> str:
    if found is not None:
        return f"from {found[0]:.4g} to {found[1]:.4g}"
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return "from the normal distribution"
    return "0 and 1" if dtype.kind == "b" or dtype.itemsize > 2 else "of all values"
