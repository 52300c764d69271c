"""Stage: what `preflight` says of a float model, of a quantised one that comes without it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from axbuild.errors import AxWarning
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.npu.net import read_model
from axbuild.toolchain.npu.plan.floats import FloatGraph
from axbuild.toolchain.npu.plan.flow import planned_flow
from axbuild.toolchain.npu.plan.partition import judged
from axbuild.toolchain.npu.plan.placement import way_back
from axbuild.toolchain.npu.plan.preflight import PreflightParams, look_at_ends
from axbuild.toolchain.npu.plan.quantised import read_graph
from axbuild.toolchain.npu.plan.sub_configs import parts_of


def preflight_quantised(model: Path, outline: Path, out: Path, *, params: PreflightParams) -> None:
    """model: quant_axmodel.onnx; outline: of its float model, a folder. Writes preflight.json, warns and raises as
    `preflight` does."""
    floats, graph = FloatGraph(outline), read_graph(read_model(model))
    judgements = judged(graph, floats, params.chip)
    for site, judgement in judgements.items():
        if judgement.expected:
            warnings.warn(AxWarning("AX406", way_back(floats.node(site), judgement)), stacklevel=2)
    if params.sub_configs:
        parts_of(planned_flow(graph, floats, judgements), params.sub_configs)
    inputs = {name: (type_of(graph.edges[name]), graph.shapes[name]) for name in graph.inputs}
    look_at_ends(inputs, {name: graph.shapes[name] for name in graph.outputs}, params)
    on_cpu = [
        {"name": site, "op_type": floats.node(site).op_type, "reasons": judgement.reasons}
        for site, judgement in judgements.items()
        if not judgement.on_npu
    ]
    record = {"chip": params.chip.name, "nodes": len(floats.order), "on_cpu": on_cpu}
    (out / "preflight.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
