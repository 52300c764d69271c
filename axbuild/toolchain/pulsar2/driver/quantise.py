"""Quantise a float model by a real Pulsar2: what quantisation leaves is kept, what it compiled on the way is not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axbuild.toolchain.pulsar2.driver.call import Pulsar2MissesError, Pulsar2Run
from axbuild.toolchain.pulsar2.driver.given import archive_of, kind_of, typed

QUANT_MODEL = "quant_axmodel.onnx"
_KEPT = ("quant_axmodel.*", "debug/*.txt", "debug/*.mmd")
"""below quant/; unpacked data and tensors are no results"""


@dataclass(frozen=True)
class Pulsar2QuantParams:
    """config: the vendor's settings, without paths."""

    config: dict[str, Any]


def pulsar2_quantise(
    model: Path, datasets: list[Path], out: Path, *, params: Pulsar2QuantParams, call: Mapping[str, Any]
) -> None:
    """model: the folder of one ONNX file and its data; datasets: the calibration sets of config.quant.input_configs."""
    run = Pulsar2Run(call, out)
    archives = [archive_of(data, out.parent / "tmp/packed") for data in datasets]
    paths = [run.give(f"dataset{number}{kind_of(file)}", file) for number, file in enumerate(archives)]
    config = typed(params.config, paths)
    run.build(replace(config, input=f"{run.give('model', model)}/{next(model.glob('*.onnx')).name}"))
    if not (run.made / "quant" / QUANT_MODEL).is_file():
        raise Pulsar2MissesError(f"quant/{QUANT_MODEL}")
    _keep(run.made / "quant", out / "quant", _KEPT)
    _keep(run.made / "frontend", out / "frontend", ("*",))


def _keep(made: Path, kept: Path, patterns: tuple[str, ...]) -> None:
    kept.mkdir()
    for path in sorted(path for pattern in patterns for path in made.glob(pattern) if path.is_file()):
        place = kept / path.relative_to(made)
        place.parent.mkdir(exist_ok=True)
        shutil.move(path, place)
