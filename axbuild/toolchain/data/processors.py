"""From decoded samples to what a compiled model takes in, and to what its float model then sees.

Apart from `inputs`, so that what observes a float model hangs on no colour conversion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from axbuild.toolchain.by_name import said_of
from axbuild.toolchain.data.colour import NO_CSC, YUV, Conversion, YuvFormat, conversion
from axbuild.toolchain.data.frame import Frame
from axbuild.toolchain.data.inputs import InputData, SampleMismatchError, own_array, tensor_input
from axbuild.toolchain.graph import Array


@dataclass(frozen=True)
class InputProcessor:
    """What a compiled model does to one of its inputs before the float model's own begins.

    tensor_name: the input, "DEFAULT" for every one without an entry of its own; src_format: a YUV format, or the order
    of channels in which they are taken as they come; src_dtype: "U8" or "FP32"; src_layout: "NHWC" or "NCHW"; mean,
    std: as in InputData, empty where nothing is normalised; csc_mode, csc_mat: how YUV becomes `tensor_format`;
    slicing, padding: as `Frame` has them.
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

    def source(self, planes: Array) -> Array:
        """The run-time input, NCHW or of YUV NHWC, for what the model should see, a picture NCHW."""
        source = self.frame.source(planes)
        return self.yuv.source(self.conversion.planes(source)) if self.yuv else source

    def seen(self, planes: Array) -> Array:
        """What the model sees instead: chroma has fewer pixels, borders are padded."""
        source = self.source(planes)
        return self.frame.seen(self.conversion.picture(self.yuv.planes(source)) if self.yuv else source)


def processor_of(name: str, processors: tuple[InputProcessor, ...]) -> InputProcessor | None:
    """The entry for an input, or the "DEFAULT" one."""
    return said_of(name, {item.tensor_name: item for item in processors})


def seen_input(sample: Array, data: InputData, processor: InputProcessor | None) -> Array:
    """What the float model takes in behind the pre-processing of a compiled model, whose mean and std count."""
    if processor is None:
        return tensor_input(sample, data)
    normal = replace(data, mean=processor.mean, std=processor.std)
    if data.format != "Image":
        return tensor_input(processor.seen(own_array(sample, data.name)), normal)
    return tensor_input(processor.seen(_planes(sample))[0].transpose(1, 2, 0), normal)


def source_input(
    sample: Array, data: InputData, dtype: str, layout: str, processor: InputProcessor | None = None
) -> Array:
    """What a compiled model takes in, which normalises by itself: [1, H, W, C] or [1, C, H, W], uint8 or float32.

    dtype: numpy's name of the session input's dtype; layout: "NHWC" or "NCHW". A Numpy sample is in the float model's
    layout; raises SampleMismatchError where it is not of the session's dtype.
    """
    image = data.format == "Image"
    sample = sample if image else own_array(sample, data.name)
    if not image and sample.dtype != np.dtype(dtype):
        raise SampleMismatchError(
            f"input '{data.name}' of the compiled model is {dtype} and its Numpy samples are {sample.dtype}",
            hint="use src_dtype = 'FP32' in input_processors, or samples of format Image",
        )
    planes = _planes(sample) if image else sample
    source = processor.source(planes) if processor else planes
    turned = layout == "NHWC" and source.ndim == 4 and not (processor and processor.yuv)
    return np.ascontiguousarray(source.transpose(0, 2, 3, 1) if turned else source, dtype)


def _planes(sample: Array) -> Array:
    """A picture [h, w, c] as [1, c, h, w]."""
    return sample.transpose(2, 0, 1)[np.newaxis]
