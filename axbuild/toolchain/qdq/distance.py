"""Stage: how far the exported QDQ model answers from the exact integers, on some of the calibration samples."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.errors import AxError, AxNote
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData, bind, feed_of, paired
from axbuild.toolchain.door import in_words
from axbuild.toolchain.graph import Array

SAMPLES = 8
"""that it is measured on"""
BEST_DB = 200.0
"""where nothing differs"""


class ExportedModelError(AxError):
    """A QDQ model of ours that onnxruntime does not run; a defect to report."""

    code = "AX314"


@dataclass(frozen=True)
class DistanceParams:
    """inputs: how the samples of each folder become a tensor, as observation has it."""

    inputs: tuple[InputData, ...]


def distance(quantised: Path, exported: Path, samples: list[Path], out: Path, *, params: DistanceParams) -> None:
    """Write `qdq.json` beside `qdq.onnx`: of every output the signal-to-noise ratio to the exact one in dB, and the
    largest difference; and a note of the worst."""
    exact, qdq = ort.open_session(quantised, level="off"), _opened(exported)
    names = [port.name for port in exact.get_outputs()]
    sources = bind(params.inputs, [port.name for port in exact.get_inputs()])
    rows = []
    for _, files in paired(samples, params.inputs)[:SAMPLES]:
        feed = feed_of(files, sources)
        rows.append((exact.run(names, feed), qdq.run(names, feed)))
    outputs = {
        name: _apart(*(np.stack([np.asarray(row[which][place]) for row in rows]) for which in (0, 1)))
        for place, name in enumerate(names)
    }
    record = {"samples": len(rows), "outputs": outputs}
    (out / "qdq.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    worst = min(names, key=lambda name: outputs[name]["snr_db"])
    ratio = outputs[worst]["snr_db"]
    off = (
        f"is {ratio:.1f} dB from the exact integers at '{worst}'" if ratio < BEST_DB else "gives what the integers give"
    )
    warnings.warn(AxNote(f"qdq.onnx under onnxruntime {off}"), stacklevel=1)


def _opened(model: Path) -> Any:
    try:
        return ort.open_session(model)
    except ort.FAILURES as error:
        raise ExportedModelError(f"onnxruntime does not open qdq.onnx: {in_words(str(error))}") from None


def _apart(exact: Array, found: Array) -> dict[str, float]:
    real, other = exact.astype(np.float64), found.astype(np.float64)
    signal, noise = float(np.sum(real**2)), float(np.sum((real - other) ** 2))
    ratio = 10.0 * float(np.log10(signal / noise)) if signal and noise else BEST_DB * (noise == 0.0)
    return {"snr_db": round(min(ratio, BEST_DB), 2), "largest": float(np.abs(real - other).max(initial=0.0))}
