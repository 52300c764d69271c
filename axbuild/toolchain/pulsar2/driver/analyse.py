"""Quantise a float model by a real Pulsar2 once more, with its own analysis of precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from axbuild.toolchain.pulsar2.driver.call import Pulsar2MissesError, Pulsar2Run
from axbuild.toolchain.pulsar2.driver.quantise import Pulsar2QuantParams, build_from_float, keep

_KEPT = ("*.txt", "*.mmd")


def pulsar2_analyse(
    model: Path, data: list[Path], out: Path, *, params: Pulsar2QuantParams, call: Mapping[str, Any], device: str
) -> None:
    """Write debug/, the tables and graphs of quant/debug/, and verdict.json, which judges nothing. model, data: as of
    `pulsar2_quantise`, with what is analysed on."""
    run = Pulsar2Run(call, out, device)
    build_from_float(run, model, data, params)
    keep(run.made / "quant/debug", out / "debug", _KEPT)
    if not any("precision_analysis" in path.name for path in (out / "debug").iterdir()):
        raise Pulsar2MissesError("a table of its precision analysis below quant/debug")
    verdict = {"passed": True, "sentence": "Pulsar2 analysed the precision, and nothing is judged"}
    (out / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
