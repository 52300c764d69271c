"""Stage: a partition and its compiled programs -> one container."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

from axbuild.errors import AxError, AxNote
from axbuild.toolchain.axmodel.container import Container, CpuSubgraph, NpuSubgraph, Subgraph
from axbuild.toolchain.axmodel.facts import notes
from axbuild.toolchain.axmodel.write import write
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.plan.record import CPU, Partition, PlannedSubgraph
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.program.encode import encode
from axbuild.toolchain.npu.program.form import Program, link

ALIGNMENT = 128
"""bytes; where a blob may begin in the parameter constant"""


class FuseError(AxError):
    """Programs that do not belong to the partition they are fused with."""

    code = "AX485"


@dataclass(frozen=True)
class FuseParams:
    """shown_batch: what shapes in the file show, 0 for the largest that was compiled; options, sub_options: as in
    SplitParams, none changes how programs are fused yet."""

    chip: Nameplate
    shown_batch: int = 0
    options: CompileOptions = field(default_factory=CompileOptions)
    sub_options: tuple[CompileOptions, ...] = ()


def fuse(partition: Path, programs: Path, out: Path, *, params: FuseParams) -> None:
    """`programs`: <subgraph>/b<N>/program.msgpack and params.bin. Writes compiled.axmodel."""
    planned = Partition.read(partition)
    batches = planned.compiled(programs)
    constants = Constants()
    container = Container(
        target_hardware=params.chip.name,
        chip_number=params.chip.number,
        npu_mode=params.chip.npu_mode,
        inputs=planned.inputs,
        outputs=planned.outputs,
        inner=planned.inner,
        subgraphs=tuple(_subgraph(item, partition, programs, batches, constants) for item in planned.subgraphs),
        params=constants.content(),
        sources=_digests(partition, "partition") | _digests(programs, "programs"),
    )
    container = replace(container, shown_batch=params.shown_batch or container.batches()[-1])
    content = write(container)
    (out / "compiled.axmodel").write_bytes(content)
    chip = f"{params.chip.name} {params.chip.npu_mode}"
    for sentence in notes(planned, programs, batches, len(content), chip):
        warnings.warn(AxNote(sentence), stacklevel=1)


@dataclass
class Constants:
    """The parameter constant while it is put together: every blob once, in the order of its first use."""

    offsets: dict[str, int] = field(default_factory=dict)
    parts: bytearray = field(default_factory=bytearray)

    def take(self, program: Program, constants: bytes) -> None:
        """Add the blobs of a program whose own parameters are `constants`; raises FuseError where they do not fit."""
        for blob in program.blobs:
            content = constants[blob.offset : blob.offset + blob.size]
            if hashlib.sha256(content).hexdigest() != blob.digest:
                raise FuseError(f"params.bin does not hold the blob {blob.digest} that its program names")
            if blob.digest in self.offsets:
                continue
            self.parts += bytes(-len(self.parts) % ALIGNMENT)
            self.offsets[blob.digest] = len(self.parts)
            self.parts += content

    def content(self) -> bytes:
        return bytes(self.parts)


def _subgraph(
    planned: PlannedSubgraph, partition: Path, programs: Path, batches: tuple[int, ...], constants: Constants
) -> Subgraph:
    about = (planned.name, planned.inputs, planned.outputs)
    if planned.place == CPU:
        return CpuSubgraph(*about, (partition / planned.file).read_bytes(), planned.shape_group)
    linked: dict[int, bytes] = {}
    for batch in batches:
        folder = programs / planned.name / f"b{batch}"
        program = decode((folder / "program.msgpack").read_bytes())
        if program.batch != planned.batch_of(batch) or len(program.inputs) != len(planned.inputs):
            raise FuseError(f"the program of {planned.name} at batch {batch} was compiled for another subgraph")
        constants.take(program, (folder / "params.bin").read_bytes())
        linked[program.batch] = encode(link(program, constants.offsets))
    return NpuSubgraph(*about, linked, planned.shape_group, planned.layers)


def _digests(folder: Path, name: str) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
