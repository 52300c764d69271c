"""Stage: a float model as its author exported it -> one static float32 graph that the quantiser takes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir
from onnx import ModelProto

from axbuild.errors import AxWarning
from axbuild.toolchain.frontend import check, shapes
from axbuild.toolchain.frontend.batch_norm_to_conv import BatchNormToConv
from axbuild.toolchain.frontend.explicit_pads import ExplicitPads
from axbuild.toolchain.frontend.fold import fold, sweep
from axbuild.toolchain.frontend.fuse_affine import FuseAffine
from axbuild.toolchain.frontend.fuse_batch_norm import FuseBatchNorm
from axbuild.toolchain.frontend.fuse_pad import FusePad
from axbuild.toolchain.frontend.load import SIZE_LIMIT, UnsupportedModelError, load
from axbuild.toolchain.frontend.lower_sum import LowerSum
from axbuild.toolchain.frontend.mean_to_pool import MeanToPool
from axbuild.toolchain.frontend.naming import name_nodes
from axbuild.toolchain.frontend.normalize_gemm import NormalizeGemm
from axbuild.toolchain.frontend.rewrite import Outcome, Rewrite, apply
from axbuild.toolchain.frontend.to_reshape import ToReshape
from axbuild.toolchain.graph import ORIGINS
from axbuild.toolchain.frontend.version import IR_VERSION, to_opset

REWRITES: tuple[Rewrite[Any], ...] = (
    ExplicitPads(),
    FusePad(),
    NormalizeGemm(),
    FuseBatchNorm(),
    FuseAffine(),
    BatchNormToConv(),
    FuseAffine(),
    LowerSum(),
    MeanToPool(),
    ToReshape(),
)
"""In this order: each sees the graph that the earlier ones left."""


DOWNSTREAM = 100.0
"""how much more than at the tensors a rewrite computes a model's outputs may differ: a Sigmoid or Softmax far from its
middle turns rounding of its input into many times that of its own small values"""

FOLD_TOLERANCE = 1e-3
"""of the largest magnitude of each output; onnx and onnxruntime round constant work differently"""


@dataclass(frozen=True)
class OptimizeParams:
    """input_shapes: input name -> its shape, where the model leaves one open or another one is wanted."""

    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


def optimize(model: Path, out: Path, *, params: OptimizeParams) -> None:
    """`model`: a folder with one .onnx and its external data. Writes optimized.onnx and interface.json."""
    graph = simplify(load(model), params.input_shapes)
    content = graph.SerializeToString(deterministic=True)
    if len(content) > SIZE_LIMIT:
        raise UnsupportedModelError("the optimised model is larger than 2 GB, which one ONNX file cannot be")
    (out / "optimized.onnx").write_bytes(content)
    text = json.dumps(shapes.interface(graph), indent=1, sort_keys=True)
    (out / "interface.json").write_text(text + "\n", encoding="utf-8")


def simplify(model: ModelProto, input_shapes: Mapping[str, tuple[int, ...]]) -> ModelProto:
    """Static shapes, folded constants, fused and canonical operators.

    Every rewrite that changed something is checked numerically against the graph before it.
    """
    name_nodes(model.graph.node)
    model.ir_version = IR_VERSION
    shapes.fix_input_shapes(model, input_shapes)
    shapes.infer(model)
    shapes.require_reasonable(model)
    inputs = check.random_inputs(model)
    expected = check.run(model, inputs)
    del model.graph.value_info[:]
    model = _folded(to_opset(model))
    check.compare("conversion and constant folding", FOLD_TOLERANCE, expected, check.run(model, inputs))
    graph = ir.serde.deserialize_model(model)
    for rewrite in REWRITES:
        outcome = apply(rewrite, graph)
        if isinstance(rewrite, FuseBatchNorm):
            _warn_left(outcome)
        if outcome.tensors:
            model = _checked(rewrite, outcome, model, graph, inputs)
            graph = ir.serde.deserialize_model(model)
    return _finished(model)


def _folded(model: ModelProto) -> ModelProto:
    name_nodes(model.graph.node)
    shapes.infer(model)
    graph = ir.serde.deserialize_model(model)
    fold(graph)
    after = ir.serde.serialize_model(graph)
    shapes.infer(after)
    shapes.require_static(after)
    return after


def _checked(
    rewrite: Rewrite[Any], outcome: Outcome, before: ModelProto, graph: ir.Model, inputs: check.Tensors
) -> ModelProto:
    """The rewritten `graph` with its shapes, after every tensor it computes otherwise was compared with `before`."""
    sweep(graph)
    after = ir.serde.serialize_model(graph)
    shapes.infer(after)
    left = {name for node in after.graph.node for name in node.output}
    names = [name for name in outcome.tensors if name in left]
    values_before, values_after = check.run(before, inputs, names), check.run(after, inputs, names)
    name = type(rewrite).__name__
    touched = {tensor: values_before.pop(tensor) for tensor in names}
    check.compare(name, rewrite.tolerance, touched, values_after)
    check.compare(name, rewrite.tolerance * DOWNSTREAM, values_before, values_after)
    return after


def _warn_left(outcome: Outcome) -> None:
    """One warning a reason, with the first node it holds for."""
    for reason in dict.fromkeys(outcome.reasons.values()):
        nodes = [node for node, found in outcome.reasons.items() if found == reason]
        others = (
            f" and {len(nodes) - 1} others stay operators of their own"
            if nodes[1:]
            else " stays an operator of its own"
        )
        warnings.warn(AxWarning("AX308", f"BatchNormalization '{nodes[0]}'{others}: {reason}"), stacklevel=2)


def _finished(model: ModelProto) -> ModelProto:
    """Unique names, static shapes, and nothing of the exporter's machine: no stack traces, no comments."""
    name_nodes(model.graph.node)
    shapes.require_static(model)
    model.producer_name, model.producer_version, model.doc_string = "axbuild", "", ""
    for node in model.graph.node:
        node.doc_string = ""
        kept = [entry for entry in node.metadata_props if entry.key == ORIGINS]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    return model
