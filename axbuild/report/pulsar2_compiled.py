"""What `pulsar2 build` says of the back end: processors built in, each compilation, the fused file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from axbuild.errors import counted
from axbuild.report.pulsar2_tables import shape_of
from axbuild.report.story import Line, Products, each

PARTITION, COMPILE, FUSE = "partition", "compile_subgraph", "fuse"
_ACTION = re.compile(r"split(?:_shape_(?P<group>\d+))?/compile_(?P<subgraph>.+)_b(?P<batch>\d+)")
_TYPES = {"INT32": "S32", "INT64": "S64"}
"""element types that the vendor calls otherwise"""
_GROUP = re.compile(r"_shape_(\d+)$")
_STAGES = {
    "tiling op": "operators",
    "build op": "tiles",
    "add ddr swap": "after_ddr_swap",
    "calc input dependencies": "dependencies",
}
"""what a line calls a count of `stages` in report.json"""


def processed(products: Products) -> Iterator[Line]:
    """The operators that stand before and behind the model's own, as the partition has them."""
    own = next(event for event in products.ended(PARTITION) if event.action == PARTITION)
    told = products.json(own, "processing.json")
    for side, word in (("inputs", "preprocess"), ("outputs", "postprocess")):
        for tensor in told[side]:
            yield Line(f"{word} tensor [{tensor['name']}]")
            yield Line(f"tensor: {tensor['name']}, {shape_of(tensor['shape'])}, {_type(tensor)}")
            yield from _operators(tensor["operators"])


def _operators(operators: list[dict[str, Any]]) -> Iterator[Line]:
    for place, one in enumerate(operators):
        if place:
            yield Line(f"tensor: tensor:{one['name']}, {shape_of(one['shape'])}, {_type(one)}")
        within = f", within {one['within']}" if one["within"] else ""
        yield Line(f"op: op:{one['name']}, {one['op_type']}, {one['attributes']}{within}")


def _type(told: dict[str, Any]) -> str:
    return _TYPES.get(told["dtype"], str(told["dtype"]))


def transformed(products: Products) -> Iterator[Line]:
    """Each shape group becomes kinds in subgraphs."""
    for group in sorted(group_of(event.action) for event in products.ended(PARTITION)):
        yield Line(f"group {group} compiler transformation")


def compiled(products: Products) -> Iterator[Line]:
    """Each subgraph's compilation; cycles are estimates of the reference NPU."""
    found = [(*_place(event.action), report) for event, report in each(products, COMPILE, "report.json")]
    found.sort(key=lambda row: row[:3])
    macs: dict[int, dict[int, int]] = {}
    for group, subgraph, batch, report in found:
        macs.setdefault(group, {})[subgraph] = report["macs"] // batch
    yield from (Line(f"group {group} QuantAxModel macs: {sum(of.values()):,}") for group, of in macs.items())
    for group, subgraph in dict.fromkeys(row[:2] for row in found):
        yield Line(f"subgraph [{subgraph}], group: {group}, type: GraphType.NPU")
    for _, subgraph, batch, report in found:
        yield Line(f"compile npu subgraph [{subgraph}] b{batch}")
        yield from _back_end(report)
        yield Line(f"assemble model [{subgraph}] [subgraph_npu_{subgraph}] b{batch}")


def _back_end(report: dict[str, Any]) -> Iterator[Line]:
    """Counts of the compile report under the vendor's names: each is a count of its own, and what the vendor counts
    that has none here is left out."""
    yield from (Line(f"{name}... {report['stages'][key]:,}", "") for name, key in _STAGES.items())
    yield Line(f"assign eu... {counted(sum(map(bool, report['busy_cycles'].values())), 'engine')}", "")
    yield Line(f"max_cycle = {report['max_cycle']:,} (an estimate of the reference NPU)")
    yield Line(f"build jobs... {report['stages']['jobs']:,}", "")


def _place(action: str) -> tuple[int, int, int]:
    """(shape group, subgraph, batch) that a compilation's action is for."""
    found = _ACTION.fullmatch(action)
    assert found is not None, action
    return int(found["group"] or 0), int(found["subgraph"]), int(found["batch"])


def group_of(action: str) -> int:
    """The shape group that an action is for, by the end of its name."""
    found = _GROUP.search(action)
    return int(found[1]) if found else 0


def fused(products: Products) -> Iterator[Line]:
    places = [_place(event.action) for event in products.ended(COMPILE)]
    batches: dict[tuple[int, int], list[int]] = {}
    for group, subgraph, batch in sorted(places):
        batches.setdefault((group, subgraph), []).append(batch)
    for (_, subgraph), built in batches.items():
        if len(built) > 1:
            yield Line(f"graph [subgraph_npu_{subgraph}] batchs {built}", "WARNING")
    yield Line(f"fuse {len(batches)} subgraph(s)")
    yield from map(Line, products.notes(FUSE))
