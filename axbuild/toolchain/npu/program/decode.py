"""Bytes -> Program, for bytes from anywhere: everything is bounded and checked before it is believed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgpack

from axbuild.toolchain.npu.program.form import (
    FORMAT,
    ITEM_BYTES,
    MAGIC,
    MAX_JOBS,
    MAX_PROGRAM_BYTES,
    MAX_RANK,
    MAX_REGION_BYTES,
    OCM,
    PARAMS,
    SWAP,
    AttrValue,
    Blob,
    Job,
    Operand,
    Port,
    Program,
    ProgramError,
    Region,
)

MAX_CYCLES = 1 << 48
KINDS = frozenset(
    (
        *("copy", "conv", "dwconv", "fc", "matmul", "eltwise", "lut"),
        *("pool", "reduce", "norm", "softmax", "quant", "layout", "barrier"),
    )
)
CNAMES = frozenset(("", "ld:param", "ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output"))
_DIGEST = re.compile(r"[0-9a-f]{64}")


def decode(data: bytes) -> Program:
    """The inverse of `program.encode`; ProgramError (AX400) names the first thing that is wrong."""
    if len(data) > MAX_PROGRAM_BYTES:
        raise ProgramError(f"A program has at most {MAX_PROGRAM_BYTES} bytes, this one {len(data)}.")
    if data[: len(MAGIC)] != MAGIC:
        raise ProgramError("These bytes are not an axref program: the magic is missing.")
    try:
        root = msgpack.unpackb(
            memoryview(data)[len(MAGIC) :],
            raw=False,
            strict_map_key=True,
            max_ext_len=0,
            max_bin_len=0,
            max_str_len=4096,
            max_array_len=MAX_JOBS,
            max_map_len=256,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise ProgramError(f"The program is damaged: {type(error).__name__}.") from error
    return _program(_Record(root, "program"))


class _Record:
    """A dict under inspection: every field is taken once, by type; `done` refuses what is left."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise ProgramError(f"{where}: expected a record.")
        self.value: dict[str, Any] = dict(value)
        self.where = where

    def take(self, name: str) -> Any:
        if name not in self.value:
            raise ProgramError(f"{self.where}: field '{name}' is missing.")
        return self.value.pop(name)

    def integer(self, name: str, low: int, high: int) -> int:
        return _integer(self.take(name), f"{self.where}.{name}", low, high)

    def text(self, name: str) -> str:
        return _text(self.take(name), f"{self.where}.{name}")

    def choice(self, name: str, options: frozenset[str] | dict[str, Any]) -> str:
        value = self.text(name)
        if value not in options:
            raise ProgramError(f"{self.where}.{name}: '{value}' is unknown.")
        return value

    def items(self, name: str) -> list[Any]:
        value = self.take(name)
        if not isinstance(value, list):
            raise ProgramError(f"{self.where}.{name}: expected a list.")
        return value

    def done(self) -> None:
        if self.value:
            raise ProgramError(f"{self.where}: unknown field '{sorted(self.value)[0]}'.")


def _integer(value: Any, where: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProgramError(f"{where}: expected an integer from {low} to {high}.")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ProgramError(f"{where}: expected text.")
    return value


def _dims(value: Any, where: str, low: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_RANK:
        raise ProgramError(f"{where}: expected a list of at most {MAX_RANK} integers.")
    return tuple(_integer(item, where, low, MAX_REGION_BYTES) for item in value)


def _program(root: _Record) -> Program:
    if root.text("format") != FORMAT:
        raise ProgramError(f"The program is not of format {FORMAT}.")
    regions = tuple(_region(_Record(item, f"region {i}")) for i, item in enumerate(root.items("regions")))
    blobs = tuple(_blob(_Record(item, f"blob {i}")) for i, item in enumerate(root.items("blobs")))
    inputs = tuple(_port(_Record(item, f"input {i}")) for i, item in enumerate(root.items("inputs")))
    outputs = tuple(_port(_Record(item, f"output {i}")) for i, item in enumerate(root.items("outputs")))
    engines = tuple(_text(item, "eus") for item in root.items("eus"))
    sizes = _sizes(regions, (*inputs, *outputs))
    reader = _Jobs(sizes, blobs, frozenset(engines))
    program = Program(
        chip=root.text("target"),
        npu_mode=root.text("npu_mode"),
        batch=root.integer("batch", 1, 1 << 16),
        clock_mhz=root.integer("clock_mhz", 1, 1 << 16),
        engines=engines,
        regions=regions,
        blobs=blobs,
        inputs=inputs,
        outputs=outputs,
        jobs=tuple(reader.job(i, _Record(item, f"job {i}")) for i, item in enumerate(root.items("jobs"))),
        max_cycle=root.integer("max_cycle", 0, MAX_CYCLES),
        macs=root.integer("macs", 0, 1 << 60),
    )
    root.done()
    return program


def _sizes(regions: tuple[Region, ...], ports: tuple[Port, ...]) -> dict[str, int]:
    named = [(r.name, r.size) for r in regions] + [(p.name, p.bytes) for p in ports]
    sizes = dict(named)
    if len(sizes) != len(named) or PARAMS in sizes or not {OCM, SWAP} <= {r.name for r in regions}:
        raise ProgramError(f"Regions must be distinct, with '{OCM}' and '{SWAP}' among them and '{PARAMS}' implied.")
    if too_large := [name for name, size in named if size > MAX_REGION_BYTES]:
        raise ProgramError(f"Region '{too_large[0]}' is larger than {MAX_REGION_BYTES} bytes.")
    return sizes


def _region(record: _Record) -> Region:
    region = Region(
        record.text("name"),
        record.choice("space", frozenset(("ocm", "ddr"))),
        record.integer("size", 0, MAX_REGION_BYTES),
    )
    record.done()
    return region


def _blob(record: _Record) -> Blob:
    blob = Blob(
        record.text("digest"),
        record.integer("offset", 0, MAX_REGION_BYTES),
        record.integer("size", 1, MAX_REGION_BYTES),
    )
    if not _DIGEST.fullmatch(blob.digest):
        raise ProgramError(f"{record.where}: the digest is no SHA-256.")
    record.done()
    return blob


def _port(record: _Record) -> Port:
    port = Port(
        record.text("name"), record.choice("dtype", ITEM_BYTES), _dims(record.take("shape"), f"{record.where}.shape", 1)
    )
    record.done()
    return port


class _Jobs:
    """Reads jobs against the regions and engines of their program."""

    def __init__(self, sizes: dict[str, int], blobs: tuple[Blob, ...], engines: frozenset[str]) -> None:
        self.sizes = sizes
        self.blobs = blobs
        self.engines = engines

    def job(self, index: int, record: _Record) -> Job:
        job = Job(
            index=record.integer("index", index, index),
            label=record.text("label"),
            op=record.text("op"),
            engine=record.choice("eu", self.engines),
            kind=record.choice("kind", KINDS),
            kernel=record.text("kernel"),
            cname=record.choice("cname", CNAMES),
            inputs=self._operands(record, "in"),
            outputs=self._operands(record, "out"),
            deps=_deps(record.items("deps"), index, record.where),
            start=record.integer("start", 0, MAX_CYCLES),
            duration=record.integer("dur", 0, MAX_CYCLES),
            attr=_attributes(record.take("attr"), record.where),
        )
        record.done()
        return job

    def _operands(self, record: _Record, name: str) -> tuple[Operand, ...]:
        where = f"{record.where}.{name}"
        return tuple(self._operand(item, where) for item in record.items(name))

    def _operand(self, item: Any, where: str) -> Operand:
        if not isinstance(item, list) or len(item) != 8:
            raise ProgramError(f"{where}: an operand has 8 fields.")
        tensor, region, begin, end, dtype, shape, strides, blob = item
        if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
            raise ProgramError(f"{where}: unknown dtype.")
        operand = Operand(
            tensor=_text(tensor, where),
            region=_text(region, where),
            begin=_integer(begin, where, 0, MAX_REGION_BYTES),
            shape=_dims(shape, where, 1),
            strides=_dims(strides, where, 0),
            dtype=dtype,
            blob=_integer(blob, where, -1, len(self.blobs) - 1),
        )
        self._check(operand, end, where)
        return operand

    def _check(self, operand: Operand, end: Any, where: str) -> None:
        if len(operand.shape) != len(operand.strides) or operand.end != end:
            raise ProgramError(f"{where}: shape, strides and end of '{operand.tensor}' disagree.")
        if (operand.region == PARAMS) != (operand.blob >= 0):
            raise ProgramError(f"{where}: '{operand.tensor}' names a blob and another region.")
        limit = self.blobs[operand.blob].size if operand.blob >= 0 else self.sizes.get(operand.region)
        if limit is None:
            raise ProgramError(f"{where}: there is no region '{operand.region}'.")
        if operand.end > limit:
            raise ProgramError(
                f"{where}: '{operand.tensor}' ends at byte {operand.end} of '{operand.region}', which has {limit}."
            )


def _deps(items: list[Any], index: int, where: str) -> tuple[int, ...]:
    deps = tuple(_integer(item, f"{where}.deps", 0, index - 1) for item in items)
    if list(deps) != sorted(set(deps)):
        raise ProgramError(f"{where}.deps: not in ascending order.")
    return deps


def _attributes(value: Any, where: str) -> dict[str, AttrValue]:
    if not isinstance(value, dict):
        raise ProgramError(f"{where}.attr: expected a record.")
    return {name: _attribute(item, f"{where}.attr.{name}") for name, item in value.items()}


def _attribute(item: Any, where: str) -> AttrValue:
    readers: dict[type, Callable[[], AttrValue]] = {
        int: lambda: _integer(item, where, -(1 << 62), 1 << 62),
        str: lambda: _text(item, where),
        list: lambda: tuple(_integer(part, where, -(1 << 62), 1 << 62) for part in item),
    }
    if type(item) not in readers:
        raise ProgramError(f"{where}: expected an integer, text or a list of integers.")
    return readers[type(item)]()
