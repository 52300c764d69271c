"""Program -> bytes, in the two spellings that `form` describes."""

from __future__ import annotations

import json
from typing import Any

import msgpack

from axbuild.toolchain.npu.program.form import FORMAT, MAGIC, Activation, Job, Operand, Port, Program


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
        "tensors": [_plain_activation(activation) for activation in program.activations],
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


def _plain_activation(activation: Activation) -> list[Any]:
    """[name, dtype, shape, strides, [[dense copy or input, begin], ..]]"""
    a = activation
    return [a.name, a.dtype, list(a.shape), list(a.strides), [list(part) for part in a.parts]]


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
    """[tensor, region, begin, end, dtype, shape, strides, blob]; end is redundant and checked. With a dense copy
    [.., begin there, strides there], the latter empty where they are the operand's own."""
    o = operand
    fields: list[Any] = [o.tensor, o.region, o.begin, o.end, o.dtype, list(o.shape), list(o.strides), o.blob]
    if o.dense is None:
        return fields
    return [*fields, o.dense.begin, [] if o.dense.strides == o.strides else list(o.dense.strides)]


def _sorted(value: Any) -> Any:
    """Whatever is in a list is of one sort: most of a program are lists of numbers, which are as they should be."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_sorted(item) for item in value]
    return value
