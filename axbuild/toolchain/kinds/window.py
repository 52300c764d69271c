"""Geometry of windows over height and width: what convolutions and poolings share. All in ONNX order (NCHW)."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import ConstantError, ShapeError


@dataclass(frozen=True)
class Window:
    """Kernel, strides, dilations (height, width) and pads (top, left, bottom, right) of one operator."""

    what: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int] = (1, 1)

    def check(self) -> None:
        """Raises ConstantError where a size is not positive or a pad negative."""
        if min(*self.kernel, *self.strides, *self.dilations) < 1 or min(self.pads) < 0:
            raise ConstantError(
                f"{self.what} has kernel {self.kernel}, strides {self.strides}, dilations {self.dilations} and pads "
                f"{self.pads}; sizes must be positive and pads not negative."
            )

    def check_pads(self) -> None:
        """Raises ConstantError where a pad is as wide as the window, which would then see nothing but padding."""
        if max(self.pads[0], self.pads[2]) >= self.extent(0) or max(self.pads[1], self.pads[3]) >= self.extent(1):
            raise ConstantError(f"The pads {self.pads} of {self.what} are as wide as its window.")

    def extent(self, axis: int) -> int:
        """Input positions that one window spans along height (0) or width (1)."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1

    def output(self, size: tuple[int, int]) -> tuple[int, int]:
        """Output height and width; raises ShapeError where no window fits."""
        h, w = ((size[i] + self.pads[i] + self.pads[i + 2] - self.extent(i)) // self.strides[i] + 1 for i in (0, 1))
        if h < 1 or w < 1:
            raise ShapeError(
                f"A window of {self.extent(0)} x {self.extent(1)} does not fit {self.what}'s input {size}."
            )
        return h, w

    @property
    def tile_axes(self) -> tuple[int, ...]:
        """Axes of the output in memory layout that tiles may cut, best first: rows, channels, batch, columns.

        Rows or columns stay whole where padding is as wide as the window, whose tile could be left with nothing to
        read.
        """
        buried = {1 + axis for axis in (0, 1) if max(self.pads[axis], self.pads[axis + 2]) >= self.extent(axis)}
        return tuple(axis for axis in (1, 3, 0, 2) if axis not in buried)

    def reads(self, axis: int, start: int, stop: int, size: int) -> tuple[int, int]:
        """Input range, clipped to 0..size, of the output range start..stop along height (0) or width (1)."""
        first = start * self.strides[axis] - self.pads[axis]
        last = (stop - 1) * self.strides[axis] - self.pads[axis] + self.extent(axis)
        begin = min(max(first, 0), size)
        return begin, max(min(last, size), begin)
