"""Windows over height and width as jobs: what convolutions and poolings share."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box, Kind
from axbuild.toolchain.kinds.window import Window
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry


@dataclass(frozen=True)
class WindowAttr(KernelAttr):
    """kernel, strides, dilations: height, width; pads: top, left, bottom, right of the job's own part."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]


def window_attr(window: Window, kind: Kind, geometry: Geometry, out: Box) -> dict[str, tuple[int, ...]]:
    """The fields of WindowAttr for the part `out`: its pads are what its windows reach beyond what it reads."""
    box = kind.input_boxes(out, *geometry.inputs)[0]
    pads = []
    for i in (0, 1):
        (start, stop), (begin, end) = out.ranges[1 + i], box.ranges[1 + i]
        first = start * window.strides[i] - window.pads[i]
        last = (stop - 1) * window.strides[i] - window.pads[i] + window.extent(i)
        pads.append((begin - first, max(0, last - end)))
    (top, bottom), (left, right) = pads
    return {
        "kernel": window.kernel,
        "strides": window.strides,
        "pads": (top, left, bottom, right),
        "dilations": window.dilations,
    }
