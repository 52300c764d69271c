"""Compile by a real Pulsar2 what a real Pulsar2 quantised, for one chip, mode and choice of batches."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axbuild.errors import AxWarning
from axbuild.toolchain.pulsar2.driver.call import Pulsar2MissesError, Pulsar2Run
from axbuild.toolchain.pulsar2.driver.given import given, typed
from axbuild.toolchain.pulsar2.driver.log import Log
from axbuild.toolchain.pulsar2.driver.quantise import QUANT_MODEL

AXMODEL = "compiled.axmodel"


@dataclass(frozen=True)
class Pulsar2CompileParams:
    """config: the vendor's settings, without paths; places: of the data's."""

    config: dict[str, Any]
    places: tuple[str, ...]


def pulsar2_compile(
    quant: Path, data: list[Path], out: Path, *, params: Pulsar2CompileParams, call: Mapping[str, Any]
) -> None:
    """quant: the folder that `pulsar2_quantise` kept; data: what is checked on."""
    run = Pulsar2Run(call, out)
    log = build_from_quantised(run, quant, data, params)
    _check_shapes(params.config, log)
    shutil.move(run.made / AXMODEL, out / AXMODEL)
    profiles = run.made / "compiler"
    profiles.mkdir(exist_ok=True)
    shutil.move(profiles, out / "compiler")


def build_from_quantised(run: Pulsar2Run, quant: Path, data: list[Path], params: Pulsar2CompileParams) -> Log:
    """Run a build that begins with the quantised model; raises Pulsar2MissesError where it leaves no axmodel."""
    source = f"{run.give('quant', quant)}/{QUANT_MODEL}"
    config = typed(params.config, given(run, data, params.places))
    log = run.build(replace(config, input=source, output_name=AXMODEL))
    if not (run.made / AXMODEL).is_file():
        raise Pulsar2MissesError(AXMODEL)
    return log


def _check_shapes(config: dict[str, Any], log: Log) -> None:
    """Warn where the log does not speak of every shape that was asked for; nothing else says what was compiled."""
    asked = max((len(one.get("src_extra_shapes", ())) for one in config.get("input_processors", ())), default=0)
    if len(log.extra_shapes) < asked:
        sentence = f"{asked} further shapes were asked for, and Pulsar2's log speaks of {len(log.extra_shapes)}"
        warnings.warn(AxWarning("AX585", f"{sentence}: see what compiled.axmodel has"), stacklevel=2)
