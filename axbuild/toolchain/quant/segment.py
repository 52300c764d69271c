"""Stage: a float model in its segments, each a model of its own with its part of the watch list.

Operators and constants are numbered anew in each, so that what an exporter calls them changes no segment; tensors keep
their names, by which a user is told of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from axbuild.toolchain.graph import MODEL_FILE, model_file
from axbuild.toolchain.part import part_of
from axbuild.toolchain.quant.segments import Segments
from axbuild.toolchain.quant.watched import read_watched, write_watched


@dataclass(frozen=True)
class SegmentParams:
    """Nothing to choose."""


def segment(model: Path, watch: Path, segments: Path, out: Path, *, params: SegmentParams) -> None:
    """Write `segments/<i>/optimized.onnx` and `segments/<i>/watch.json`."""
    whole, rows, plan = onnx.load(model_file(model)), read_watched(watch), Segments.read(segments)
    ends = {value.name for value in whole.graph.output}
    seen: set[str] = set()
    for place, one in enumerate(plan.segments):
        folder = out / "segments" / str(place)
        folder.mkdir(parents=True)
        named = set(one.nodes)
        nodes = [node for node in whole.graph.node if node.name in named]
        made = [name for node in nodes for name in node.output if name]
        writes = [name for name in made if name in ends or name in one.writes]
        part = part_of(whole, nodes, one.reads, writes)
        _number(part.graph)
        (folder / MODEL_FILE).write_bytes(part.SerializeToString(deterministic=True))
        own = {*made, *one.reads} - seen
        write_watched([row for row in rows if row.name in own], folder / "watch.json")
        seen |= own


def _number(graph: onnx.GraphProto) -> None:
    names = {tensor.name: f"constant_{place}" for place, tensor in enumerate(graph.initializer)}
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
    for place, node in enumerate(graph.node):
        node.name = f"node_{place}"
        node.input[:] = [names.get(name, name) for name in node.input]
        node.doc_string = ""
        del node.metadata_props[:]
    for info in graph.value_info:
        info.name = names.get(info.name, info.name)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
