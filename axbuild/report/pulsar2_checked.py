"""What `pulsar2 build` says of checks: every tensor that was compared, in the vendor's form, and the verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from axbuild.report.pulsar2_compiled import PARTITION, group_of
from axbuild.report.pulsar2_tables import shape_of
from axbuild.report.story import Line, Products, each

COMPARE = "compare"
_PART = re.compile(r"compare_sub_config_(\d+)")


def checks(products: Products) -> Iterator[Line]:
    planned = {
        group_of(event.action): partition
        for event, partition in each(products, PARTITION, "partition/", "partition.json")
    }
    for event, verdict in each(products, COMPARE, "verdict.json"):
        yield Line("simulate npu graph and generate gt of npu graph")
        border = PlannedBorder(planned[group_of(event.action)])
        part = _PART.match(event.action)
        for name, record in verdict["outputs"].items():
            passed = verdict["passed"] or _held(verdict, record)
            what = f"npu graph [{border.maker(name, int(part[1]))}] " if part else ""
            how = "successfully!" if passed else "failed"
            said = f"check {what}[{name}]{border.form(name)} {how} (level {verdict['level']})"
            yield Line(said, "SUCCESS" if passed else "ERROR")
        yield Line(verdict["sentence"], "SUCCESS" if verdict["passed"] else "ERROR")


def _held(verdict: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether a tensor of a verdict that failed is itself within its limit."""
    if not verdict["failing"]:
        return False  # what failed is no tensor's
    if verdict["level"] == "cosine":
        return float(record["cosine"]) >= float(verdict["worst"]["limit"])
    return not record.get("failing")


class PlannedBorder:
    """The tensors between a partition's subgraphs and around them, of its record."""

    def __init__(self, partition: dict[str, Any]) -> None:
        tensors = (one for side in ("inputs", "inner", "outputs") for one in partition[side])
        self._tensors = {one["name"]: one for one in tensors}
        self._subgraphs = partition["subgraphs"]

    def form(self, name: str) -> str:
        """`, (1, 56, 56, 144), uint8`; nothing of what lies inside a subgraph."""
        tensor = self._tensors.get(name)
        return f", {shape_of(tensor['shape'])}, {tensor['dtype']}" if tensor else ""

    def maker(self, name: str, sub_config: int) -> str:
        """The subgraph of a sub_config that gives a tensor, or holds it."""
        own = [one for one in self._subgraphs if one["sub_config"] == sub_config]
        makers = [one["name"] for one in own if name in one["outputs"] or name in one["layers"].values()]
        return ", ".join(makers[:1] or (one["name"] for one in own))
