"""What a QDQ model says of its tensors, in a file beside the float model that is left without its Q/DQ nodes.

`given.msgpack` is one msgpack map: "format"; "writes": tensor -> edge; "reads": tensor -> reader -> edge, where a node
reads a tensor on another grid than it is written on; "weights": a list of maps with "name", "readers", "type", "scale"
(float32) and "zero" (int32). An edge is [scale, zero, type]. Tensors and nodes are those of the float model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import ElementType, Grid, type_named
from axbuild.toolchain.quant.edge_files import SchemeError, packed_edge, unpacked_edge

FORMAT = "axbuild-qdq/1"


@dataclass(frozen=True)
class GivenWeight:
    """A constant behind DequantizeLinear, real = scale (code - zero) with codes of the signed `type`.

    scale, zero: one value, or one a channel; readers: the nodes that it goes to, be it through others that only move
    it.
    """

    name: str
    readers: tuple[str, ...]
    type: ElementType
    scale: Array
    zero: Array


@dataclass(frozen=True)
class GivenGrids:
    """writes: tensor -> the grid on which everybody reads it; reads: tensor -> reader -> the grid that this one takes
    instead. A tensor that is in neither is a float."""

    writes: Mapping[str, Grid]
    reads: Mapping[str, Mapping[str, Grid]]
    weights: tuple[GivenWeight, ...]

    def write(self, path: Path) -> None:
        content = {
            "format": FORMAT,
            "writes": {name: packed_edge(grid) for name, grid in self.writes.items()},
            "reads": {
                name: {node: packed_edge(grid) for node, grid in own.items()} for name, own in self.reads.items()
            },
            "weights": [_packed_weight(weight) for weight in self.weights],
        }
        path.write_bytes(msgpack.packb(content))

    @staticmethod
    def read(path: Path) -> GivenGrids:
        """Raises SchemeError on anything that is not exactly the format above."""
        try:
            content = msgpack.unpackb(path.read_bytes(), strict_map_key=True)
            if content["format"] != FORMAT:
                raise SchemeError(f"the record of given grids is not of the format {FORMAT}")
            return GivenGrids(
                {str(name): _grid(edge) for name, edge in content["writes"].items()},
                {
                    str(name): {str(node): _grid(edge) for node, edge in own.items()}
                    for name, own in content["reads"].items()
                },
                tuple(_weight(entry) for entry in content["weights"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, msgpack.exceptions.UnpackException) as error:
            raise SchemeError(f"the record of given grids is damaged: {type(error).__name__}") from None


def _packed_weight(weight: GivenWeight) -> dict[str, Any]:
    return {
        "name": weight.name,
        "readers": list(weight.readers),
        "type": weight.type.name,
        "scale": weight.scale.astype("<f4").tobytes(),
        "zero": weight.zero.astype("<i4").tobytes(),
    }


def _grid(value: Any) -> Grid:
    edge = unpacked_edge(value)
    if not isinstance(edge, Grid):
        raise SchemeError(f"the record of given grids holds {edge} in the place of one")
    return edge


def _weight(entry: Any) -> GivenWeight:
    scale, zero = np.frombuffer(entry["scale"], "<f4"), np.frombuffer(entry["zero"], "<i4")
    if not scale.size or scale.shape != zero.shape:
        raise SchemeError(f"the record of the weight '{entry['name']}' contradicts itself")
    readers = tuple(str(node) for node in entry["readers"])
    native = scale.astype(np.float32), zero.astype(np.int32)
    return GivenWeight(str(entry["name"]), readers, type_named(entry["type"]), *native)
