"""Pictures -> uint8 arrays of the model's size, channels in the order the model was trained with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from axbuild.errors import AxError, lfs_hint
from axbuild.toolchain.data.resize import resized
from axbuild.toolchain.door import door
from axbuild.toolchain.graph import Array

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff", ".gif")
MAX_PIXELS = 2**27

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "TIFF", "GIF")
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
_MODES = (*_GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}


class BadImageError(AxError):
    """A picture that cannot be decoded, or is too large to be one."""

    code = "AX333"


def channels(tensor_format: str) -> int:
    """3 for RGB and BGR, 1 for GRAY."""
    return _CHANNELS[tensor_format]


@dataclass(frozen=True)
class Picture:
    """uint8 [height, width, channels]; conversions: what was done to it beyond resizing, in words."""

    pixels: Array
    conversions: tuple[str, ...]


def decode_image(content: bytes, name: str, size: tuple[int, int], tensor_format: str) -> Picture:
    """One picture at the model's size, which is (height, width).

    Turned as its EXIF orientation says; an alpha channel is dropped, of 16 bits the upper 8 are kept. Resized as
    OpenCV's INTER_LINEAR does; a picture that has the size already is not touched. Grey is ITU-R 601 luma.
    """
    wanted = "L" if tensor_format == "GRAY" else "RGB"
    with door(lambda said: BadImageError(f"'{name}' is not a readable picture: {said}")):
        try:
            opened = Image.open(io.BytesIO(content), formats=_FORMATS)
        except UnidentifiedImageError:
            hint = (
                lfs_hint(content) or f"pictures are {', '.join(_FORMATS)}, told by their content and not by their name"
            )
            raise BadImageError(
                f"'{name}' is not a readable picture: its content is of no known format", hint=hint
            ) from None
        with opened as image:
            _check(image, name)
            conversions = tuple(_conversions(image, wanted))
            pixels = ImageOps.exif_transpose(_of_8_bits(image)).convert(wanted)
    array = np.asarray(pixels, dtype=np.uint8).reshape(pixels.height, pixels.width, -1)
    array = resized(array, *size)
    return Picture(np.ascontiguousarray(array[:, :, ::-1] if tensor_format == "BGR" else array), conversions)


def _conversions(image: Image.Image, wanted: str) -> Iterator[str]:
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        yield "turned as their EXIF orientation says"
    if _has_16_bits(image):
        yield "cut from 16 to 8 bits"
    if "A" in image.getbands() or "transparency" in image.info:
        yield "without their alpha channel"
    if image.mode == "CMYK":
        yield "made RGB from CMYK"
    if wanted == "RGB" and image.mode in _GREY:
        yield "made colour from grey"
    if wanted == "L" and image.mode not in _GREY:
        yield "made grey from colour"


def _has_16_bits(image: Image.Image) -> bool:
    """Of a colour picture Pillow keeps the upper 8 by itself; only the form of its data tells."""
    return image.mode.startswith("I") or any(";16" in str(tile) for tile in getattr(image, "tile", ()))


def _of_8_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if values.min() < 0 or values.max() >= 1 << 16:
        raise ValueError("its pixels are of more than 16 bits")
    narrow = Image.fromarray((values >> 8).astype(np.uint8))
    narrow.getexif().update(image.getexif())
    return narrow


def _check(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or min(width, height) < 1:
        raise BadImageError(f"'{name}' has {width} x {height} pixels; {MAX_PIXELS} are allowed")
    if image.mode not in _MODES:
        raise BadImageError(
            f"'{name}' has pixels of mode {image.mode}, which are not 8 or 16 bits a channel",
            hint="convert it, or give the data as Numpy",
        )
