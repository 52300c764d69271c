"""Check both configurations that a real Pulsar2 will be given, before it is asked for anything."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axbuild.errors import AxWarning
from axbuild.toolchain.pulsar2.driver.given import typed
from axbuild.toolchain.pulsar2.settled import settled
from axbuild.toolchain.pulsar2.write import written

_STANDING_IN = "-"
"""for paths, which the runs will have"""


@dataclass(frozen=True)
class Pulsar2PreflightParams:
    """The vendor's settings of both runs, without paths. unlike: what is to be said of inputs that come in otherwise
    than calibration's pictures."""

    quantisation: dict[str, Any]
    compilation: dict[str, Any]
    unlike: tuple[str, ...] = ()


def pulsar2_preflight(out: Path, *, params: Pulsar2PreflightParams) -> None:
    """Write quantisation.json and compilation.json, warning of what has no effect in them; raises what is wrong."""
    told: set[str] = set()
    for sentence in params.unlike:
        warnings.warn(AxWarning("AX593", sentence), stacklevel=1)
    for name in ("quantisation", "compilation"):
        asked: dict[str, Any] = getattr(params, name)
        sets = len(asked.get("quant", {}).get("input_configs", ()))
        places = [f"quant.input_configs.{number}.calibration_dataset" for number in range(sets)]
        config = typed(asked, dict.fromkeys(places, _STANDING_IN))
        done = settled(None, replace(config, input=_STANDING_IN, output_dir=_STANDING_IN))
        (out / f"{name}.json").write_text(written(done.config), encoding="utf-8")
        for warning in done.warnings:
            if warning.sentence not in told:
                warnings.warn(warning, stacklevel=1)
            told.add(warning.sentence)
