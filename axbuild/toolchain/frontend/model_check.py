"""Stage: does the optimised model compute what the user's does? Writes a verdict and never fails itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.toolchain.frontend import check
from axbuild.toolchain.frontend.ends import Ends
from axbuild.toolchain.frontend.load import load, read
from axbuild.toolchain.frontend.prepare import prepared
from axbuild.toolchain.graph import MODEL_FILE, Array


@dataclass(frozen=True)
class ModelCheckParams(Ends):
    """As `optimize` had them; save_tensors_data: keep what was compared."""

    save_tensors_data: bool = False


def model_check(model: Path, optimized: Path, out: Path, *, params: ModelCheckParams) -> None:
    """`model`, `optimized`: the folders that `optimize` reads and writes. Writes verdict.json and tensors/.

    Both run once on the same random input under onnxruntime; every output is compared in name, shape, type and values.
    """
    trial, _ = prepared(load(model, params), params)
    outputs = check.run(read(optimized / MODEL_FILE), trial.inputs)
    text = json.dumps(_verdict(trial, outputs), indent=1, sort_keys=True, allow_nan=False)
    (out / "verdict.json").write_text(text + "\n", encoding="utf-8")
    (out / "tensors").mkdir()
    if params.save_tensors_data:
        _save_tensors(out / "tensors", {"input": trial.inputs, "original": trial.outputs, "optimized": outputs})


def _verdict(trial: check.Trial, outputs: check.Tensors) -> dict[str, Any]:
    """The content of verdict.json."""
    compared = [_compared(name, array, outputs.get(name)) for name, array in trial.outputs.items()]
    fault = _form(trial.outputs, outputs) or check.whole(trial, outputs)
    largest = max((item["largest_difference"] for item in compared), default=0.0)
    return {
        "passed": not fault,
        "sentence": f"the optimised model {fault}"
        if fault
        else f"every output of the optimised model agrees with the original's ({len(compared)} compared, largest "
        f"difference {largest:.3g})",
        "outputs": compared,
    }


def _form(before: check.Tensors, after: check.Tensors) -> str:
    """How names, shapes or types of outputs differ, in words."""
    if list(before) != list(after):
        return f"has the outputs {', '.join(after)}, and the original {', '.join(before)}"
    for name, old in before.items():
        new = after[name]
        if old.dtype != new.dtype or old.ndim != new.ndim:
            return (
                f"has output '{name}' as {new.dtype} {list(new.shape)}, and the original {old.dtype} {list(old.shape)}"
            )
    return ""


def _compared(name: str, before: Array, after: Array | None) -> dict[str, Any]:
    same = after is not None and after.shape == before.shape
    return {
        "name": name,
        "dtype": str(before.dtype),
        "shape": list(before.shape),
        "elements": before.size,
        "largest": check.largest(before),
        "largest_difference": check.largest(before.astype(np.float64) - after) if same and after is not None else 0.0,
    }


def _save_tensors(folder: Path, groups: dict[str, check.Tensors]) -> None:
    """<group>_<number>.npy, since a tensor's name need not be a file's; names.json says which is which."""
    names = {}
    for group, tensors in groups.items():
        for number, (name, array) in enumerate(tensors.items()):
            file = f"{group}_{number}.npy"
            np.save(folder / file, array)
            names[file] = name
    text = json.dumps(names, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "names.json").write_text(text + "\n", encoding="utf-8")
