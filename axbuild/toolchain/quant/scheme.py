"""The scheme: what quantisation decided, in a file between calibration and lowering.

Whatever chooses ranges, tunes weights or imports a quantised model writes it; lowering reads codes and derives none.
`scheme.msgpack` is one msgpack map: "format"; "sites": a list of maps with "nodes" (names in the optimised model, head
first), "form" ("integer", "island" or "float"), "reason" (why a float one is no integer one), "gain" (what the scale of
a normalisation is stored as), "reads" and "writes" (tensor -> edge), and "weight", nil or a map of "type", "shape",
"codes", "scale" (float32), "bias_type", "bias", "raised" (channels), "zero" (a list of one a channel, or empty);
"owners": tensor -> the one that decided its grid. An edge is [scale, zero, type], or the type alone where there is no
grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import Edge, type_named
from axbuild.toolchain.kinds.norm import GAINS
from axbuild.toolchain.ops.base import BakedWeight
from axbuild.toolchain.quant.edge_files import SchemeError as SchemeError
from axbuild.toolchain.quant.edge_files import packed_edge, unpacked_edge

FORMAT = "axbuild-scheme/2"
BIAS_DTYPES = ("int32", "int64", "float32")


class Form(StrEnum):
    """How a fused node computes: on codes, in float32 on the NPU, or as the float operator itself."""

    INTEGER = "integer"
    ISLAND = "island"
    FLOAT = "float"


@dataclass(frozen=True)
class SiteScheme:
    """One fused node. nodes: names, head first; reads, writes: tensor -> what it is read and written as; gain: what the
    scale of a normalisation is stored as."""

    nodes: tuple[str, ...]
    form: Form
    reads: Mapping[str, Edge]
    writes: Mapping[str, Edge]
    weight: BakedWeight | None = None
    reason: str = ""
    gain: str = "FP32"


@dataclass(frozen=True)
class Scheme:
    """sites: in the order of the graph; owners: tensor with a grid -> the tensor whose values decided it."""

    sites: tuple[SiteScheme, ...]
    owners: Mapping[str, str]

    def write(self, path: Path) -> None:
        content = {"format": FORMAT, "sites": [_packed(site) for site in self.sites], "owners": dict(self.owners)}
        path.write_bytes(msgpack.packb(content))

    @staticmethod
    def read(path: Path) -> Scheme:
        """Raises SchemeError on anything that is not exactly the format above."""
        try:
            content = msgpack.unpackb(path.read_bytes(), strict_map_key=True)
            if content["format"] != FORMAT:
                raise SchemeError(f"the scheme is not of the format {FORMAT}")
            sites = tuple(_unpacked(entry) for entry in content["sites"])
            owners = {str(name): str(owner) for name, owner in content["owners"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, msgpack.exceptions.UnpackException) as error:
            raise SchemeError(f"the scheme is damaged: {type(error).__name__}") from None
        return Scheme(sites, owners)


def _packed(site: SiteScheme) -> dict[str, Any]:
    return {
        "nodes": list(site.nodes),
        "form": str(site.form),
        "reason": site.reason,
        "gain": site.gain,
        "reads": {name: packed_edge(edge) for name, edge in site.reads.items()},
        "writes": {name: packed_edge(edge) for name, edge in site.writes.items()},
        "weight": None if site.weight is None else _packed_weight(site.weight),
    }


def _packed_weight(weight: BakedWeight) -> dict[str, Any]:
    return {
        "type": weight.type.name,
        "shape": list(weight.codes.shape),
        "codes": _bytes(weight.codes),
        "scale": _bytes(weight.scale),
        "bias_type": weight.bias.dtype.name,
        "bias": _bytes(weight.bias),
        "raised": list(weight.raised),
        "zero": list(weight.zero),
    }


def _bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()


def _unpacked(entry: Any) -> SiteScheme:
    nodes = tuple(str(name) for name in entry["nodes"])
    if not nodes:
        raise SchemeError("the scheme holds a fused node without nodes")
    weight = entry["weight"]
    return SiteScheme(
        nodes,
        Form(entry["form"]),
        {str(name): unpacked_edge(edge) for name, edge in entry["reads"].items()},
        {str(name): unpacked_edge(edge) for name, edge in entry["writes"].items()},
        None if weight is None else _weight(weight, nodes[0]),
        str(entry["reason"]),
        _gain(entry["gain"], nodes[0]),
    )


def _gain(name: Any, site: str) -> str:
    if name not in GAINS:
        raise SchemeError(f"the scale of '{site}' is stored as {name}, which is none of {', '.join(GAINS)}")
    return str(name)


def _weight(entry: Any, site: str) -> BakedWeight:
    kind, shape, bias_type = type_named(entry["type"]), tuple(int(size) for size in entry["shape"]), entry["bias_type"]
    if not kind.coded or not kind.signed or bias_type not in BIAS_DTYPES:
        raise SchemeError(f"the weight of '{site}' is of the types {kind} and {bias_type}")
    codes = np.frombuffer(entry["codes"], np.dtype(kind.dtype).newbyteorder("<"))
    scale = np.frombuffer(entry["scale"], "<f4")
    bias = np.frombuffer(entry["bias"], np.dtype(bias_type).newbyteorder("<"))
    channels = shape[0] if shape else 0
    if codes.size != math.prod(shape) or scale.shape != (channels,) or bias.shape != (channels,):
        raise SchemeError(f"the weight of '{site}' contradicts its own shape {list(shape)}")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise SchemeError(f"a scale of the weight of '{site}' is not a positive number")
    native = [array.astype(array.dtype.newbyteorder("=")) for array in (codes, scale, bias)]
    raised, zero = (tuple(int(item) for item in entry[name]) for name in ("raised", "zero"))
    return BakedWeight(native[0].reshape(shape), native[1], kind, native[2], raised, zero)
