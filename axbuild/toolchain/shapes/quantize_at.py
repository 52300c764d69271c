"""Stage: the quantised model at other shapes of its inputs, on the scales and weights that it has at its own."""

from __future__ import annotations

import filecmp
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.frontend.light import from_graph
from axbuild.toolchain.frontend.save import save
from axbuild.toolchain.frontend.shapes import infer
from axbuild.toolchain.graph import OPERATORS_FILE, model_file
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.shapes.carry import require_same_weights, reshape
from axbuild.toolchain.shapes.place import at


@dataclass(frozen=True)
class QuantizeAtParams:
    """shapes: input -> its other shape; quantisation: of the model at its own."""

    shapes: dict[str, tuple[int, ...]]
    quantisation: QuantizeParams = field(default_factory=QuantizeParams)


def quantize_at(
    model: Path, calibrated: Path, scheme: Path, reshaped: Path, out: Path, *, params: QuantizeAtParams
) -> None:
    """model, reshaped: the front end's folders at both shapes, alike; calibrated: `model` as it was quantised, maybe
    scaled. Writes optimized/, `calibrated` at the other shapes, and what `quantize` makes of it.

    Raises ExtraShapeError where what was quantised cannot be carried over.
    """
    with at(params.shapes):
        _carry(model, calibrated, scheme, reshaped, out / "optimized")
        quantize(out / "optimized", scheme, out, params=params.quantisation)


def _carry(model: Path, calibrated: Path, scheme: Path, reshaped: Path, folder: Path) -> None:
    own, kept, other = (ir.load(model_file(one)) for one in (model, calibrated, reshaped))
    require_same_weights(own.graph, kept.graph, other.graph, Scheme.read(scheme))
    if _is_same(model, calibrated):
        shutil.copytree(reshaped, folder)
        return
    reshape(kept.graph, own.graph, other.graph)
    light = from_graph(kept)
    infer(light)
    save(light, folder)
    shutil.copyfile(calibrated / OPERATORS_FILE, folder / OPERATORS_FILE)


def _is_same(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    same, _, _ = filecmp.cmpfiles(one, other, names, shallow=False)
    return sorted(same) == names == sorted(path.name for path in other.iterdir())
