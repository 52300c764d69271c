"""Nets of kinds and chips made for tests of the compiler and the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from axbuild.toolchain.kinds.base import Kind, whole_box
from axbuild.toolchain.kinds.codes import type_of, type_of_dtype
from axbuild.toolchain.kinds.registry import Written, model_of, write_node
from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.chips.preset import chip_of as chip_of_preset
from axbuild.toolchain.npu.chips.records import Preset, Support
from axbuild.toolchain.npu.chips.table import FOLDER, by_name, chips_of
from axbuild.toolchain.npu.compile import compile_net
from axbuild.toolchain.npu.net import Net, net_of
from axbuild.toolchain.npu.program.form import Program
from axbuild.toolchain.npu.simulator.machine import simulate
from axbuild.workspace.tables import Tables

Arrays = dict[str, np.ndarray]
CHIPS = by_name(chips_of(Tables(FOLDER).tables))
PLACES = sorted({(chip.name, mode) for chip in CHIPS.values() for mode in chip.modes})
"""every (chip, npu_mode) that something is compiled for"""


def preset_of(name: str = "AX650", mode: str = "NPU1") -> Preset:
    return CHIPS[name].preset(mode)


def support_of(name: str = "AX650") -> Support:
    return CHIPS[name].support


def chip_of(name: str, mode: str, ddr_bw_limit: float = 0) -> Chip:
    return chip_of_preset(preset_of(name, mode), ddr_bw_limit)


def chip(ocm_bytes: int = 0, mode: str = "NPU1") -> Chip:
    preset = chip_of("AX650", mode)
    return replace(preset, ocm_bytes=ocm_bytes) if ocm_bytes else preset


def port(name: str, dtype: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))


class Chain:
    """A model of kinds put together by hand; tensors are named by the caller."""

    def __init__(self) -> None:
        self.written: list[Written] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, str] = {}
        self.inputs: list[str] = []

    def input(self, name: str, shape: Sequence[int], dtype: str = "uint8") -> str:
        self.inputs.append(name)
        self.shapes[name], self.dtypes[name] = tuple(shape), dtype
        return name

    def add(self, kind: Kind, *inputs: str, name: str = "") -> str:
        output = name or f"t{len(self.written)}"
        self.written.append(write_node(kind, inputs, [output], f"op_{len(self.written)}"))
        self.shapes[output] = kind.output_shape(*(self.shapes[i] for i in inputs))
        self.dtypes[output] = type_of(kind.writes).dtype
        return output

    def model(self, *outputs: str) -> onnx.ModelProto:
        ports = [[port(n, self.dtypes[n], self.shapes[n]) for n in names] for names in (self.inputs, outputs)]
        inner = [name for name in self.shapes if name not in (*self.inputs, *outputs)]
        return model_of(self.written, *ports, "chain", [port(n, self.dtypes[n], self.shapes[n]) for n in inner])


def one_kind(kind: Kind, shapes: Sequence[Sequence[int]]) -> onnx.ModelProto:
    """A model of one kind: inputs x0, x1, ..., output y."""
    chain = Chain()
    types = [type_of(edge) for edge in kind.reads]
    names = [chain.input(f"x{i}", shape, t.dtype) for i, (shape, t) in enumerate(zip(shapes, types, strict=True))]
    return chain.model(chain.add(kind, *names, name="y"))


def carried(array: np.ndarray) -> np.ndarray:
    """What the NPU holds instead of the array."""
    return array.astype(type_of_dtype(array.dtype.name).carried)


def compiled(model: onnx.ModelProto, on: Chip | None = None, batch: int = 1, tiling=None) -> tuple[Program, bytes]:
    return compile_net(net_of(model, batch), on or chip(), batch, tiling)


def run(model: onnx.ModelProto, feeds: Arrays, on: Chip | None = None, batch: int = 1, tiling=None) -> Arrays:
    program, params = compiled(model, on, batch, tiling)
    return simulate(program, params, feeds)


def random_tiling(net: Net, seed: int):
    """Odd tile extents on random axes, at the grain that constants allow."""
    rng = np.random.default_rng(seed)

    def tiling(op, cutter):
        shape = [stop - start for start, stop in _whole(net, op)]
        steps = {}
        for axis in cutter.axes:
            unit = cutter.grain(axis)
            if rng.random() < 0.6:
                steps[axis] = int(rng.integers(1, max(2, shape[axis] // unit + 1))) * unit
        return steps

    return tiling


def _whole(net: Net, op):
    return whole_box(net.tensors[op.output].shape).ranges
