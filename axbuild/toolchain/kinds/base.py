"""What every kind of arithmetic offers: an ONNX node with an exact body, tile geometry, and cost.

A kind instance is one operator with all its constants settled. It goes to and from an ONNX node of the
domain `axbuild` without loss: activations are the node's first inputs, the constants of `constants()` follow
in that order as initialisers, everything else is in `attributes()`.

Shapes at this interface are ONNX's (NCHW). Boxes are in memory layout: rank-4 tensors lie in memory as NHWC,
all others in ONNX order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

if TYPE_CHECKING:
    import onnx

DOMAIN = "axbuild"

Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Box:
    """A half-open region of a tensor in memory layout: one (start, stop) an axis."""

    ranges: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> Shape:
        return tuple(stop - start for start, stop in self.ranges)

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(start, stop) for start, stop in self.ranges)


@dataclass(frozen=True)
class Rates:
    """What one core group of a chip does in a cycle; kinds turn boxes into cycles with it (npu-reference 4.3)."""

    convs: int
    mac_ci: int
    mac_co: int
    mac_px: int
    dw_channels: int
    dw_pixels: int
    efficiency: float
    teng_elements: int
    ocm_port_bytes: int
    ddr_bytes: float


def memory_shape(shape: Shape) -> Shape:
    """ONNX shape -> shape in memory: NCHW becomes NHWC, other ranks stay."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape


class Kind:
    """Base of all kinds; subclasses are frozen dataclasses whose fields are the operator's constants."""

    op_type: ClassVar[str]
    """op_type of the node in `quant_axmodel.onnx`, such as AxQuantizedConv"""
    job: ClassVar[str]
    """name of the job in a program (npu-reference 4.6)"""
    engine: ClassVar[str]
    """engine class that runs it: "conv", "teng", "cv" or "sdma\""""
    output_dtype: ClassVar[str] = "uint8"
    """numpy dtype of the output"""

    def attributes(self) -> dict[str, Any]:
        """Scalars and integer lists that the node carries as ONNX attributes."""
        raise NotImplementedError

    def constants(self) -> dict[str, Array]:
        """Name -> array, in the order of the node's inputs after the activations."""
        return {}

    @classmethod
    def read(cls, attributes: dict[str, Any], constants: list[Array]) -> Self:
        """The inverse of `attributes` and `constants`; raises AxError on a node that is not well formed."""
        raise NotImplementedError

    def body(self) -> onnx.FunctionProto:
        """The definition of the arithmetic: a function of domain `axbuild`, run as it stands by stock onnxruntime."""
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:
        """ONNX shape of the output from the ONNX shapes of the activations."""
        raise NotImplementedError

    def input_boxes(self, out: Box, *inputs: Shape) -> tuple[Box, ...]:
        """What part of each activation (memory layout, clipped to the tensor) the part `out` of the output needs."""
        raise NotImplementedError

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        """Axes of the output in memory layout along which a tile may be cut, best first; empty: one job only."""
        return ()

    def macs(self, out: Box, *inputs: Shape) -> int:
        """Multiply-accumulates that produce the part `out`; 0 where the kind has none."""
        return 0

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """Engine cycles for the part `out`, without operator overhead and without DDR time."""
        raise NotImplementedError
