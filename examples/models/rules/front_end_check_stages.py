"""Stage: one float model before and after the front end, under onnxruntime, on the same samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file

from .feeds_stages import feeds


@dataclass(frozen=True)
class CompareParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]
    max_difference: float


def compare(original: Path, optimized: Path, samples: list[Path], out: Path, *, params: CompareParams) -> None:
    """original: an .onnx file; optimized: the front end's folder. Writes verdict.json."""
    before, after = ort.open_session(original), ort.open_session(model_file(optimized))
    outputs = [port.name for port in after.get_outputs()]
    difference = dict.fromkeys(outputs, 0.0)
    largest = dict.fromkeys(outputs, 0.0)
    count = 0
    for _, feed in feeds([port.name for port in after.get_inputs()], samples, params.inputs):
        count += 1
        for name, a, b in zip(outputs, before.run(outputs, feed), after.run(outputs, feed), strict=True):
            difference[name] = max(difference[name], float(np.abs(a - b).max()))
            largest[name] = max(largest[name], float(np.abs(a).max()))
    worst = max(outputs, key=lambda name: difference[name] / max(largest[name], 1e-30))
    share = difference[worst] / max(largest[worst], 1e-30)
    passed = share <= params.max_difference
    verdict = {
        "passed": passed,
        "sentence": f"largest difference {difference[worst]:.3g} in '{worst}', whose largest value is "
        f"{largest[worst]:.3g}, on {count} samples" + ("" if passed else f": above {params.max_difference:g} of it"),
        "samples": count,
        "difference": difference[worst],
        "share": share,
    }
    (out / "verdict.json").write_text(json.dumps(verdict, indent=1, sort_keys=True) + "\n", encoding="utf-8")
