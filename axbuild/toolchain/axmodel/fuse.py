"""Stage: partitions and their compiled programs, one of each for every shape group -> one container."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

from axbuild.errors import AxError, AxNote
from axbuild.toolchain.axmodel.columns import Column, Renaming, column_of
from axbuild.toolchain.axmodel.container import Container, CpuSubgraph, NpuSubgraph, Subgraph
from axbuild.toolchain.axmodel.facts import notes
from axbuild.toolchain.axmodel.write import write
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.plan.record import CPU, PlannedSubgraph
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
    """shown_batch: what shapes in the file show, where nothing larger was compiled; compressed: parameters and programs
    are, in the file; sub_compressed: those of each sub_config, none where all are as the model's; options, sub_options:
    as in SplitParams, none changes how programs are fused yet."""

    chip: Nameplate
    shown_batch: int = 0
    compressed: bool = False
    options: CompileOptions = field(default_factory=CompileOptions)
    sub_options: tuple[CompileOptions, ...] = ()
    sub_compressed: tuple[bool, ...] = ()

    def apart(self, planned: PlannedSubgraph) -> bool:
        """Whether a subgraph is compressed where the model is not, or the other way round."""
        return planned.own(self.compressed, self.sub_compressed) != self.compressed


def fuse(partition: list[Path], programs: list[Path], out: Path, *, params: FuseParams) -> None:
    """One of each for every shape group, the model's own first; of `programs` <subgraph>/b<N>/program.msgpack and
    params.bin. Writes compiled.axmodel, and says at the end of the build what it is."""
    columns = _columns(partition, programs)
    size = _write(columns, params, out)
    chip = f"{params.chip.name} {params.chip.npu_mode}"
    for sentence in notes(columns, size, chip):
        warnings.warn(AxNote(sentence), stacklevel=1)


def join(partition: list[Path], programs: list[Path], out: Path, *, params: FuseParams) -> None:
    """As `fuse`, of a model that is a means and nobody's: nothing is said of it."""
    _write(_columns(partition, programs), params, out)


def _columns(partition: list[Path], programs: list[Path]) -> list[Column]:
    return [column_of(number, *folders) for number, folders in enumerate(zip(partition, programs, strict=True))]


def _write(columns: list[Column], params: FuseParams, out: Path) -> int:
    """Writes compiled.axmodel; its size in bytes."""
    names = Renaming(columns)
    constants, others = Constants(), Constants()
    subgraphs = tuple(
        _subgraph(item, one, names, others if params.apart(item) else constants, apart=params.apart(item))
        for one in columns
        for item in one.planned.subgraphs
    )
    container = Container(
        target_hardware=params.chip.name,
        chip_number=params.chip.number,
        npu_mode=params.chip.npu_mode,
        inputs=tuple(names.tensor(tensor, one) for one in columns for tensor in one.planned.inputs),
        outputs=tuple(names.tensor(tensor, one) for one in columns for tensor in one.planned.outputs),
        inner=tuple(names.tensor(tensor, one) for one in columns for tensor in one.planned.inner),
        subgraphs=subgraphs,
        params=constants.content(),
        params_apart=others.content(),
        sources={name: digest for one in columns for name, digest in one.digests().items()},
        names=names.own(),
    )
    packed = _packed(container, compressed=params.compressed)
    content = write(replace(container, compressed=packed, shown_batch=max(params.shown_batch, container.batches()[-1])))
    (out / "compiled.axmodel").write_bytes(content)
    return len(content)


def _packed(container: Container, *, compressed: bool) -> frozenset[str]:
    """Initialisers that are compressed: those of subgraphs that are as the model says, or of the others."""
    apart = {key for one in container.on_npu() if one.apart for key in (one.params_key, *one.blobs())}
    return frozenset(container.npu_blobs().keys() - apart if compressed else apart)


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
    planned: PlannedSubgraph, column: Column, names: Renaming, constants: Constants, *, apart: bool
) -> Subgraph:
    inputs, outputs = (tuple(names.of(name, column) for name in side) for side in (planned.inputs, planned.outputs))
    about = (names.of(planned.name, column), inputs, outputs)
    if planned.place == CPU:
        return CpuSubgraph(*about, (column.partition / planned.file).read_bytes(), column.number)
    linked: dict[int, bytes] = {}
    for batch in column.batches[planned.name]:
        folder = column.programs / planned.name / f"b{batch}"
        program = decode((folder / "program.msgpack").read_bytes())
        if program.batch != planned.batch_of(batch) or len(program.inputs) != len(planned.inputs):
            raise FuseError(f"the program of {planned.name} at batch {batch} was compiled for another subgraph")
        constants.take(program, (folder / "params.bin").read_bytes())
        linked[program.batch] = encode(link(program, constants.offsets))
    layers = {tensor: names.of(name, column) for tensor, name in planned.layers.items()}
    return NpuSubgraph(*about, linked, column.number, layers, apart)
