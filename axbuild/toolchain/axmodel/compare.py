"""Stage: does the simulated model answer as its reference does? Writes a verdict and never fails itself."""

from __future__ import annotations

import json
import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.errors import AxWarning
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.graph import Array
from axbuild.toolchain.likeness import cosine_of

MOST_NAMED = 3
"""tensors of a part that a verdict names, each with its type and shape"""


@dataclass(frozen=True)
class CompareParams:
    """level: "close" (|a - b| <= atol + rtol |b|), "equal" (bit for bit) or "cosine" (of each output, at least).

    layers: the tensors are those inside the model as well, and what is told of is the first that fails in run order;
    tensor_black_list: regular expressions; a tensor whose whole name one of them matches is not compared; part: what of
    the model is compared, "" where it is the whole.
    """

    level: str
    rtol: float = 0.0
    atol: float = 0.0
    cosine: float = 0.0
    layers: bool = False
    tensor_black_list: tuple[str, ...] = ()
    part: str = ""


@dataclass
class Worst:
    """excess: how far a tensor's worst element, or its cosine, is beyond its limit; of 0 or less it is within it."""

    excess: float
    record: dict[str, Any]


@dataclass
class Findings:
    """What was seen so far. worst: of each tensor, in run order."""

    samples: int = 0
    elements: int = 0
    differing: int = 0
    failing: int = 0
    largest: float = 0.0
    fault: str = ""
    worst: dict[str, Worst] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def see(self, tensor: str, excess: float, record: dict[str, Any]) -> None:
        if tensor not in self.worst or excess > self.worst[tensor].excess:
            self.worst[tensor] = Worst(excess, record)

    def to_tell(self, *, first: bool) -> dict[str, Any] | None:
        """The record to tell of: of the first tensor that fails, or of the one that is furthest beyond its limit."""
        failing = [worst for worst in self.worst.values() if worst.excess > 0]
        if first and failing:
            return failing[0].record
        found = max(self.worst.values(), key=lambda worst: worst.excess, default=None)
        return found.record if found else None


def compare(simulated: Path, reference: Path, out: Path, *, params: CompareParams) -> None:
    """Both: trees outputs/<sample>.npz of the same samples. Writes verdict.json."""
    findings = Findings()
    names, expected = outputs.samples(simulated), outputs.samples(reference)
    if names != expected or not names:
        odd = sorted(set(names) ^ set(expected))
        findings.fault = f"sample '{odd[0]}' ran on one side only" if odd else "there is no sample to compare"
    for sample in sorted(set(names) & set(expected)):
        _compare_sample(sample, outputs.load(simulated, sample), outputs.load(reference, sample), params, findings)
    if not findings.outputs and findings.left_out:
        findings.fault = findings.fault or "tensor_black_list leaves no tensor to compare"
    for pattern in params.tensor_black_list:
        if not any(re.fullmatch(pattern, name) for name in findings.left_out):
            sentence = f"tensor_black_list: '{pattern}' matches no tensor that is compared"
            warnings.warn(AxWarning("AX488", sentence), stacklevel=1)
    text = json.dumps(verdict(findings, params), indent=1, sort_keys=True, allow_nan=False)
    (out / "verdict.json").write_text(text + "\n", encoding="utf-8")


def verdict(findings: Findings, params: CompareParams) -> dict[str, Any]:
    """The content of verdict.json; numbers that JSON cannot hold are text ("nan", "inf", "-inf")."""
    passed = not findings.fault and findings.failing == 0
    sentence = findings.fault or (_passed if passed else _failed)(findings, params)
    return {
        "passed": passed,
        "level": params.level,
        "sentence": f"{params.part}: {sentence}" if params.part else sentence,
        "worst": findings.to_tell(first=params.layers),
        "samples": findings.samples,
        "elements": findings.elements,
        "differing": findings.differing,
        "failing": findings.failing,
        "largest_difference": _number(findings.largest),
        "outputs": findings.outputs,
    }


def _compare_sample(
    sample: str, ours: dict[str, Array], theirs: dict[str, Array], params: CompareParams, findings: Findings
) -> None:
    findings.samples += 1
    if odd := sorted(set(ours) ^ set(theirs)):
        findings.fault = findings.fault or f"sample '{sample}': output '{odd[0]}' is on one side only"
    for name in theirs:
        if name not in ours:
            continue
        if any(re.fullmatch(pattern, name) for pattern in params.tensor_black_list):
            findings.left_out.add(name)
            continue
        a, b = ours[name], theirs[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            findings.fault = findings.fault or (
                f"sample '{sample}': output '{name}' is {a.dtype} {list(a.shape)} simulated "
                f"and {b.dtype} {list(b.shape)} in the reference"
            )
            continue
        _compare_tensor((sample, name), a, b, params, findings)


def _compare_tensor(where: tuple[str, str], a: Array, b: Array, params: CompareParams, findings: Findings) -> None:
    same = _same_bits(a, b)
    difference = _difference(a, b, same)
    largest = float(difference.max(initial=0.0))
    findings.elements += a.size
    findings.differing += a.size - int(same.sum())
    findings.largest = max(findings.largest, largest)
    findings.forms[where[1]] = f"'{where[1]}' ({a.dtype} {list(a.shape)})"
    record = findings.outputs.setdefault(where[1], {"elements": 0, "differing": 0})
    record["elements"] += a.size
    record["differing"] += a.size - int(same.sum())
    if params.level == "cosine":
        _judge_cosine(where, a, b, params, findings)
    else:
        _judge_elements(where, a, b, same, difference, params, findings)


def _same_bits(a: Array, b: Array) -> Array:
    """Elementwise: the same bytes, so that 0.0 and -0.0 differ and a NaN is its own equal."""
    width = a.dtype.itemsize
    raw = [np.ascontiguousarray(item).reshape(-1).view(np.uint8).reshape(-1, width) for item in (a, b)]
    return np.asarray((raw[0] == raw[1]).all(axis=1).reshape(a.shape))


def _difference(a: Array, b: Array, same: Array) -> Array:
    """|a - b| in float64; 0 where the bits agree or both are NaN, infinite where only one is a finite number."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(x - y)
    agree = same | (np.isnan(x) & np.isnan(y)) | (x == y)
    return np.where(agree, 0.0, np.where(np.isnan(difference), np.inf, difference))


def _judge_elements(
    where: tuple[str, str],
    a: Array,
    b: Array,
    same: Array,
    difference: Array,
    params: CompareParams,
    findings: Findings,
) -> None:
    """Levels close and equal; the worst element is the one that is furthest beyond its limit."""
    if not a.size:
        return
    if params.level == "equal":
        limit = np.zeros(a.shape)
        failing = ~same
    else:
        magnitude = np.abs(np.nan_to_num(b.astype(np.float64), posinf=0.0, neginf=0.0))
        limit = params.atol + params.rtol * magnitude
        failing = difference > limit
    findings.failing += int(failing.sum())
    excess = np.where(failing, np.maximum(difference - limit, np.nextafter(0, 1)), np.minimum(difference - limit, 0.0))
    index = int(excess.argmax())
    record = _element(where, a, b, index, float(limit.flat[index]))
    if failing.any():
        findings.outputs[where[1]]["failing"] = findings.outputs[where[1]].get("failing", 0) + int(failing.sum())
        record["first"] = _place(int(failing.argmax()), a)
    findings.see(where[1], float(excess.flat[index]), record)


def _element(where: tuple[str, str], a: Array, b: Array, flat: int, limit: float) -> dict[str, Any]:
    return {
        "sample": where[0],
        "tensor": where[1],
        "dtype": str(a.dtype),
        "shape": list(a.shape),
        "index": _place(flat, a),
        "simulated": _number(a.flat[flat].item()),
        "reference": _number(b.flat[flat].item()),
        "limit": _number(limit),
    }


def _place(flat: int, array: Array) -> list[int]:
    return [int(item) for item in np.unravel_index(flat, array.shape)]


def _judge_cosine(where: tuple[str, str], a: Array, b: Array, params: CompareParams, findings: Findings) -> None:
    """Level cosine; an output with a value that is not finite has none, and fails."""
    cosine = cosine_of(a, b)
    ours, excess = (math.nan, math.inf) if cosine is None else (cosine, params.cosine - cosine)
    findings.failing += cosine is None or excess > 0
    record = findings.outputs[where[1]]
    record["cosine"] = _number(ours if cosine is None else min(cosine, record.get("cosine", 1.0)))
    found = {"sample": where[0], "tensor": where[1], "dtype": str(a.dtype), "shape": list(a.shape), "index": []}
    findings.see(where[1], excess, found | {"simulated": _number(ours), "reference": 1.0, "limit": params.cosine})


def _passed(findings: Findings, params: CompareParams) -> str:
    noun = "tensor" if params.layers else "output"
    named = params.part and len(findings.forms) <= MOST_NAMED
    tensors = ", ".join(findings.forms.values()) if named else _count(len(findings.outputs), noun)
    seen = f"{_count(findings.elements, 'element')} of {tensors} on {_count(findings.samples, 'sample')}"
    if params.level == "cosine":
        worst = findings.to_tell(first=False) or {}
        return f"the lowest cosine is {worst.get('simulated')}, at least {params.cosine:g} ({seen})"
    if findings.differing == 0:
        return f"{seen}: equal bit for bit"
    limits = f"rtol {params.rtol:g}, atol {params.atol:g}"
    return f"{seen}: within {limits}; the largest difference is {findings.largest:g}"


def _failed(findings: Findings, params: CompareParams) -> str:
    worst = findings.to_tell(first=params.layers) or {}
    noun = "the first tensor that fails is" if params.layers else "output"
    tensor = f"'{worst.get('tensor')}' ({worst.get('dtype')} {worst.get('shape')})"
    where = f"sample '{worst.get('sample')}', {noun} {tensor}"
    if params.level == "cosine":
        return f"{where}: the cosine is {worst.get('simulated')}, below {params.cosine:g}"
    count = f"{findings.failing} of {_count(findings.elements, 'element')} failed"
    return (
        f"{where} at {worst.get('index')}: simulated {worst.get('simulated')}, reference {worst.get('reference')}, "
        f"limit {worst.get('limit')}; {count}, the first of this tensor at {worst.get('first')}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _number(value: float) -> float | int | str:
    return value if math.isfinite(value) else str(value)
