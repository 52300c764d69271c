"""The program of one subgraph at one batch on the reference NPU: format `axref-job/1`.

axbuild's own format with its own magic; no vendor runtime can take it for a vendor binary. A program is a list of
jobs in an order in which they may run one after another. Each job says which bytes it reads and writes, and which
earlier jobs it waits for, so that a verifier needs nothing but the program (see `verify`), and the simulator
executes exactly these bytes. Parameters are symbolic: operands point into *blobs*, and only the table of blobs says
where a blob lies, so that linking several programs over one shared constant changes that table and no job.

Two spellings of one schema: `encode` = MAGIC + msgpack (what containers carry), `dump` = canonical JSON (to read and
to diff). Both hold integers and strings only: the same program is the same bytes everywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack
import numpy as np

from axbuild.errors import AxError

FORMAT = "axref-job/1"
MAGIC = b"axref\x00\x00\x01"

PARAMS, SWAP, OCM = "params", "ddr_swap", "ocm_base"
ITEM_BYTES = {
    name: int(np.dtype(name).itemsize)
    for name in ("uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "float32", "float64")
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


@dataclass(frozen=True)
class Operand:
    """Bytes of one region seen as an array: element [i, j, ..] lies at begin + i strides[0] + j strides[1] + ..

    tensor: the name of what the bytes hold; a reader must find bytes that were written under the same name.
    begin: first byte; relative to the region, or to blob number `blob` in region "params" (-1 elsewhere).
    strides: bytes, not negative; axis order is the job's own (feature maps: NHWC).
    """

    tensor: str
    region: str
    begin: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    blob: int = -1

    @property
    def end(self) -> int:
        """One past the last byte."""
        last = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        return self.begin + last + ITEM_BYTES[self.dtype]

    @property
    def bytes(self) -> int:
        """Bytes that move when the operand is read or written once."""
        count = ITEM_BYTES[self.dtype]
        for n in self.shape:
            count *= n
        return count


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
        count = ITEM_BYTES[self.dtype]
        for n in self.shape:
            count *= n
        return count


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


def link(program: Program, offsets: dict[str, int]) -> Program:
    """The same program over a parameter constant in which the blob of digest d lies at offsets[d]."""
    missing = [blob.digest for blob in program.blobs if blob.digest not in offsets]
    if missing:
        raise ProgramError(f"The parameter constant lacks the blob {missing[0]}.")
    return replace(program, blobs=tuple(replace(blob, offset=offsets[blob.digest]) for blob in program.blobs))


def plain(program: Program) -> dict[str, Any]:
    """The schema: dicts, lists, integers, strings."""
    return {
        "format": FORMAT,
        "target": program.chip,
        "npu_mode": program.npu_mode,
        "batch": program.batch,
        "clock_mhz": program.clock_mhz,
        "eus": list(program.engines),
        "regions": [{"name": r.name, "space": r.space, "size": r.size} for r in program.regions],
        "blobs": [{"digest": b.digest, "offset": b.offset, "size": b.size} for b in program.blobs],
        "inputs": [_plain_port(port) for port in program.inputs],
        "outputs": [_plain_port(port) for port in program.outputs],
        "jobs": [_plain_job(job) for job in program.jobs],
        "max_cycle": program.max_cycle,
        "macs": program.macs,
    }


def encode(program: Program) -> bytes:
    """MAGIC and the canonical msgpack of `plain`, keys sorted."""
    packed: bytes = msgpack.packb(_sorted(plain(program)), use_bin_type=True)
    return MAGIC + packed


def dump(program: Program) -> str:
    """Canonical JSON: sorted keys, one line."""
    return json.dumps(plain(program), sort_keys=True, separators=(",", ":")) + "\n"


def _plain_port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "dtype": port.dtype, "shape": list(port.shape)}


def _plain_job(job: Job) -> dict[str, Any]:
    return {
        "index": job.index,
        "label": job.label,
        "op": job.op,
        "eu": job.engine,
        "kind": job.kind,
        "kernel": job.kernel,
        "cname": job.cname,
        "in": [_plain_operand(operand) for operand in job.inputs],
        "out": [_plain_operand(operand) for operand in job.outputs],
        "deps": list(job.deps),
        "start": job.start,
        "dur": job.duration,
        "attr": {name: list(v) if isinstance(v, tuple) else v for name, v in job.attr.items()},
    }


def _plain_operand(operand: Operand) -> list[Any]:
    """[tensor, region, begin, end, dtype, shape, strides, blob]; end is redundant and checked."""
    o = operand
    return [o.tensor, o.region, o.begin, o.end, o.dtype, list(o.shape), list(o.strides), o.blob]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
