"""Compile by a real Pulsar2 what a real Pulsar2 quantised, for one chip, mode and choice of batches."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axbuild.toolchain.pulsar2.driver.call import Pulsar2MissesError, Pulsar2Run
from axbuild.toolchain.pulsar2.driver.given import typed
from axbuild.toolchain.pulsar2.driver.quantise import QUANT_MODEL

AXMODEL = "compiled.axmodel"


@dataclass(frozen=True)
class Pulsar2CompileParams:
    """config: the vendor's settings, without paths."""

    config: dict[str, Any]


def pulsar2_compile(quant: Path, out: Path, *, params: Pulsar2CompileParams, call: Mapping[str, Any]) -> None:
    """quant: the folder that `pulsar2_quantise` kept."""
    run = Pulsar2Run(call, out)
    source = f"{run.give('quant', quant)}/{QUANT_MODEL}"
    run.build(replace(typed(params.config), input=source, output_name=AXMODEL))
    if not (run.made / AXMODEL).is_file():
        raise Pulsar2MissesError(AXMODEL)
    shutil.move(run.made / AXMODEL, out / AXMODEL)
    profiles = run.made / "compiler"
    profiles.mkdir(exist_ok=True)
    shutil.move(profiles, out / "compiler")
