"""What stands between a run-time input and the model's own: colours, transpose, slice, pad, dequantise, normalise.

The run-time input holds raw values x (uint8 pictures, or the same as float32) in its own layout, or the bytes of a YUV
picture. They become NCHW of the model's size; then the model's input is (f32(x) - mean) / std an element of the channel
axis, or f32(x) where nothing is normalised; each step is one float32 operation. Where a U8 picture feeds a Quantize,
all of it behind the moves has one case a byte and channel and becomes one table, computed by these same operations.
Inputs of other types (indices, masks) are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from axbuild.errors import AxError, counted
from axbuild.toolchain.by_name import DEFAULT
from axbuild.toolchain.data.processors import InputProcessor, processor_of
from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.border import Dequantize, Normalize
from axbuild.toolchain.kinds.codes import FP32, U8, ElementType, Grid
from axbuild.toolchain.kinds.mover import Pad, Slice, Transpose
from axbuild.toolchain.kinds.table import ChannelTable, normalise_table
from axbuild.toolchain.npu.plan.colour import LEVELS, NHWC_TO_NCHW, add_conversion
from axbuild.toolchain.npu.plan.prelude import Prelude

REVERSED = {"BGR", "RGB"}
COLORS = ("BGR", "RGB", "GRAY")
"""Channel orders that a picture's input says of itself; others, such as those of arrays, say nothing"""
TYPES = {"U8": U8, "FP32": FP32}


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
        self.yuv = processor.yuv if processor else None
        self.layout = "NHWC" if self.yuv else (processor.src_layout if processor else "NCHW") if self.image else ""
        coloured = processor is not None and self.image and processor.tensor_format in COLORS
        self.color = processor.src_format if processor and coloured and shape[1] in (1, 3) else ""
        self._check()

    @property
    def source_shape(self) -> Shape:
        """Shape of the run-time input."""
        shape = self._framed
        if self.processor and self.yuv:
            return self.yuv.source_shape(shape, self.processor.src_format)
        if self.layout != "NHWC":
            return shape
        n, *rest = shape
        return (n, *rest[1:], rest[0])

    @property
    def _framed(self) -> Shape:
        """Before slicing and padding, on the model's axes."""
        return self.processor.frame.source_shape(self.shape) if self.processor else self.shape

    @property
    def disorder(self) -> str:
        """What to warn of where the model has its channels in another order than the run-time input says; "" else."""
        p = self.processor
        if p is None or {p.src_format, p.tensor_format} != REVERSED:
            return ""
        return (
            f"Input '{self.name}': channels are taken as they come; src_format {p.src_format} does not become "
            f"tensor_format {p.tensor_format}, and a picture in {p.src_format} has its red and blue exchanged"
        )

    def _check(self) -> None:
        p = self.processor
        if p is None:
            return
        if p.src_layout not in ("NCHW", "NHWC"):
            raise ProcessorError(f"Input '{self.name}': src_layout must be NCHW or NHWC, got '{p.src_layout}'.")
        p.frame.check(f"Input '{self.name}'", self.shape)
        value = p.padding_constant_value
        if p.padding and self.type == U8 and not U8.lo <= value <= U8.hi:
            raise ProcessorError(f"Input '{self.name}': padding_constant_value is {value}, and a byte holds 0 to 255.")
        self._check_colour(p)
        self._check_normalisation(p)

    def _check_colour(self, p: InputProcessor) -> None:
        if self.yuv:
            if not self.image or self.shape[1] != 3 or p.tensor_format not in ("BGR", "RGB") or self.type != U8:
                raise ProcessorError(
                    f"Input '{self.name}': {p.src_format} becomes BGR or RGB of three channels, from U8; this input is "
                    f"{list(self.shape)}, its tensor_format {p.tensor_format} and its src_dtype {p.src_dtype}."
                )
            self.yuv.source_shape(self._framed, p.src_format)
            _ = p.conversion
        elif p.src_format != p.tensor_format and not self.disorder:
            raise ProcessorError(
                f"Input '{self.name}': src_format {p.src_format} does not become tensor_format {p.tensor_format}.",
                hint="give the samples and the model one format",
            )

    def _check_normalisation(self, p: InputProcessor) -> None:
        for name, values in (("mean", p.mean), ("std", p.std)):
            if values and (len(self.shape) < 2 or len(values) not in (1, self.shape[1])):
                raise ProcessorError(
                    f"Input '{self.name}': {name} has {counted(len(values), 'value')}, "
                    f"the input's shape is {list(self.shape)}."
                )
        if not all(np.isfinite(value) and np.float32(value) > 0 for value in p.std):
            raise ProcessorError(f"Input '{self.name}': every std must be a positive number.")

    @property
    def inserted(self) -> tuple[str, ...]:
        """What stands between the run-time input and the model's own, as steps of the vendor's order: that of axbuild
        moves bytes first and computes then, on the same values, and makes one table of all that it can."""
        p = self.processor
        steps = {
            f"{self.color} to {p.tensor_format}" if p else "": bool(self.yuv),
            "slice": bool(p and p.slicing),
            "pad": bool(p and p.padding),
            "dequantise": p is not None and self.image and self.type == U8,
            "normalise": self.normalisation() is not None,
            "transpose": self.layout == "NHWC" and not self.yuv,
        }
        return tuple(step for step, taken in steps.items() if taken)

    def normalisation(self) -> tuple[Array, Array] | None:
        """float32 [c] mean and std; None where nothing is normalised."""
        p = self.processor
        if p is None or not (p.mean or p.std):
            return None
        mean, std = (np.asarray(v or (d,), np.float32) for v, d in ((p.mean, 0.0), (p.std, 1.0)))
        if not mean.any() and (std == 1).all():
            return None
        channels = (self.shape[1],)
        return np.broadcast_to(mean, channels).copy(), np.broadcast_to(std, channels).copy()

    def reals(self) -> Prelude:
        """What makes the model's own input of the run-time input."""
        steps = self._moves()
        if (normal := self.normalisation()) is not None:
            steps.add(Normalize(LEVELS if self.type == U8 else FP32, *normal, 1))
        elif self.type == U8:
            steps.add(Dequantize(LEVELS))
        return steps

    def codes(self, y: Grid) -> Prelude | None:
        """What makes codes on `y` straight from a U8 picture; None where a table cannot."""
        if self.type != U8 or not self.image:
            return None
        mean, std = self.normalisation() or (np.zeros(self.shape[1], np.float32), np.ones(self.shape[1], np.float32))
        steps = self._moves()
        steps.add(ChannelTable(LEVELS, y, normalise_table(mean, std, LEVELS, y), 1))
        return steps

    def _moves(self) -> Prelude:
        """To the model's layout, colours and size."""
        steps = Prelude()
        p = self.processor
        if p is not None and self.yuv:
            add_conversion(steps, self._framed, self.yuv, p.conversion)
        elif self.layout == "NHWC":
            steps.add(Transpose(self.type, NHWC_TO_NCHW))
        if p is not None and p.slicing:
            begins, ends = zip(*p.frame.cut, strict=True)
            stops = tuple(size - end for size, end in zip(self._framed, ends, strict=True))
            axes = tuple(axis for axis in range(len(begins)) if begins[axis] or ends[axis])
            starts, ends = (tuple(side[axis] for axis in axes) for side in (begins, stops))
            steps.add(Slice(self.type, starts, ends, axes, (1,) * len(axes)))
        if p is not None and p.padding:
            begins, ends = zip(*p.frame.added, strict=True)
            steps.add(Pad(self.type, (*begins, *ends), p.padding_constant_value))
        return steps


def sources_of(
    inputs: Mapping[str, tuple[ElementType, Shape]], processors: tuple[InputProcessor, ...]
) -> list[RuntimeInput]:
    """The run-time form of each of a model's inputs (name -> type, shape); raises ProcessorError where none fits."""
    for processor in processors:
        if processor.tensor_name not in (DEFAULT, *inputs):
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
