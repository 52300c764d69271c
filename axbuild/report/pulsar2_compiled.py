"""What `pulsar2 build` says of the back end: processors built in, each compilation, checks, the fused file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from axbuild.report.pulsar2_tables import shape_of
from axbuild.report.story import Line, Products, each

PARTITION, COMPILE, FUSE, COMPARE = "partition", "compile_subgraph", "fuse", "compare"
_ACTION = re.compile(r"split(?:_shape_(?P<group>\d+))?/compile_(?P<subgraph>.+)_b(?P<batch>\d+)")
_TYPES = {"INT32": "S32", "INT64": "S64"}
"""element types that the vendor calls otherwise"""
_STAGES = {
    "tiling op": "operators",
    "build op serially": "operators",
    "build op": "tiles",
    "add ddr swap": "after_ddr_swap",
    "calc input dependencies": "dependencies",
    "calc output dependencies": "dependencies",
    "assign eu": "jobs",
    "build jobs": "jobs",
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


def compiled(products: Products) -> Iterator[Line]:
    """Each subgraph's compilation; cycles are estimates of the reference NPU."""
    found = [(*_place(event.action), report) for event, report in each(products, COMPILE, "report.json")]
    of_one = {subgraph: report["macs"] // batch for group, subgraph, batch, report in found if not group}
    macs = sum(of_one.values())
    yield Line(f"QuantAxModel macs: {macs:,}")
    for group, subgraph, batch, report in sorted(found, key=lambda row: row[:3]):
        yield Line(f"subgraph [{subgraph}], group: {group}, type: GraphType.NPU")
        yield Line(f"compile npu subgraph [{subgraph}] b{batch}")
        yield from (Line(f"{name}... {report['stages'][key]:,}", "") for name, key in _STAGES.items())
        yield Line(f"max_cycle = {report['max_cycle']:,} (an estimate of the reference NPU)")
    for _, subgraph, batch, _ in sorted(found, key=lambda row: row[:3]):
        yield Line(f"assemble model [{subgraph}] [subgraph_npu_{subgraph}] b{batch}")


def _place(action: str) -> tuple[int, int, int]:
    """(shape group, subgraph, batch) that a compilation's action is for."""
    found = _ACTION.fullmatch(action)
    assert found is not None, action
    return int(found["group"] or 0), int(found["subgraph"]), int(found["batch"])


def checks(products: Products) -> Iterator[Line]:
    for _, verdict in each(products, COMPARE, "verdict.json"):
        yield Line("simulate npu graph and generate gt of npu graph")
        level = "SUCCESS" if verdict["passed"] else "ERROR"
        for name in verdict["outputs"]:
            yield Line(f"check of [{name}], level {verdict['level']}", level)
        yield Line(verdict["sentence"], level)


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
