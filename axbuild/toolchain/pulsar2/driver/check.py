"""Compile once more what a real Pulsar2 quantised, with its own check of what it compiles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from axbuild.errors import counted
from axbuild.toolchain.pulsar2.driver.call import Pulsar2Run
from axbuild.toolchain.pulsar2.driver.compile import Pulsar2CompileParams, build_from_quantised


def pulsar2_check(
    quant: Path, data: list[Path], out: Path, *, params: Pulsar2CompileParams, call: Mapping[str, Any]
) -> None:
    """Write verdict.json, which passes where Pulsar2 says of at least one tensor that it is right; of one that is not,
    Pulsar2 ends with an error. quant, data: as of `pulsar2_compile`."""
    log = build_from_quantised(Pulsar2Run(call, out), quant, data, params)
    told = f"Pulsar2 compared {counted(log.compared, 'tensor')}" if log.compared else "Pulsar2 told of no comparison"
    verdict = {"passed": log.compared > 0, "sentence": told}
    (out / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
