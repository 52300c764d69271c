"""Bytes -> Program, for bytes from anywhere: everything is bounded and checked before it is believed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack

from axbuild.toolchain.kinds.codes import BORDER
from axbuild.toolchain.npu.program.fields import Fields, dims, dtype, integer, text
from axbuild.toolchain.npu.program.form import (
    FORMAT,
    ITEM_BYTES,
    MAGIC,
    MAX_JOBS,
    MAX_PROGRAM_BYTES,
    MAX_REGION_BYTES,
    OCM,
    PARAMS,
    SWAP,
    Activation,
    AttrValue,
    Blob,
    DensePlace,
    Job,
    Operand,
    Port,
    Program,
    ProgramError,
    Region,
    dense_bytes,
)

MAX_CYCLES = 1 << 48
KINDS = frozenset(
    (
        *("copy", "conv", "dwconv", "fc", "matmul", "eltwise", "lut"),
        *("pool", "reduce", "norm", "softmax", "quant", "layout", "barrier"),
    )
)
CNAMES = frozenset(("", "ld:param", "ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output"))
CARRIED = frozenset(kind.carried for kind in BORDER)
"""what a tensor of a net may hold; constants have further types"""
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
    return _program(Fields(root, "program"))


def _program(root: Fields) -> Program:
    if root.text("format") != FORMAT:
        raise ProgramError(f"The program is not of format {FORMAT}.")
    regions = tuple(_region(Fields(item, f"region {i}")) for i, item in enumerate(root.items("regions")))
    blobs = tuple(_blob(Fields(item, f"blob {i}")) for i, item in enumerate(root.items("blobs")))
    inputs = tuple(_port(Fields(item, f"input {i}")) for i, item in enumerate(root.items("inputs")))
    outputs = tuple(_port(Fields(item, f"output {i}")) for i, item in enumerate(root.items("outputs")))
    engines = tuple(text(item, "eus") for item in root.items("eus"))
    activations = tuple(_activation(item, f"tensor {i}") for i, item in enumerate(root.items("tensors")))
    sizes = _sizes(regions, (*inputs, *outputs))
    reader = _Jobs(sizes, blobs, frozenset(engines), _dense_sizes(activations, inputs))
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
        activations=activations,
        jobs=tuple(reader.job(i, Fields(item, f"job {i}")) for i, item in enumerate(root.items("jobs"))),
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


def _region(record: Fields) -> Region:
    region = Region(
        record.text("name"),
        record.choice("space", frozenset(("ocm", "ddr"))),
        record.integer("size", 0, MAX_REGION_BYTES),
    )
    record.done()
    return region


def _blob(record: Fields) -> Blob:
    blob = Blob(
        record.text("digest"),
        record.integer("offset", 0, MAX_REGION_BYTES),
        record.integer("size", 1, MAX_REGION_BYTES),
    )
    if not _DIGEST.fullmatch(blob.digest):
        raise ProgramError(f"{record.where}: the digest is no SHA-256.")
    record.done()
    return blob


def _port(record: Fields) -> Port:
    port = Port(
        record.text("name"), record.choice("dtype", CARRIED), dims(record.take("shape"), f"{record.where}.shape", 1)
    )
    record.done()
    return port


def _activation(item: Any, where: str) -> Activation:
    if not isinstance(item, list) or len(item) != 5:
        raise ProgramError(f"{where}: a tensor has 5 fields.")
    name, kind, shape, strides, parts = item
    activation = Activation(
        text(name, where),
        dtype(kind, CARRIED, where),
        dims(shape, where, 1),
        dims(strides, where, 0),
        _parts(parts, where),
    )
    if not activation.shape or len(activation.shape) != len(activation.strides):
        raise ProgramError(f"{where}: shape and strides of '{activation.name}' disagree.")
    if activation.shape[0] % len(activation.parts):
        raise ProgramError(f"{where}: '{activation.name}' is not made of {len(activation.parts)} equal parts.")
    return activation


def _parts(value: Any, where: str) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, list) or not value or any(not isinstance(p, list) or len(p) != 2 for p in value):
        raise ProgramError(f"{where}: expected one or more pairs of a name and a first byte.")
    return tuple((text(name, where), integer(begin, where, 0, MAX_REGION_BYTES)) for name, begin in value)


def _dense_sizes(activations: tuple[Activation, ...], inputs: tuple[Port, ...]) -> dict[str, int]:
    """Name and size of each dense copy; what lies in an input must lie inside it."""
    if len({activation.name for activation in activations}) != len(activations):
        raise ProgramError("Two tensors have the same name.")
    ports = {port.name: port.bytes for port in inputs}
    for activation in activations:
        for name, begin in activation.parts:
            if activation.part_end(begin) > ports.get(name, MAX_REGION_BYTES):
                raise ProgramError(f"Tensor '{activation.name}' lies outside '{name}'.")
    return dense_bytes(activations, inputs)


class _Jobs:
    """Reads jobs against the regions, engines and dense copies of their program."""

    def __init__(
        self, sizes: dict[str, int], blobs: tuple[Blob, ...], engines: frozenset[str], dense: dict[str, int]
    ) -> None:
        self.sizes = sizes
        self.blobs = blobs
        self.engines = engines
        self.dense = dense

    def job(self, index: int, record: Fields) -> Job:
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

    def _operands(self, record: Fields, name: str) -> tuple[Operand, ...]:
        """Only what a job writes may have a place in a dense copy, in two fields more."""
        where, lengths = f"{record.where}.{name}", {"in": (8,), "out": (8, 10)}[name]
        return tuple(self._operand(item, lengths, where) for item in record.items(name))

    def _operand(self, item: Any, lengths: tuple[int, ...], where: str) -> Operand:
        if not isinstance(item, list) or len(item) not in lengths:
            raise ProgramError(f"{where}: an operand has {' or '.join(map(str, lengths))} fields.")
        tensor, region, begin, end, kind, shape, strides, blob, *dense = item
        operand = Operand(
            tensor=text(tensor, where),
            region=text(region, where),
            begin=integer(begin, where, 0, MAX_REGION_BYTES),
            shape=dims(shape, where, 1),
            strides=dims(strides, where, 0),
            dtype=dtype(kind, ITEM_BYTES, where),
            blob=integer(blob, where, -1, len(self.blobs) - 1),
        )
        self._check(operand, end, where)
        return self._with_dense(operand, dense, where) if dense else operand

    def _with_dense(self, operand: Operand, item: list[Any], where: str) -> Operand:
        begin, strides = item
        dense = DensePlace(integer(begin, where, 0, MAX_REGION_BYTES), dims(strides, where, 0) or operand.strides)
        placed = replace(operand, dense=dense)
        if len(dense.strides) != len(operand.shape) or placed.in_dense.end > self.dense.get(operand.tensor, -1):
            raise ProgramError(f"{where}: what '{operand.tensor}' is in a dense copy does not lie in one.")
        return placed

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
    deps = tuple(integer(item, f"{where}.deps", 0, index - 1) for item in items)
    if list(deps) != sorted(set(deps)):
        raise ProgramError(f"{where}.deps: not in ascending order.")
    return deps


def _attributes(value: Any, where: str) -> dict[str, AttrValue]:
    if not isinstance(value, dict):
        raise ProgramError(f"{where}.attr: expected a record.")
    return {name: _attribute(item, f"{where}.attr.{name}") for name, item in value.items()}


def _attribute(item: Any, where: str) -> AttrValue:
    readers: dict[type, Callable[[], AttrValue]] = {
        int: lambda: integer(item, where, -(1 << 62), 1 << 62),
        str: lambda: text(item, where),
        list: lambda: tuple(integer(part, where, -(1 << 62), 1 << 62) for part in item),
    }
    if type(item) not in readers:
        raise ProgramError(f"{where}: expected an integer, text or a list of integers.")
    return readers[type(item)]()
