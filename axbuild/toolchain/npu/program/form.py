"""The program of one subgraph at one batch on the reference NPU: format `axref-job/3`.

axbuild's own format with its own magic; no vendor runtime can take it for a vendor binary. A program is a list of
jobs in an order in which they may run one after another. Each job says which bytes it reads and writes, and which
earlier jobs it waits for, so that a verifier needs nothing but the program (see `verify`), and the simulator
executes exactly these bytes. Parameters are symbolic: operands point into *blobs*, and only the table of blobs says
where a blob lies, so that linking several programs over one shared constant changes that table and no job.

On-chip memory is used again and again, so a tensor is nowhere whole when the jobs have run. Whoever wants to see it
collects it while they run: a job that computes says where what it writes lies in a dense copy of its tensor, and a
table says which part of which dense copies each tensor of the net is.

Two spellings of one schema: `encode` = MAGIC + msgpack (what containers carry), `dump` = canonical JSON (to read and
to diff). Both hold integers and strings only: the same program is the same bytes everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.kinds.codes import BORDER

FORMAT = "axref-job/3"
MAGIC = b"axref\x00\x00\x03"

PARAMS, SWAP, OCM = "params", "ddr_swap", "ocm_base"
ITEM_BYTES = {
    name: int(np.dtype(name).itemsize)
    for name in (*dict.fromkeys(kind.carried for kind in BORDER), "uint32", "int64", "float64")
}
"""what an operand may hold; the wide ones are packed constants"""

# Bounds of what a reader accepts, far above what any chip or model needs.
MAX_PROGRAM_BYTES = 1 << 28
MAX_JOBS = 1 << 18
MAX_REGION_BYTES = 1 << 34
MAX_RANK = 8

AttrValue = int | str | tuple[int, ...]


class ProgramError(AxError):
    """AX400: bytes that are no program, or a program that contradicts itself."""

    code = "AX400"


def bytes_of(shape: tuple[int, ...], dtype: str) -> int:
    """Bytes of all elements of an array."""
    return math.prod(shape) * ITEM_BYTES[dtype]


def end_of(begin: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: str) -> int:
    """One past the last byte of an array whose first is `begin`."""
    last = sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    return begin + last + ITEM_BYTES[dtype]


@dataclass(frozen=True)
class DensePlace:
    """Where the elements of an operand lie in a dense copy of its tensor: first byte, and strides in bytes along the
    operand's own axes."""

    begin: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Operand:
    """Bytes of one region seen as an array: element [i, j, ..] lies at begin + i strides[0] + j strides[1] + ..

    tensor: the name of what the bytes hold; a reader must find bytes that were written under the same name.
    begin: first byte; relative to the region, or to blob number `blob` in region "params" (-1 elsewhere).
    strides: bytes, not negative; axis order is the job's own (feature maps: NHWC).
    dense: of outputs that a job computes; None where bytes are read, or only copied.
    """

    tensor: str
    region: str
    begin: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    blob: int = -1
    dense: DensePlace | None = None

    @cached_property
    def end(self) -> int:
        """One past the last byte."""
        return end_of(self.begin, self.shape, self.strides, self.dtype)

    @property
    def bytes(self) -> int:
        """Bytes that move when the operand is read or written once."""
        return bytes_of(self.shape, self.dtype)

    @property
    def in_dense(self) -> Operand:
        """The same elements in the dense copy of the tensor, as the region of that name."""
        assert self.dense is not None, "a job that computes says where"
        return Operand(self.tensor, self.tensor, self.dense.begin, self.shape, self.dense.strides, self.dtype)


@dataclass(frozen=True)
class Job:
    """One thing one engine does without interruption.

    kind: category of npu-reference 4.6; kernel: the simulator's function, a name of `kernels.KERNELS`.
    cname: "ld:param", "ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output" for what touches DDR, else "".
    deps: indices of earlier jobs, ascending, without those that others of them imply.
    start, duration: cycles of the schedule; an estimate, never needed for the result.
    attr: constants of the kernel by name; what each kernel takes is documented beside it.
    """

    index: int
    label: str
    op: str
    engine: str
    kind: str
    kernel: str
    cname: str
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    deps: tuple[int, ...]
    start: int
    duration: int
    attr: dict[str, AttrValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Region:
    """A memory: `ocm_base` and `ddr_swap` are scratch; space is "ocm" or "ddr"; size in bytes."""

    name: str
    space: str
    size: int


@dataclass(frozen=True)
class Port:
    """An input or output; the region of the same name holds it in C order. shape: ONNX, batch included."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return bytes_of(self.shape, self.dtype)


@dataclass(frozen=True)
class Activation:
    """A tensor of the net: equal parts along axis 0, each an array in a dense copy or in an input's region.

    shape: ONNX, batch included, of all parts together; strides: bytes, of one part along its ONNX axes.
    parts: (name of the dense copy or input, first byte); several where samples were computed one by one.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    parts: tuple[tuple[str, int], ...]

    @property
    def part_shape(self) -> tuple[int, ...]:
        return (self.shape[0] // len(self.parts), *self.shape[1:])

    def part_end(self, begin: int) -> int:
        """One past the last byte of the part that starts there."""
        return end_of(begin, self.part_shape, self.strides, self.dtype)


@dataclass(frozen=True)
class Blob:
    """A constant, known by the SHA-256 of its bytes; offset: where it lies in the linked parameter constant."""

    digest: str
    offset: int
    size: int


@dataclass(frozen=True)
class Program:
    """chip, npu_mode: names of the preset; clock_mhz: what turns cycles into time; max_cycle: end of the last job."""

    chip: str
    npu_mode: str
    batch: int
    clock_mhz: int
    engines: tuple[str, ...]
    regions: tuple[Region, ...]
    blobs: tuple[Blob, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    activations: tuple[Activation, ...]
    jobs: tuple[Job, ...]
    max_cycle: int
    macs: int

    def region(self, name: str) -> Region:
        for region in self.regions:
            if region.name == name:
                return region
        raise ProgramError(f"The program has no region '{name}'.")

    def ports(self) -> dict[str, Port]:
        return {port.name: port for port in (*self.inputs, *self.outputs)}

    def dense_bytes(self) -> dict[str, int]:
        """Name and size of every dense copy that activations lie in."""
        return dense_bytes(self.activations, self.inputs)


def dense_bytes(activations: tuple[Activation, ...], inputs: tuple[Port, ...]) -> dict[str, int]:
    """What `Program.dense_bytes` gives."""
    sizes: dict[str, int] = {}
    for activation in activations:
        for name, begin in activation.parts:
            sizes[name] = max(sizes.get(name, 0), activation.part_end(begin))
    return {name: size for name, size in sizes.items() if name not in {port.name for port in inputs}}


def link(program: Program, offsets: dict[str, int]) -> Program:
    """The same program over a parameter constant in which the blob of digest d lies at offsets[d]."""
    missing = [blob.digest for blob in program.blobs if blob.digest not in offsets]
    if missing:
        raise ProgramError(f"The parameter constant lacks the blob {missing[0]}.")
    return replace(program, blobs=tuple(replace(blob, offset=offsets[blob.digest]) for blob in program.blobs))
