"""What stands between a run-time input and the float model's own: transpose, reverse channels, dequantise, normalise.

The run-time input holds raw values x (uint8 pictures, or the same as float32) in its own layout and order of channels.
They are moved to NCHW and the model's order; then the model's input is (f32(x) - mean) / std an element of the channel
axis, or f32(x) where nothing is normalised; each step is one float32 operation. Where a U8 picture feeds a Quantize,
all of it behind the moves has one case a byte and channel and becomes one table, computed by these same operations.
Inputs of other types (indices, masks) are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from axbuild.errors import AxError, counted
from axbuild.toolchain.data.inputs import InputProcessor, processor_of
from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.border import Dequantize, Normalize
from axbuild.toolchain.kinds.codes import FP32, U8, ElementType, Grid
from axbuild.toolchain.kinds.mover import Slice, Transpose
from axbuild.toolchain.kinds.table import ChannelTable, normalise_table

NHWC_TO_NCHW = (0, 3, 1, 2)
REVERSIBLE = {"BGR", "RGB"}
COLORS = ("BGR", "RGB", "GRAY")
"""Channel orders that a picture's input says of itself; others, such as those of arrays, say nothing"""
TYPES = {"U8": U8, "FP32": FP32}
RAW = Grid(1.0, 0, U8)
"""what the bytes of a picture stand for"""


class ProcessorError(AxError):
    """AX407: an input processor that does not fit the input it is meant for."""

    code = "AX407"


class RuntimeInput:
    """One run-time input. shape, own: ONNX shape and type of the model's input; type, layout: of the run-time input."""

    def __init__(self, name: str, own: ElementType, shape: Shape, processor: InputProcessor | None) -> None:
        self.name = name
        self.shape = shape
        self.processor = processor
        self.type = _type(name, own, processor)
        self.image = len(shape) == 4 and own == FP32
        self.layout = (processor.src_layout if processor else "NCHW") if self.image else ""
        coloured = processor is not None and self.image and processor.tensor_format in COLORS
        self.color = processor.src_format if processor and coloured and shape[1] in (1, 3) else ""
        self._check()

    @property
    def source_shape(self) -> Shape:
        """Shape of the run-time input."""
        if self.layout != "NHWC":
            return self.shape
        n, *rest = self.shape
        return (n, *rest[1:], rest[0])

    def _check(self) -> None:
        p = self.processor
        if p is None:
            return
        if p.src_layout not in ("NCHW", "NHWC"):
            raise ProcessorError(f"Input '{self.name}': src_layout must be NCHW or NHWC, got '{p.src_layout}'.")
        reversible = {p.src_format, p.tensor_format} == REVERSIBLE and self.image and self.shape[1] == 3
        if p.reverses and not reversible:
            raise ProcessorError(
                f"Input '{self.name}': src_format {p.src_format} does not become tensor_format {p.tensor_format} in a "
                f"tensor of shape {list(self.shape)}; BGR and RGB of three channels become each other.",
                hint="give the samples and the model one channel order",
            )
        self._check_normalisation(p)

    def _check_normalisation(self, p: InputProcessor) -> None:
        for name, values in (("mean", p.mean), ("std", p.std)):
            if values and (len(self.shape) < 2 or len(values) not in (1, self.shape[1])):
                raise ProcessorError(
                    f"Input '{self.name}': {name} has {counted(len(values), 'value')}, "
                    f"the input's shape is {list(self.shape)}."
                )
        if not all(np.isfinite(value) and np.float32(value) > 0 for value in p.std):
            raise ProcessorError(f"Input '{self.name}': every std must be a positive number.")

    def normalisation(self) -> tuple[Array, Array] | None:
        """float32 [c] mean and std; None where nothing is normalised."""
        p = self.processor
        if p is None or not (p.mean or p.std):
            return None
        mean, std = (np.asarray(v or (d,), np.float32) for v, d in ((p.mean, 0.0), (p.std, 1.0)))
        channels = (self.shape[1],)
        return np.broadcast_to(mean, channels).copy(), np.broadcast_to(std, channels).copy()

    def reals(self) -> list[Kind]:
        """Kinds that make the model's own input of the run-time input, in order."""
        kinds = self._moves()
        if (normal := self.normalisation()) is not None:
            kinds.append(Normalize(RAW if self.type == U8 else FP32, *normal, 1))
        elif self.type == U8:
            kinds.append(Dequantize(RAW))
        return kinds

    def codes(self, y: Grid) -> list[Kind] | None:
        """Kinds that make codes on `y` straight from a U8 picture; None where a table cannot."""
        if self.type != U8 or not self.image:
            return None
        mean, std = self.normalisation() or (np.zeros(self.shape[1], np.float32), np.ones(self.shape[1], np.float32))
        return [*self._moves(), ChannelTable(RAW, y, normalise_table(mean, std, RAW, y), 1)]

    def _moves(self) -> list[Kind]:
        """To the model's layout and order of channels."""
        kinds: list[Kind] = []
        if self.layout == "NHWC":
            kinds.append(Transpose(self.type, NHWC_TO_NCHW))
        if self.processor is not None and self.processor.reverses:
            kinds.append(Slice(self.type, starts=(2,), ends=(-4,), axes=(1,), steps=(-1,)))
        return kinds


def sources_of(
    inputs: Mapping[str, tuple[ElementType, Shape]], processors: tuple[InputProcessor, ...]
) -> list[RuntimeInput]:
    """The run-time form of each of a model's inputs (name -> type, shape); raises ProcessorError where none fits."""
    for processor in processors:
        if processor.tensor_name not in ("DEFAULT", *inputs):
            raise ProcessorError(
                f"A calibration set or an input processor is for '{processor.tensor_name}', which is no input of the "
                "model that a node reads.",
                hint=f"inputs: {', '.join(inputs)}",
            )
    return [RuntimeInput(name, *form, processor_of(name, processors)) for name, form in inputs.items()]


def _type(name: str, own: ElementType, processor: InputProcessor | None) -> ElementType:
    if processor is None:
        return own
    if processor.src_dtype not in TYPES:
        raise ProcessorError(f"Input '{name}': src_dtype must be U8 or FP32, got '{processor.src_dtype}'.")
    if own == FP32:
        return TYPES[processor.src_dtype]
    # FP32 is what an attribute that nobody wrote says.
    if processor.src_dtype != "FP32" or processor.mean or processor.std:
        raise ProcessorError(f"Input '{name}' is {own} and taken as it is: src_dtype, mean and std have no effect.")
    return own
