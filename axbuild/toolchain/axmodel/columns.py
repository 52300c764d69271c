"""What a container is fused from: a column for each shape group, and what its tensors are called there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from axbuild.toolchain.graph import Names
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.record import Partition


@dataclass(frozen=True)
class Column:
    """What one shape group is fused from. batches: NPU subgraph -> those that it is compiled for, ascending."""

    number: int
    partition: Path
    programs: Path
    planned: Partition
    batches: Mapping[str, tuple[int, ...]]

    def digests(self) -> dict[str, str]:
        behind = f"_{self.number}" if self.number else ""
        return _digests(self.partition, f"partition{behind}") | _digests(self.programs, f"programs{behind}")


def column_of(number: int, partition: Path, programs: Path) -> Column:
    planned = Partition.read(partition)
    return Column(number, partition, programs, planned, planned.compiled(programs))


class Renaming:
    """Names in the file: those of the model's own shape stay, behind others stands the number of their group."""

    def __init__(self, columns: Sequence[Column]) -> None:
        named = [list(dict.fromkeys(_names(one.planned))) for one in columns]
        taken = Names(named[0])
        self._names = {(0, name): name for name in named[0]}
        for one, names in zip(columns[1:], named[1:], strict=True):
            self._names |= {(one.number, name): taken.free(f"{name}_{one.number}") for name in names}

    def of(self, name: str, column: Column) -> str:
        return self._names[column.number, name]

    def tensor(self, tensor: BoundaryTensor, column: Column) -> BoundaryTensor:
        return replace(tensor, name=self.of(tensor.name, column))

    def own(self) -> dict[str, str]:
        """Name of a further group -> the model's."""
        return {new: name for (number, name), new in self._names.items() if number}


def _names(planned: Partition) -> Iterator[str]:
    """Of tensors and subgraphs; layers are tensors too."""
    yield from planned.tensors
    for subgraph in planned.subgraphs:
        yield from (subgraph.name, *subgraph.layers.values())


def _digests(folder: Path, name: str) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
