"""Stage: a frozen scheme in the place of the one that calibration chose, and a warning where they differ."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx_ir as ir

from axbuild.errors import AxWarning
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.ops.base import BakedWeight
from axbuild.toolchain.quant.lock import FILE, locked_scheme
from axbuild.toolchain.quant.scheme import Scheme

Decided = TypeVar("Decided")


@dataclass(frozen=True)
class KeepParams:
    """Nothing to choose: the lock says everything."""


def keep(model: Path, lock: Path, chosen: list[Path], out: Path, *, params: KeepParams) -> None:
    """Write the `scheme.msgpack` of the lock; warn where that of `chosen` (one, or none to compare with) is another.

    Raises LockError where the lock is damaged or was made for another model.
    """
    found, content, frozen = locked_scheme(lock, ir.load(model_file(model)).graph)
    (out / "scheme.msgpack").write_bytes(content)
    for path in chosen:
        other = Scheme.read(path)
        differing = [text for text in (_of_tensors(frozen, other), _of_weights(frozen, other)) if text]
        if differing:
            text = (
                f"the codes of {FILE}, written by axbuild {found.release}, are kept; this axbuild, with the settings "
                f"and samples as they are now, chooses others for {' and '.join(differing)}"
            )
            warnings.warn(AxWarning("AX391", text), stacklevel=2)


def _of_tensors(frozen: Scheme, chosen: Scheme) -> str:
    before, now = _edges(frozen), _edges(chosen)
    odd = _differing(before, now, lambda one, other: one == other)
    if not odd:
        return ""
    return f"{len(odd)} of {len(before)} tensors ('{odd[0]}': {_shown(before[odd[0]])}, now {_shown(now.get(odd[0]))})"


def _of_weights(frozen: Scheme, chosen: Scheme) -> str:
    before, now = _weights(frozen), _weights(chosen)
    odd = _differing(before, now, _same)
    return f"{len(odd)} of {len(before)} weights ('{odd[0]}')" if odd else ""


def _differing(
    before: Mapping[str, Decided], now: Mapping[str, Decided], same: Callable[[Decided, Decided], bool]
) -> list[str]:
    return [name for name, one in before.items() if name not in now or not same(one, now[name])]


def _edges(scheme: Scheme) -> dict[str, Edge]:
    return {name: edge for site in scheme.sites for edges in (site.reads, site.writes) for name, edge in edges.items()}


def _weights(scheme: Scheme) -> dict[str, BakedWeight]:
    return {site.nodes[0]: site.weight for site in scheme.sites if site.weight is not None}


def _same(one: BakedWeight, other: BakedWeight) -> bool:
    pairs = ((one.codes, other.codes), (one.scale, other.scale), (one.bias, other.bias))
    return one.type == other.type and all(np.array_equal(*pair) for pair in pairs)


def _shown(edge: Edge | None) -> str:
    if edge is None:
        return "not there"
    return f"{edge.type.name} in steps of {edge.scale:.4g}" if isinstance(edge, Grid) else edge.name
