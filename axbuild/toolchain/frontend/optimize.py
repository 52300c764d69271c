"""Stage: a float model as its author exported it -> one static float32 graph that the quantiser takes."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
from onnx import ModelProto

from axbuild.errors import AxWarning
from axbuild.toolchain.frontend import check, shapes
from axbuild.toolchain.frontend.attention import mark_attention
from axbuild.toolchain.frontend.ends import Ends
from axbuild.toolchain.frontend.fold import fold
from axbuild.toolchain.frontend.input_shapes import tell_other_shapes
from axbuild.toolchain.frontend.light import LightModel, from_graph, to_graph
from axbuild.toolchain.frontend.load import load
from axbuild.toolchain.frontend.prepare import look_at_shapes, prepared
from axbuild.toolchain.frontend.save import save
from axbuild.toolchain.graph import KEPT, OPERATORS_FILE, ORIGINS, PATTERN, SPELLED
from axbuild.toolchain.named import DOMAIN
from axbuild.toolchain.rewrites.fuse_batch_norm import FuseBatchNorm
from axbuild.toolchain.rewrites.order import REWRITES
from axbuild.toolchain.rewrites.rewrite import Edit, apply

METADATA = (ORIGINS, PATTERN, SPELLED)
"""of nodes and tensors, that stays; the rest is the exporter's"""


@dataclass(frozen=True)
class OptimizeParams(Ends):
    """disable_onnx_optimization: leave out the rewrites that only make the graph smaller.
    disable_transformation_check: compare no match by itself, only the whole at the end.
    """

    disable_onnx_optimization: bool = False
    disable_transformation_check: bool = False


def optimize(model: Path, out: Path, *, params: OptimizeParams) -> None:
    """`model`: a folder with one .onnx and its external data. Writes optimized/ (see `save`) and interface.json."""
    given = load(model, params)
    tell_other_shapes(given, params.input_shapes)
    write(simplify(given, params), out)


def write(done: LightModel, out: Path) -> None:
    """What the stage writes."""
    save(done, out / "optimized")
    _write_json(operators(done), out / "optimized" / OPERATORS_FILE)
    _write_json(shapes.interface(done), out / "interface.json")


def _write_json(record: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def operators(model: LightModel) -> dict[str, int]:
    """Nodes of each operator of ONNX's default domain and of ours, by op_type."""
    return Counter(node.op_type for node in model.proto.graph.node if node.domain in ("", "ai.onnx", DOMAIN))


def simplify(given: LightModel, params: OptimizeParams) -> LightModel:
    """Static shapes, folded constants, fused and canonical operators, checked numerically."""
    kept = [name for entry in given.proto.metadata_props if entry.key == KEPT for name in json.loads(entry.value)]
    trial, converted = prepared(given, params)
    model, edit = rewritten(converted, kept, only_needed=params.disable_onnx_optimization)
    done = _checked(model, edit, trial, each=not params.disable_transformation_check)
    return _finished(done, trial)


def rewritten(converted: LightModel, kept: Sequence[str], *, only_needed: bool) -> tuple[ir.Model, Edit]:
    """The model folded and rewritten, and what was done to it.

    kept: tensors that stay what they are. They are outputs while rewrites run, which none takes away.
    """
    model = to_graph(converted)
    outputs = list(model.graph.outputs)
    for value in [value for node in model.graph for value in node.outputs if value.name in kept]:
        value.metadata_props[KEPT] = ""
        if not value.is_graph_output():
            model.graph.outputs.append(value)
    fold(model)
    edit = Edit(model.graph)
    unfused: dict[str, str] = {}
    for rewrite in REWRITES:
        if rewrite.is_needed or not only_needed:
            reasons = apply(rewrite, edit)
            if isinstance(rewrite, FuseBatchNorm):
                unfused = reasons
    while len(model.graph.outputs) > len(outputs):
        model.graph.outputs.pop()  # and not `del`, after which onnx_ir still takes the value for an output
    edit.sweep()
    left = {node.name for node in model.graph}
    _warn_left({name: reason for name, reason in unfused.items() if name in left})
    mark_attention(model.graph)
    return model, edit


def _warn_left(reasons: dict[str, str]) -> None:
    """One warning a reason, with the first node it holds for."""
    for reason in dict.fromkeys(reasons.values()):
        nodes = [node for node, found in reasons.items() if found == reason]
        others = (
            f" and {len(nodes) - 1} others stay operators of their own"
            if nodes[1:]
            else " stays an operator of its own"
        )
        warnings.warn(AxWarning("AX308", f"BatchNormalization '{nodes[0]}'{others}: {reason}"), stacklevel=2)


def _checked(model: ir.Model, edit: Edit, trial: check.Trial, *, each: bool) -> LightModel:
    """The rewritten model, after its matches (`each`) and its outputs were compared with the user's."""
    both, done = with_and_without(model, edit)
    outputs = check.check_matches(both, trial.inputs, edit.matches) if each else check.run(done, trial.inputs)
    if found := check.whole(trial, outputs):
        if not each:
            check.check_matches(both, trial.inputs, edit.matches)
        raise check.culprit(trial, done, found)
    return done


def with_and_without(model: ir.Model, edit: Edit) -> tuple[LightModel, LightModel]:
    """(the model with the nodes that were taken out of it, which computes both sides of every match; the model)."""
    kept = len(model.graph)
    # Behind the graph and last first, what was taken out still finds everything that it reads.
    model.graph.extend(reversed(edit.removed))
    both = from_graph(model)
    return both, _first_nodes(both, kept)


def _first_nodes(model: LightModel, count: int) -> LightModel:
    """The model of its first nodes, without what only the others need."""
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    del graph.node[count:]
    read = {name for node in graph.node for name in node.input}
    made = {name for node in graph.node for name in node.output}
    weights = {name: array for name, array in model.weights.items() if name in read}
    for fields, names in ((graph.initializer, read), (graph.value_info, made)):
        kept = [item for item in fields if item.name in names]
        del fields[:]
        fields.extend(kept)
    inputs = [value for value in graph.input if value.name in weights or value.name not in model.weights]
    del graph.input[:]
    graph.input.extend(inputs)
    return LightModel(proto, weights)


def _leave_out_unread(model: LightModel) -> None:
    """An input that nothing reads would demand calibration data."""
    read = {name for node in model.proto.graph.node for name in node.input}
    for value in model.inputs:
        if value.name not in read:
            warnings.warn(
                AxWarning("AX310", f"input '{value.name}' is left out: no node reads it, and it needs no data"),
                stacklevel=2,
            )
            model.proto.graph.input.remove(value)


def _finished(model: LightModel, trial: check.Trial) -> LightModel:
    """Static shapes, and nothing of the exporter's machine: no stack traces, no comments."""
    _leave_out_unread(model)
    shapes.infer(model)
    look_at_shapes(model, trial)
    shapes.require_static(model)
    proto = model.proto
    proto.producer_name = "axbuild"
    for name in ("producer_version", "doc_string", "metadata_props"):
        proto.ClearField(name)
    graph = proto.graph
    for item in (*graph.node, *graph.input, *graph.value_info, *graph.output, *graph.initializer):
        item.ClearField("doc_string")
        kept = [entry for entry in item.metadata_props if entry.key in METADATA]
        del item.metadata_props[:]
        item.metadata_props.extend(kept)
    return model
