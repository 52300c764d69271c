"""From decoded samples to what a compiled model takes in, and to what its float model then sees.

Apart from `inputs`, so that what observes a float model hangs on no colour conversion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.by_name import said_of
from axbuild.toolchain.data.colour import NO_CSC, YUV, Conversion, YuvFormat, conversion
from axbuild.toolchain.data.frame import Frame
from axbuild.toolchain.data.inputs import InputData, SampleMismatchError, own_array, tensor_input
from axbuild.toolchain.graph import Array

DTYPES = {
    "U8": "uint8",
    "S8": "int8",
    "U16": "uint16",
    "S16": "int16",
    "U32": "uint32",
    "S32": "int32",
    "FP16": "float16",
    "FP32": "float32",
}
"""src_dtype -> numpy's name of it"""
_REACH = {"uint32": (0, 2**31 - 1)}
"""what the NPU takes in of a type, where that is less than the type holds"""
_HALF_STEP = 0.501
"""what whole numbers are off that arrays of float32 were normalised from, at most"""
_LAST = (0, 3, 1, 2)
"""NHWC -> NCHW"""
_FIRST = (0, 2, 3, 1)


@dataclass(frozen=True)
class InputProcessor:
    """What a compiled model does to one of its inputs before the float model's own begins.

    tensor_name: the input, "DEFAULT" for every one without an entry of its own; src_format: a YUV format, or the order
    of channels in which they are taken as they come; src_dtype: a key of DTYPES, of an input of whole numbers "FP32"
    for its own type; src_layout, tensor_layout: "NHWC" or "NCHW", of the run-time input and of the model's; mean, std:
    as in InputData, empty where nothing is normalised; csc_mode, csc_mat: how YUV becomes `tensor_format`; slicing,
    padding: as `Frame` has them, on the model's axes; pictures: whether it takes in the levels of pictures as
    calibration does, False where what it normalises is something else; scale, zeropoint: of codes that it takes in, 0
    for none.
    """

    tensor_name: str
    tensor_format: str
    src_format: str
    src_dtype: str
    src_layout: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    csc_mode: str = NO_CSC
    csc_mat: tuple[float, ...] = ()
    slicing: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    padding_constant_value: int = 0
    tensor_layout: str = "NCHW"
    pictures: bool = True
    scale: float = 0.0
    zeropoint: int = 0

    @property
    def yuv(self) -> YuvFormat | None:
        """How its bytes lie; None where it is no YUV."""
        return YUV.get(self.src_format)

    @property
    def conversion(self) -> Conversion:
        """Of YUV to the model's channels; raises ColourError."""
        return conversion(self.csc_mode, self.csc_mat, self.tensor_format)

    @property
    def frame(self) -> Frame:
        return Frame(self.slicing, self.padding, self.padding_constant_value)

    @property
    def normalises(self) -> bool:
        return any(self.mean) or any(value != 1 for value in self.std)

    def source(self, own: Array) -> Array:
        """The run-time input, on the model's axes or of YUV NHWC, for what should stand where the model normalises."""
        source = self.frame.source(own)
        return self.yuv.source(self.conversion.planes(self._planar(source))) if self.yuv else source

    def seen(self, own: Array) -> Array:
        """What stands there instead: chroma has fewer pixels, borders are padded."""
        source = self.source(own)
        if not self.yuv:
            return self.frame.seen(source)
        picture = self.conversion.picture(self.yuv.planes(source))
        return self.frame.seen(picture.transpose(_FIRST) if self.tensor_layout == "NHWC" else picture)

    def _planar(self, own: Array) -> Array:
        return own.transpose(_LAST) if self.tensor_layout == "NHWC" else own

    def reals(self, held: Array) -> Array:
        """What the float model takes in of run-time values, float32: f32(q - zeropoint) scale where these are codes,
        then (x - mean) / std, each one float32 operation."""
        found: Array = held.astype(np.float32)
        if self.scale:
            found = (found - np.float32(self.zeropoint)) * np.float32(self.scale)
        if not self.normalises:
            return found
        mean, std = (self._along(values, found.ndim) for values in (self.mean or (0.0,), self.std or (1.0,)))
        normal: Array = (found - mean) / std
        return normal

    def levels(self, reals: Array) -> Array:
        """The way back, float64 and not rounded."""
        mean, std = (self._along(v, reals.ndim).astype(np.float64) for v in (self.mean or (0.0,), self.std or (1.0,)))
        found: Array = reals.astype(np.float64) * std + mean
        return found / float(np.float32(self.scale)) + self.zeropoint if self.scale else found

    def _along(self, values: tuple[float, ...], rank: int) -> Array:
        """float32, along the axis of channels."""
        shape = [1] * rank
        if len(values) > 1:
            shape[3 if self.tensor_layout == "NHWC" and rank == 4 else 1] = -1
        return np.asarray(values, np.float32).reshape(shape)


def processor_of(name: str, processors: tuple[InputProcessor, ...]) -> InputProcessor | None:
    """The entry for an input, or the "DEFAULT" one."""
    return said_of(name, {item.tensor_name: item for item in processors})


def seen_input(sample: Array, data: InputData, processor: InputProcessor | None) -> Array:
    """What the float model takes in behind the pre-processing of a compiled model that is fed `source_input`."""
    if processor is None:
        return tensor_input(sample, data)
    held = _held(sample, data, processor)
    seen = processor.seen(held)
    return np.ascontiguousarray(seen if _whole(sample, data) else processor.reals(seen))


def source_input(
    sample: Array, data: InputData, dtype: str, layout: str, processor: InputProcessor | None = None
) -> Array:
    """What a compiled model takes in, which normalises by itself, so that its float model sees what calibration showed
    it, as far as dtype holds that.

    dtype: numpy's name of the session input's dtype; layout: "NHWC" or "NCHW", or "" where it is no picture's. Raises
    SampleMismatchError where arrays have values that the session's dtype does not hold.
    """
    if processor is None:
        source = _picture(sample, "NCHW") if data.format == "Image" else own_array(sample, data.name)
    else:
        source = processor.source(_held(sample, data, processor))
    own, is_yuv = (processor.tensor_layout, processor.yuv is not None) if processor else ("NCHW", False)
    if layout and source.ndim == 4 and not is_yuv and layout != own:
        source = source.transpose(_FIRST if layout == "NHWC" else _LAST)
    return np.ascontiguousarray(_as(source, dtype, data.name, limit=0.0))


def _whole(sample: Array, data: InputData) -> bool:
    """Whether an input is of whole numbers or truth values."""
    return data.format != "Image" and own_array(sample, data.name).dtype.kind != "f"


def _held(sample: Array, data: InputData, processor: InputProcessor) -> Array:
    """What the run-time input holds where the model normalises, on the model's axes: in its own dtype, of whole numbers
    in the model's."""
    if _whole(sample, data):
        return own_array(sample, data.name)
    dtype = DTYPES[processor.src_dtype]
    if data.format == "Image" and processor.pictures:
        return _as(_picture(sample, processor.tensor_layout), dtype, data.name)
    reals = tensor_input(sample, data)
    if dtype == "float32" and not (processor.normalises or processor.scale):
        return reals
    # Pictures that do not fit were warned of when the model was built; arrays that do not are not what it is for.
    exact = not (processor.normalises or processor.scale)
    limit = None if data.format == "Image" else 0.0 if exact else _HALF_STEP
    return _as(processor.levels(reals), dtype, data.name, limit)


def _as(wanted: Array, dtype: str, name: str, limit: float | None = None) -> Array:
    """The nearest values of a dtype. SampleMismatchError where they are more than `limit` off, of floats where one is
    beyond their range; None for no limit."""
    kind = np.dtype(dtype)
    if kind == wanted.dtype or "b" in (kind.kind, wanted.dtype.kind):
        return wanted.astype(kind, copy=False)
    info = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    inside = _between(wanted, *_REACH.get(dtype, (info.min, info.max)))
    nearest = np.rint(inside) if kind.kind in "iu" else inside
    if limit is not None and (odd := np.abs(nearest - wanted) > limit).any():
        raise SampleMismatchError(
            f"input '{name}' of the compiled model is {dtype}, and of a sample it would hold {wanted[odd].flat[0]:g}",
            hint="compare on what it takes in, by input_sample_dir, or compile it with another src_dtype, mean and std",
        )
    return nearest.astype(kind)


def _between(wanted: Array, low: float, high: float) -> Array:
    if wanted.dtype.kind in "iu":
        own = np.iinfo(wanted.dtype)
        low, high = max(int(low), own.min), min(int(high), own.max)
    return np.clip(wanted, low, high)


def _picture(sample: Array, layout: str) -> Array:
    """A picture [h, w, c] as [1, c, h, w] or [1, h, w, c]."""
    planes = sample[np.newaxis]
    return planes if layout == "NHWC" else planes.transpose(_LAST)
