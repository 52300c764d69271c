"""Stage: one float model before and after the front end, under onnxruntime, on the same samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file

from .feeds_stages import feeds

TYPES = {"tensor(bool)": np.bool_, "tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64}


@dataclass(frozen=True)
class CompareParams:
    """inputs[i] says what the i-th tree of samples is; the rest as in the rule."""

    inputs: tuple[InputData, ...]
    fix: dict[str, Any]
    max_difference: float


def compare(original: Path, optimized: Path, samples: list[Path], out: Path, *, params: CompareParams) -> None:
    """original: an .onnx file; optimized: the front end's folder. Writes verdict.json."""
    before, after = ort.open_session(original), ort.open_session(model_file(optimized))
    frozen = constants(before, params.fix)
    outputs = [port.name for port in after.get_outputs()]
    difference = dict.fromkeys(outputs, 0.0)
    largest = dict.fromkeys(outputs, 0.0)
    count = 0
    for _, feed in feeds([port.name for port in after.get_inputs()], samples, params.inputs):
        count += 1
        for name, a, b in zip(outputs, before.run(outputs, feed | frozen), after.run(outputs, feed), strict=True):
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


def constants(session: Any, fix: dict[str, Any]) -> dict[str, np.ndarray]:
    """The frozen inputs as the model takes them; a number is one element of whatever rank."""
    found = {}
    for port in session.get_inputs():
        if port.name in fix:
            array = np.array(fix[port.name], dtype=TYPES[port.type])
            found[port.name] = array.reshape((1,) * (len(port.shape) - array.ndim) + array.shape)
    return found
