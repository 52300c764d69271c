"""Stage: everything that would stop a float model on a chip, before anything slow has run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputProcessor
from axbuild.toolchain.graph import Shape, model_file
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.chips.support import refusals
from axbuild.toolchain.npu.plan.preprocess import ProcessorError, sources_of
from axbuild.toolchain.ops.sites import unsupported


class LimitError(AxError):
    """AX406: operators that the chip's NPU does not take; the sentence names every one."""

    code = "AX406"


@dataclass(frozen=True)
class Declared:
    """What a BUILD file itself says of an input, or of all that have no entry of their own ("DEFAULT")."""

    tensor_name: str
    src_layout: str


@dataclass(frozen=True)
class PreflightParams:
    """input_processors: one an input, as partition gets them; declared: the entries they were settled from."""

    chip: Support
    input_processors: tuple[InputProcessor, ...] = ()
    declared: tuple[Declared, ...] = ()


def preflight(model: Path, out: Path, *, params: PreflightParams) -> None:
    """model: optimized.onnx. Writes preflight.json.

    Raises LimitError with every refused node, ProcessorError where an input's processor does not fit it.
    """
    chip = params.chip
    graph = ir.load(model_file(model))
    refused: dict[str, list[str]] = {}
    for finding in unsupported(graph):
        refused.setdefault(finding.node, []).append(finding.sentence)
    # What cannot be quantised is no question for the chip any more.
    asked = [node for node in graph.graph if (node.name or "") not in refused]
    for node in asked:
        for reason in refusals(node, chip):
            refused.setdefault(node.name or "", []).append(reason)
    if refused:
        count = f"{len(refused)} operators do" if len(refused) > 1 else "1 operator does"
        sentences = "; ".join(f"{name}: {', '.join(dict.fromkeys(reasons))}" for name, reasons in refused.items())
        raise LimitError(f"{count} not fit the NPU of {chip.name}: {sentences}")
    inputs = {value.name or "": _shape(value) for value in graph.graph.inputs}
    sources_of(inputs, params.input_processors)
    _check_layouts(inputs, params.declared)
    record = {"chip": chip.name, "nodes": len(graph.graph), "refused": []}
    (out / "preflight.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _shape(value: ir.Value) -> Shape:
    assert value.shape is not None
    return tuple(int(size) for size in value.shape if isinstance(size, int))


def _check_layouts(inputs: dict[str, Shape], declared: tuple[Declared, ...]) -> None:
    """A layout is of pictures: one that is declared for none of them would have no effect."""
    own = {entry.tensor_name for entry in declared}
    for entry in declared:
        named = [entry.tensor_name] if entry.tensor_name in inputs else [name for name in inputs if name not in own]
        if entry.src_layout == "NHWC" and not any(len(inputs[name]) == 4 for name in named):
            shapes = ", ".join(f"'{name}' is {list(inputs[name])}" for name in named)
            raise ProcessorError(f"src_layout NHWC has no effect: it is for inputs of rank 4, and {shapes}.")
