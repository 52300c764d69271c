"""Pictures -> uint8 arrays of the model's size, channels in the order the model was trained with."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from axbuild.errors import AxError
from axbuild.toolchain.door import door

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff", ".gif")
MAX_PIXELS = 2**27

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "TIFF", "GIF")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}


class BadImageError(AxError):
    """A picture that cannot be decoded, or is too large to be one."""

    code = "AX333"


def channels(tensor_format: str) -> int:
    """3 for RGB and BGR, 1 for GRAY."""
    return _CHANNELS[tensor_format]


def decode_image(content: bytes, name: str, size: tuple[int, int], tensor_format: str) -> np.ndarray[Any, Any]:
    """uint8 [height, width, channels] of one picture; size is (height, width); an alpha channel is dropped.

    Resized by Pillow's BILINEAR, which widens its window when it shrinks a picture (it averages, where OpenCV's
    INTER_LINEAR skips pixels); a picture that has the size already is not touched. Orientation tags are not applied.
    Grey is ITU-R 601 luma.
    """
    with (
        door(lambda said: BadImageError(f"'{name}' is not a readable picture: {said}")),
        Image.open(io.BytesIO(content), formats=_FORMATS) as image,
    ):
        _check(image, name)
        pixels = image.convert("L" if tensor_format == "GRAY" else "RGB")
    height, width = size
    if pixels.size != (width, height):
        pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
    array = np.asarray(pixels, dtype=np.uint8).reshape(height, width, -1)
    return np.ascontiguousarray(array[:, :, ::-1] if tensor_format == "BGR" else array)


def _check(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or min(width, height) < 1:
        raise BadImageError(f"'{name}' has {width} x {height} pixels; {MAX_PIXELS} are allowed")
    if image.mode not in _MODES:
        raise BadImageError(
            f"'{name}' has pixels of mode {image.mode}, which are not 8 bits a channel",
            hint="convert it to 8 bits, or give the data as Numpy",
        )
