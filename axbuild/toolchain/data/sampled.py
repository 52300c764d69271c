"""The model input that a set of samples is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from axbuild.toolchain.data.chosen import CalibrationSetError


@dataclass(frozen=True)
class SampledInput:
    """alone: whether the model has no other input that samples are for."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    alone: bool


def target_of(interface: Path, name: str, apart: tuple[str, ...]) -> SampledInput:
    """The input of that name, or "" for the only one or all alike; apart: inputs that "" is not for.

    Raises CalibrationSetError where there is none, or inputs that one set serves are not alike.
    """
    described = json.loads(interface.read_text(encoding="utf-8"))["inputs"]
    if unknown := set(apart) - {item["name"] for item in described}:
        known = ", ".join(item["name"] for item in described)
        raise CalibrationSetError(f"state names the input '{min(unknown)}'; the model's inputs are {known}")
    described = [item for item in described if item["name"] not in apart]
    inputs = [
        SampledInput(item["name"], tuple(item["shape"]), item["dtype"], len(described) == 1) for item in described
    ]
    names = ", ".join(item.name for item in inputs)
    if name:
        found = [item for item in inputs if item.name == name]
        if not found:
            raise CalibrationSetError(f"calibration names the input '{name}'; the model's inputs are {names}")
        return found[0]
    if not inputs:
        raise CalibrationSetError("the model has no input that samples could be for: all of them are states")
    if any((item.shape, item.dtype) != (inputs[0].shape, inputs[0].dtype) for item in inputs):
        raise CalibrationSetError(
            f"one calibration set cannot serve the inputs {names}, which differ in shape or type",
            hint='give each its own: calibration = { "input name" = ":set" }',
        )
    return inputs[0]
