"""Quantise a float model by a real Pulsar2: what quantisation leaves is kept, what it compiled on the way is not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axbuild.toolchain.pulsar2.driver.call import Pulsar2MissesError, Pulsar2Run
from axbuild.toolchain.pulsar2.driver.given import given, typed

QUANT_MODEL = "quant_axmodel.onnx"
_KEPT = ("quant_axmodel.*", "debug/*.txt", "debug/*.mmd")
"""below quant/; unpacked data and tensors are no results"""


@dataclass(frozen=True)
class Pulsar2QuantParams:
    """config: the vendor's settings, without paths; places: of the data's."""

    config: dict[str, Any]
    places: tuple[str, ...]


def pulsar2_quantise(
    model: Path, data: list[Path], out: Path, *, params: Pulsar2QuantParams, call: Mapping[str, Any], device: str
) -> None:
    """model: the folder of one ONNX file and its data; data: the calibration sets."""
    run = Pulsar2Run(call, out, device)
    build_from_float(run, model, data, params)
    if not (run.made / "quant" / QUANT_MODEL).is_file():
        raise Pulsar2MissesError(f"quant/{QUANT_MODEL}")
    keep(run.made / "quant", out / "quant", _KEPT)
    keep(run.made / "frontend", out / "frontend", ("*",))


def build_from_float(run: Pulsar2Run, model: Path, data: list[Path], params: Pulsar2QuantParams) -> None:
    """Run a build that begins with the model in the folder `model`."""
    config = typed(params.config, given(run, data, params.places))
    run.build(replace(config, input=f"{run.give('model', model)}/{next(model.glob('*.onnx')).name}"))


def keep(made: Path, kept: Path, patterns: tuple[str, ...]) -> None:
    kept.mkdir()
    for path in sorted(path for pattern in patterns for path in made.glob(pattern) if path.is_file()):
        place = kept / path.relative_to(made)
        place.parent.mkdir(exist_ok=True)
        shutil.move(path, place)
