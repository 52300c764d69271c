"""Stage: everything that would stop a float model on a chip, before anything slow has run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.npu.chips import chip_of
from axbuild.toolchain.npu.limits import refusals
from axbuild.toolchain.npu.net import read_model
from axbuild.toolchain.ops.sites import unsupported


class LimitError(AxError):
    """AX406: operators that the chip's NPU does not take; the sentence names every one."""

    code = "AX406"


@dataclass(frozen=True)
class PreflightParams:
    target_hardware: str
    npu_mode: str


def preflight(model: Path, out: Path, *, params: PreflightParams) -> None:
    """model: optimized.onnx. Writes preflight.json; raises LimitError (or ChipError) with every refused node."""
    chip = chip_of(params.target_hardware, params.npu_mode)
    graph = ir.from_proto(read_model(model))
    refused: dict[str, list[str]] = {}
    for finding in unsupported(graph):
        refused.setdefault(finding.node, []).append(finding.sentence)
    # What cannot be quantised is no question for the chip any more.
    asked = [node for node in graph.graph if (node.name or "") not in refused]
    for node in asked:
        for reason in refusals(node, chip.name):
            refused.setdefault(node.name or "", []).append(reason)
    if refused:
        count = f"{len(refused)} operators do" if len(refused) > 1 else "1 operator does"
        sentences = "; ".join(f"{name}: {', '.join(dict.fromkeys(reasons))}" for name, reasons in refused.items())
        raise LimitError(f"{count} not fit the NPU of {chip.name}: {sentences}")
    record = {"chip": chip.name, "npu_mode": chip.npu_mode, "nodes": len(graph.graph), "refused": []}
    (out / "preflight.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
