"""What a partition is: `partition/partition.json`, read and written here alone.

Beside it stand `<subgraph>.onnx`, of an NPU subgraph the kinds under canonical names with pre-processing built in, of
a CPU subgraph the float nodes with their weights; and `placed.onnx`, the quantised model's kinds after placement.
A subgraph's inputs and outputs are names of boundary tensors, in the order of its file's own.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from axbuild.errors import AxError
from axbuild.toolchain.npu.options import OpGroup
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor

FORMAT = "axbuild-partition/5"
RECORD, PLACED = "partition.json", "placed.onnx"
NPU, CPU = "NPU", "CPU"

T = TypeVar("T")


class PartitionRecordError(AxError):
    """AX410: a partition.json that is none, or that contradicts itself."""

    code = "AX410"


@dataclass(frozen=True)
class PlacedNode:
    """A fused node, or an operator that is none. op_type: of its head; nodes: the user's; reasons: why on the CPU."""

    name: str
    op_type: str
    nodes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As it is told of one on the CPU: "'bent' (Softsign): Softsign has no integer form"."""
        return f"'{self.name}' ({self.op_type}): {', '.join(self.reasons)}"


@dataclass(frozen=True)
class PlannedSubgraph:
    """place: NPU or CPU. together: several samples may run as one batch; otherwise they run one after another.

    check: how simulation is held against the reference, "equal" or "" (the same file runs in both); sub_config: by its
    place in the list, the one that this subgraph was cut out for; layers: of the NPU, tensor inside its file -> name in
    the quantised model; single: why it takes one sample at a time, though several may run as one batch; "" where it
    does not; groups: operators that compiler_group_patterns found.
    """

    name: str
    place: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[PlacedNode, ...] = ()
    together: bool = False
    check: str = ""
    sub_config: int | None = None
    layers: dict[str, str] = field(default_factory=dict, hash=False)
    single: str = ""
    groups: tuple[OpGroup, ...] = ()

    @property
    def file(self) -> str:
        return f"{self.name}.onnx"

    def own(self, common: T, of_sub_configs: Sequence[T]) -> T:
        """What is said of this subgraph: by its sub_config, or of all that have none. of_sub_configs: of each, or none
        where all are as the model says."""
        return common if self.sub_config is None or not of_sub_configs else of_sub_configs[self.sub_config]

    def batch_of(self, wanted: int) -> int:
        """Samples in one run of the program that is used where `wanted` come together."""
        return wanted if self.together else 1


@dataclass(frozen=True)
class Partition:
    """chip: canonical name; inner: boundary tensors that are neither input nor output of the model.

    single: why several samples cannot be answered together, "" where they can; subgraphs: in run order.
    """

    chip: str
    inputs: tuple[BoundaryTensor, ...]
    outputs: tuple[BoundaryTensor, ...]
    inner: tuple[BoundaryTensor, ...]
    subgraphs: tuple[PlannedSubgraph, ...]
    single: str = ""

    @property
    def tensors(self) -> dict[str, BoundaryTensor]:
        return {tensor.name: tensor for tensor in (*self.inputs, *self.inner, *self.outputs)}

    def at(self, place: str) -> tuple[PlannedSubgraph, ...]:
        return tuple(subgraph for subgraph in self.subgraphs if subgraph.place == place)

    def ports(self, subgraph: PlannedSubgraph) -> tuple[list[BoundaryTensor], list[BoundaryTensor]]:
        """Its inputs and its outputs."""
        tensors = self.tensors
        return [tensors[name] for name in subgraph.inputs], [tensors[name] for name in subgraph.outputs]

    def of(self, sub_configs: Sequence[int | None]) -> tuple[PlannedSubgraph, ...]:
        """The subgraphs of those sub_configs, None for what is in none; all where the list is empty."""
        return tuple(one for one in self.subgraphs if not sub_configs or one.sub_config in sub_configs)

    @property
    def parted(self) -> bool:
        """Whether a sub_config cut some out."""
        return any(one.sub_config is not None for one in self.subgraphs)

    @property
    def on_cpu(self) -> tuple[PlacedNode, ...]:
        return tuple(node for subgraph in self.at(CPU) for node in subgraph.nodes)

    @property
    def node_count(self) -> int:
        return sum(len(subgraph.nodes) for subgraph in self.subgraphs)

    def compiled(self, programs: Path) -> dict[str, tuple[int, ...]]:
        """NPU subgraph -> its batches in a tree <subgraph>/b<N>/ of compilations, ascending; PartitionRecordError where
        one has none, or two that are in no sub_config, or in one, have different ones."""
        found: dict[str, tuple[int, ...]] = {}
        known: dict[int | None, tuple[int, ...]] = {}
        for one in self.at(NPU):
            found[one.name] = batches = tuple(sorted(_batches(programs / one.name)))
            first = known.setdefault(one.sub_config, batches)
            if batches != first or not batches:
                own, others = list(batches), list(first)
                raise PartitionRecordError(f"{one.name} is compiled for the batches {own}, and others for {others}")
        return found

    def write(self, folder: Path) -> None:
        record = {"format": FORMAT} | dataclasses.asdict(self)
        text = json.dumps(record, indent=1, sort_keys=True, allow_nan=False)
        (folder / RECORD).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Partition:
        """The record of the folder `partition/`; raises PartitionRecordError."""
        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PartitionRecordError(f"{RECORD} cannot be read: {error}") from None
        if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
            raise PartitionRecordError(f"{RECORD} is not of the format {FORMAT}")
        partition: Partition = _built(cls, record, RECORD)
        partition.check()
        return partition

    def check(self) -> None:
        """Raises PartitionRecordError unless every tensor is made once, before it is read."""
        tensors = self.tensors
        if len(tensors) < len(self.inputs) + len(self.inner) + len(self.outputs):
            raise PartitionRecordError("two boundary tensors have one name")
        known = {tensor.name for tensor in self.inputs}
        names: set[str] = set()
        for subgraph in self.subgraphs:
            if subgraph.place not in (NPU, CPU) or subgraph.name in names or not _is_file_name(subgraph.name):
                raise PartitionRecordError(f"'{subgraph.name}' ({subgraph.place}) is no subgraph, or stands twice")
            names.add(subgraph.name)
            if missing := [name for name in subgraph.inputs if name not in known]:
                raise PartitionRecordError(f"{subgraph.name} reads '{missing[0]}' before anything makes it")
            if odd := [name for name in subgraph.outputs if name in known or name not in tensors]:
                raise PartitionRecordError(f"'{odd[0]}', an output of {subgraph.name}, is unknown or made twice")
            known |= set(subgraph.outputs)
        if left := tensors.keys() - known:
            raise PartitionRecordError(f"nothing makes the tensor '{min(left)}'")


def _batches(folder: Path) -> list[int]:
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [int(name[1:]) for name in names if name[:1] == "b" and name[1:].isdecimal()]


def _is_file_name(name: str) -> bool:
    return name.isidentifier()


def _built(expected: Any, value: Any, where: str) -> Any:
    """A JSON value as the annotated type: a record, a tuple, text, an integer, a truth, T | None, a dict as it is."""
    if dataclasses.is_dataclass(expected):
        hints = typing.get_type_hints(expected)
        if not isinstance(value, dict) or value.keys() != hints.keys():
            raise PartitionRecordError(f"{where}: expected the fields {', '.join(hints)}")
        return typing.cast(type, expected)(**{k: _built(hints[k], v, f"{where}.{k}") for k, v in value.items()})
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is tuple and isinstance(value, list):
        return tuple(_built(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is types.UnionType:
        return None if value is None else _built(arguments[0], value, where)
    if type(value) is not (origin or expected):
        raise PartitionRecordError(f"{where}: {value!r:.40} is of the wrong type")
    return value
