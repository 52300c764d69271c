"""What stands between a run-time input and the model's own: colours, transpose, slice, pad, dequantise, normalise.

The run-time input holds raw values x (whole numbers, or the same as floats) in its own layout, or the bytes of a YUV
picture, or codes q of a scale and a zero, x = f32(q - zero) scale. They become the model's layout and size; then the
model's input is (f32(x) - mean) / std an element of the channel axis, or f32(x) where nothing is normalised; each step
is one float32 operation. Where 8 bits of a picture feed a Quantize, all of it behind the moves has one case a code and
channel and becomes one table, computed by these same operations. What has no codes on the NPU (32 bits, FP16) becomes
the nearest float32 before all else. Inputs of whole numbers and truth values become the model's own type, which loses
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from axbuild.errors import AxError, counted
from axbuild.toolchain.by_name import DEFAULT
from axbuild.toolchain.data.colour import YuvFormat
from axbuild.toolchain.data.processors import InputProcessor, processor_of
from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.border import Dequantize, Normalize
from axbuild.toolchain.kinds.codes import FP16, FP32, INT32, S8, S16, U8, U16, U32, Edge, ElementType, Grid
from axbuild.toolchain.kinds.convert import Convert
from axbuild.toolchain.kinds.mover import Pad, Slice, Transpose
from axbuild.toolchain.kinds.table import ChannelTable, normalise_table
from axbuild.toolchain.npu.plan.colour import NHWC_TO_NCHW, add_conversion
from axbuild.toolchain.npu.plan.prelude import InsertedOp, Prelude

REVERSED = {"BGR", "RGB"}
COLORS = ("BGR", "RGB", "GRAY")
"""Channel orders that a picture's input says of itself; others, such as those of arrays, say nothing"""
TYPES = {"U8": U8, "S8": S8, "U16": U16, "S16": S16, "U32": U32, "S32": INT32, "FP16": FP16, "FP32": FP32}
"""src_dtype -> what the run-time input is"""
LAYOUTS = ("NCHW", "NHWC")
NCHW_TO_NHWC = (0, 2, 3, 1)
DEQUANTIZE, NORMALIZE, TRANSPOSE = "AxDequantizeLinear", "AxNormalize", "AxTranspose"
InsertedAs = tuple[str, str, str, dict[str, Any]]
"""as `Prelude.insert` takes it"""


class ProcessorError(AxError):
    """AX407: an input processor that does not fit the input it is meant for."""

    code = "AX407"


class RuntimeInput:
    """One run-time input. shape, own: ONNX shape and type of the model's input; type, layout: of the run-time input;
    channels: the axis of the model's input that they lie along."""

    def __init__(self, name: str, own: ElementType, shape: Shape, processor: InputProcessor | None) -> None:
        self.name = name
        self.own = own
        self.shape = shape
        self.processor = processor
        self.type = _type(name, own, processor)
        self.image = len(shape) == 4 and own == FP32
        self.yuv = processor.yuv if processor else None
        last = self.image and processor is not None and processor.tensor_layout == "NHWC"
        self.channels = 3 if last else 1
        self.layout = "NHWC" if self.yuv else (processor.src_layout if processor else "NCHW") if self.image else ""
        coloured = self.image and processor is not None and processor.tensor_format in COLORS and processor.pictures
        # The levels of a picture, 0 to 255, are no S8.
        told = processor is not None and coloured and shape[self.channels] in (1, 3) and self.type != S8
        self.color = processor.src_format if processor and told else ""
        self._check()

    @property
    def source_shape(self) -> Shape:
        """Shape of the run-time input."""
        shape = self._framed
        if self.processor and self.yuv:
            return self.yuv.source_shape(self._planar(shape), self.processor.src_format)
        return shape if self._way is None else tuple(shape[self._way.index(axis)] for axis in range(4))

    @property
    def _framed(self) -> Shape:
        """Before slicing and padding, on the model's axes."""
        return self.processor.frame.source_shape(self.shape) if self.processor else self.shape

    def _planar(self, shape: Shape) -> Shape:
        """The model's axes as NCHW."""
        return tuple(shape[axis] for axis in NHWC_TO_NCHW) if self.channels == 3 else shape

    @property
    def _way(self) -> tuple[int, ...] | None:
        """The transposition from the run-time input's layout to the model's; None where there is none to do."""
        turned = self.image and not self.yuv and (self.layout == "NHWC") != (self.channels == 3)
        return (NHWC_TO_NCHW if self.layout == "NHWC" else NCHW_TO_NHWC) if turned else None

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
        for name in ("src_layout", "tensor_layout"):
            if getattr(p, name) not in LAYOUTS:
                raise ProcessorError(f"Input '{self.name}': {name} must be NCHW or NHWC, got '{getattr(p, name)}'.")
        p.frame.check(f"Input '{self.name}'", self.shape)
        self._check_filling(p)
        self._check_codes(p)
        self._check_colour(p)
        self._check_normalisation(p)

    def _check_filling(self, p: InputProcessor) -> None:
        value = p.padding_constant_value
        if p.padding and not _holds(self.type, value):
            raise ProcessorError(
                f"Input '{self.name}': padding_constant_value is {value}, and {_range(self.type)}.",
                hint="it is what the run-time input would hold there",
            )

    def _check_codes(self, p: InputProcessor) -> None:
        if not p.scale:
            return
        if self.own != FP32 or not self.type.coded:
            raise ProcessorError(
                f"Input '{self.name}': scale is of codes of U8, S8, U16 or S16 for a float input; this one is "
                f"{self.own}, and its src_dtype {p.src_dtype}."
            )
        if not self._grid.sound:
            raise ProcessorError(
                f"Input '{self.name}': scale {p.scale:g} and zeropoint {p.zeropoint} are no grid of {self.type}: the "
                f"scale is a positive float32, and {_range(self.type)}."
            )

    def _check_colour(self, p: InputProcessor) -> None:
        if self.yuv:
            three = self.image and self.shape[self.channels] == 3
            if not three or p.tensor_format not in ("BGR", "RGB") or self.type != U8 or p.scale:
                raise ProcessorError(
                    f"Input '{self.name}': {p.src_format} becomes BGR or RGB of three channels, from U8; this input is "
                    f"{list(self.shape)}, its tensor_format {p.tensor_format} and its src_dtype {p.src_dtype}"
                    f"{' with a scale' if p.scale else ''}."
                )
            self.yuv.source_shape(self._planar(self._framed), p.src_format)
            _ = p.conversion
        elif p.src_format != p.tensor_format and not self.disorder:
            raise ProcessorError(
                f"Input '{self.name}': src_format {p.src_format} does not become tensor_format {p.tensor_format}.",
                hint="give the samples and the model one format",
            )

    def _check_normalisation(self, p: InputProcessor) -> None:
        for name, values in (("mean", p.mean), ("std", p.std)):
            if values and (len(self.shape) < 2 or len(values) not in (1, self.shape[self.channels])):
                raise ProcessorError(
                    f"Input '{self.name}': {name} has {counted(len(values), 'value')}, "
                    f"the input's shape is {list(self.shape)}.",
                    hint=self._other_layout(len(values)),
                )
        if not all(np.isfinite(value) and np.float32(value) > 0 for value in p.std):
            raise ProcessorError(f"Input '{self.name}': every std must be a positive number.")
        if self.own != FP32 and self.normalisation() is not None:
            raise ProcessorError(f"Input '{self.name}' is {self.own}: mean and std have no effect.")

    def _other_layout(self, channels: int) -> str:
        """A hint where the model has so many channels along the other axis."""
        if self.channels == 3 and self.shape[1] == channels:
            return "the model takes its channels first: leave tensor_layout NHWC out"
        return "tensor_layout NHWC is for a model that takes its channels last" if self.shape[3:] == (channels,) else ""

    @property
    def inserted(self) -> tuple[InsertedOp, ...]:
        """What stands between the run-time input and the model's own."""
        return tuple(self.reals().told)

    def normalisation(self) -> tuple[Array, Array] | None:
        """float32 [c] mean and std; None where nothing is normalised."""
        p = self.processor
        if p is None or not (p.mean or p.std):
            return None
        mean, std = (np.asarray(v or (d,), np.float32) for v, d in ((p.mean, 0.0), (p.std, 1.0)))
        if not mean.any() and (std == 1).all():
            return None
        channels = (self.shape[self.channels],)
        return np.broadcast_to(mean, channels).copy(), np.broadcast_to(std, channels).copy()

    @property
    def _grid(self) -> Grid:
        """What codes at the run-time input stand for."""
        p = self.processor
        return Grid(float(np.float32(p.scale)), p.zeropoint, self.type) if p and p.scale else Grid(1.0, 0, self.type)

    def reals(self) -> Prelude:
        """What makes the model's own input of the run-time input."""
        steps = self._moves()
        normal = self.normalisation()
        raw = self._grid == Grid(1.0, 0, self.type)
        if steps.type.coded and (normal is None or not raw):
            steps.insert(Dequantize(self._grid), self._dequantised)
        if normal is not None:
            read: Edge = self._grid if steps.type.coded else FP32
            told = (self._dequantised, self._normalised(*normal)) if steps.type.coded else (self._normalised(*normal),)
            steps.insert(Normalize(read, *normal, self.channels), *told)
        return steps

    def codes(self, y: Grid) -> Prelude | None:
        """What makes codes on `y` straight from 8 bits of a picture; None where a table cannot."""
        if self.type not in (U8, S8) or not self.image:
            return None
        normal, count = self.normalisation(), self.shape[self.channels]
        mean, std = normal or (np.zeros(count, np.float32), np.ones(count, np.float32))
        steps = self._moves()
        told = (self._dequantised,) if normal is None else (self._dequantised, self._normalised(*normal))
        table = normalise_table(mean, std, self._grid, y)
        steps.insert(ChannelTable(self._grid, y, table, self.channels), *told)
        return steps

    @property
    def _dequantised(self) -> InsertedAs:
        about = {"scale": self._grid.scale, "zero_point": self._grid.zero, "output_dtype": "FP32"}
        return "dequantise", "pre_dequant_1", DEQUANTIZE, about

    def _normalised(self, mean: Array, std: Array) -> InsertedAs:
        about = {"dim": self.channels, "mean": shortest(mean), "std": shortest(std)}
        return "normalise", "pre_norm_1", NORMALIZE, about

    def _moves(self) -> Prelude:
        """To the model's layout, colours and size, in a type that the NPU computes with."""
        steps = Prelude(self.type, self.source_shape)
        p = self.processor
        self._cast(steps)
        if p is not None and self.yuv:
            self._convert(steps, p, self.yuv)
        elif self._way is not None:
            steps.insert(Transpose(steps.type, self._way), _transposed(self._way))
        if p is not None and p.slicing:
            begins, ends = zip(*p.frame.cut, strict=True)
            stops = tuple(size - end for size, end in zip(self._framed, ends, strict=True))
            axes = tuple(axis for axis in range(len(begins)) if begins[axis] or ends[axis])
            starts, ends = (tuple(side[axis] for axis in axes) for side in (begins, stops))
            kind = Slice(steps.type, starts, ends, axes, (1,) * len(axes))
            steps.insert(kind, ("slice", "pre_slice_1", kind.op_type, {"slicing": list(p.slicing)}))
        if p is not None and p.padding:
            begins, ends = zip(*p.frame.added, strict=True)
            pad = Pad(steps.type, (*begins, *ends), p.padding_constant_value)
            about = {"padding": list(p.padding), "value": p.padding_constant_value}
            steps.insert(pad, ("pad", "pre_pad_1", pad.op_type, about))
        return steps

    def _cast(self, steps: Prelude) -> None:
        """Of what the NPU has no codes of, and of whole numbers to the model's own type."""
        if self.type == self.own or (self.own == FP32 and self.type.coded):
            return
        kind = Convert(self._grid if self.type.coded else self.type, self.own)
        told = ("cast", "pre_cast_1", kind.op_type, {"to": str(self.own)})
        steps.insert(kind, self._dequantised if self.own == FP32 and self.type != FP16 else told)

    def _convert(self, steps: Prelude, p: InputProcessor, form: YuvFormat) -> None:
        """A YUV picture to the model's channels."""
        shape = self._planar(self._framed)
        about = {"csc_mode": p.csc_mode, "src_format": p.src_format}
        step = f"{p.src_format} to {p.tensor_format}"
        steps.told.append(InsertedOp("pre_csc_1", "AxColorSpaceConvert", about, str(steps.type), steps.shape, step))
        add_conversion(steps, shape, form, p.conversion)
        steps.shape = shape
        if self.channels == 3:
            steps.insert(Transpose(steps.type, NCHW_TO_NHWC), _transposed(NCHW_TO_NHWC))


def _transposed(way: tuple[int, ...]) -> InsertedAs:
    return "transpose", "pre_transpose_1", TRANSPOSE, {"perm": list(way)}


def shortest(values: Array) -> list[float]:
    """float32 as the shortest numbers that give them."""
    return [float(str(value)) for value in values]


def _holds(kind: ElementType, value: int) -> bool:
    """Whether a run-time input of that type can hold a whole number, which float32 then holds as well."""
    held = np.dtype(kind.carried)
    if held.kind == "f":
        return float(np.asarray(value, np.float64).astype(held)) == value
    return bool(np.iinfo(held).min <= value <= np.iinfo(held).max and float(np.float32(value)) == value)


def _range(kind: ElementType) -> str:
    if kind.dtype.startswith("float"):
        return f"{kind} does not hold that number"
    limits = np.iinfo(kind.carried)
    return f"{kind} holds {limits.min:,} to {limits.max:,}"


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
        raise ProcessorError(
            f"Input '{name}': src_dtype must be one of {', '.join(TYPES)}, got '{processor.src_dtype}'."
        )
    found = TYPES[processor.src_dtype]
    if own == FP32:
        return found
    if found == FP32:  # what an attribute that nobody wrote says
        return own
    if found == FP16:
        raise ProcessorError(
            f"Input '{name}' is {own}: a run-time input of FP16 has not every whole number.",
            hint="src_dtype S32, or none for the model's own type",
        )
    return found
