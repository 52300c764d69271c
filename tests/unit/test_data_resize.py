"""Pictures resized as OpenCV's INTER_LINEAR does it; the values are cv2's own.

Digests of `cv2.resize(picture(h, w, c), (width, height))`, first 16 digits of their SHA-256, the same by
opencv-python-headless 4.14.0 and 5.0.0 on x86-64. With 4,000 random shapes of 1 to 80 pixels a side either gave what
`resized` gives, bit for bit.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from axbuild.toolchain.data.resize import resized


def picture(height, width, channels):
    y, x, k = np.ogrid[:height, :width, :channels]
    return ((x * x * 7 + y * y * 13 + x * y * 31 + k * 101 + (x ^ y) * 5) % 256).astype(np.uint8)


def test_a_picture_shrinks_and_grows_to_opencvs_own_values():
    assert resized(picture(5, 7, 1), 3, 4)[..., 0].tolist() == [
        [13, 70, 96, 122],
        [90, 185, 169, 138],
        [178, 47, 86, 180],
    ]
    assert resized(picture(3, 4, 1), 5, 7)[..., 0].tolist() == [
        [0, 4, 11, 25, 41, 64, 78],
        [7, 14, 26, 49, 73, 101, 118],
        [18, 30, 49, 85, 122, 157, 179],
        [44, 65, 98, 136, 165, 126, 102],
        [62, 88, 131, 170, 193, 105, 50],
    ]


@pytest.mark.parametrize(
    ("before", "after", "channels", "digest"),
    [
        ((20, 30), (5, 7), 3, "b507a56470ec9f3b"),
        ((375, 500), (224, 224), 3, "ba65cca3ad33b88d"),
        ((480, 640), (224, 224), 3, "0b470afa5b0dcf0d"),
        ((100, 90), (224, 224), 3, "3c0a21e727122966"),
        ((448, 448), (224, 224), 3, "5fc5a531df6ff694"),
        ((448, 300), (224, 224), 1, "59dc30c4117443ce"),
        ((1, 1), (4, 4), 3, "825023d0f00d5d71"),
        ((2, 9), (9, 2), 1, "13abc8a5d4454637"),
        ((97, 13), (13, 97), 3, "9ea0615e8d7fe592"),
    ],
)
def test_every_shape_is_resized_bit_for_bit_as_by_opencv(before, after, channels, digest):
    found = resized(picture(*before, channels), *after)
    assert found.shape == (*after, channels)
    assert sha256(found.tobytes()).hexdigest()[:16] == digest


def test_a_row_of_a_picture_shrunk_to_a_quarter_skips_pixels_and_averages_none():
    """The centre of a new pixel lies between the second and third of four."""
    row = np.array([[9, 10, 20, 200] * 3], np.uint8)[..., np.newaxis]
    assert resized(row, 1, 3)[0, :, 0].tolist() == [15, 15, 15]
