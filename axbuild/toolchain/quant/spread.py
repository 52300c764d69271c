"""Stage, an expansion: observation in parts that are worth keeping, each some samples through one segment of the model.

What is short is one part. Samples that are added are observed in the shards they fall into, a change of the model from
the segment on that it stands in. docs/decisions/038 has the figures behind the bounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axbuild.toolchain.data.inputs import InputData, bind, refuse_unpaired
from axbuild.toolchain.data.shards import bits_of, joined, read_shards
from axbuild.toolchain.quant.segments import Segments

OBSERVE = "axbuild.toolchain.quant.observe:observe"
OBSERVE_ON = "axbuild.toolchain.quant.observe_on:observe_on"
SEGMENT = "axbuild.toolchain.quant.segment:segment"
MERGE = "axbuild.toolchain.quant.merge:merge"

WHOLE_SECONDS = 4.0
"""An observation that takes no more is done in one action"""
SHARD_SECONDS = 2.0
"""What a shard of the samples takes at most, where it can be parted"""


@dataclass(frozen=True)
class SpreadParams:
    """inputs: as in ObserveParams."""

    inputs: tuple[InputData, ...]


def spread(segments: Path, shards: list[Path], out: Path, *, params: SpreadParams) -> None:
    """shards[i]: of the samples for params.inputs[i]. Writes expansion.json, whose children read the inputs `model`,
    `watch` and `samples`; its result is statistics.msgpack."""
    plan, sets = Segments.read(segments), [read_shards(path) for path in shards]
    refuse_unpaired([{name for names in one.values() for name in names} for one in sets], params.inputs)
    counts = {folder: len(names) for folder, names in sets[0].items()}
    seconds = sum(segment.seconds for segment in plan.segments)
    if sum(counts.values()) * seconds <= WHOLE_SECONDS:
        made = _Spread(plan, params.inputs, [""], cut=False)
    else:
        made = _Spread(plan, params.inputs, joined(counts, SHARD_SECONDS / seconds), cut=len(plan.segments) > 1)
    (out / "expansion.json").write_text(json.dumps(made.expansion(), indent=1, sort_keys=True) + "\n", "utf-8")


class _Spread:
    """shards: folders of the samples; cut: whether the model is observed in its segments."""

    def __init__(self, plan: Segments, inputs: tuple[InputData, ...], shards: list[str], *, cut: bool) -> None:
        self.shards, self.inputs, self.cut = shards, inputs, cut
        self.segments = plan.segments if cut else ()
        self.sources = {data.name: (data, place) for data, place in bind(inputs, list(plan.inputs))}
        self.makers = {
            name: (number, place)
            for number, segment in enumerate(self.segments)
            for place, name in enumerate(segment.writes)
        }

    def expansion(self) -> dict[str, Any]:
        observed = list(self._cut() if self.cut else self._whole())
        parts = [f"child:{child['name']}/statistics.msgpack" for child in observed]
        more = [_child("segment", SEGMENT, {}, _given("model", "watch", "segments"))] if self.cut else []
        if len(parts) == 1:
            return {"children": observed, "result": {"statistics.msgpack": parts[0]}}
        merged = _child("merge", MERGE, {}, {"parts": parts})
        result = {"statistics.msgpack": "child:merge/statistics.msgpack"}
        return {"children": [*more, *observed, merged], "result": result}

    def _whole(self) -> Iterator[dict[str, Any]]:
        params = {"inputs": [asdict(data) for data in self.inputs]}
        for folder in self.shards:
            samples = [_samples(place, folder) for place in range(len(self.inputs))]
            yield _child(_name("observe", folder), OBSERVE, params, _given("model", "watch") | {"samples": samples})

    def _cut(self) -> Iterator[dict[str, Any]]:
        """One segment after the other, so that merging meets the tensors in the order of the graph."""
        for number, segment in enumerate(self.segments):
            own = f"child:segment/segments/{number}"
            inputs = [asdict(self._source(name)) for name in segment.reads]
            stage, params = (OBSERVE_ON, {"writes": segment.writes}) if segment.writes else (OBSERVE, {})
            for folder in self.shards:
                given = {"model": f"{own}/", "watch": f"{own}/watch.json"}
                samples = [self._held(name, folder) for name in segment.reads]
                name = _name(f"observe_{number + 1}_of_{len(self.segments)}", folder)
                yield _child(name, stage, {"inputs": inputs, **params}, given | {"samples": samples})

    def _source(self, name: str) -> InputData:
        return self.sources[name][0] if name in self.sources else InputData(name, "Numpy")

    def _held(self, name: str, folder: str) -> str:
        """Where the values of a tensor that a segment reads are."""
        if name in self.sources:
            return _samples(self.sources[name][1], folder)
        number, place = self.makers[name]
        maker = _name(f"observe_{number + 1}_of_{len(self.segments)}", folder)
        return f"child:{maker}/boundary/{place}/"


def _samples(place: int, folder: str) -> str:
    return f"input:samples.{place:04}" + (f"/{folder}" if folder else "")


def _name(what: str, folder: str) -> str:
    return f"{what}_{bits_of(folder)}" if folder else what


def _given(*roles: str) -> dict[str, Any]:
    return {role: f"input:{role}" for role in roles}


def _child(name: str, stage: str, params: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "stage": stage, "params": params, "inputs": inputs}
