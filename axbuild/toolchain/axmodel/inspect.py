"""What a compiled model holds, for people and programs: the function behind `axbuild inspect`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from axbuild.toolchain.axmodel import vendor
from axbuild.toolchain.axmodel.container import (
    BACKEND,
    META_BACKEND,
    NOTE,
    PARAMS,
    PARAMS_APART,
    Container,
    NpuSubgraph,
)
from axbuild.toolchain.axmodel.read import container_of, parsed
from axbuild.toolchain.kinds.codes import type_of_dtype
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.program.figures import busy_cycles, ddr_traffic, ocm_peak
from axbuild.toolchain.npu.program.form import OCM, SWAP


def inspect(file: Path, chips: Mapping[int, str]) -> tuple[dict[str, Any], list[str]]:
    """The facts of the container in `file`, ours or the vendor's, with its digest; and the same as lines.

    chips: number in a container -> name. Raises MalformedError, ForeignError or VendorFileError.
    """
    content = file.read_bytes()
    model = parsed(content, file.name)
    about = {"file": file.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if vendor.is_vendors(model) and not any(entry.key == META_BACKEND for entry in model.metadata_props):
        found = about | vendor.facts(model, chips)
        return found, list(vendor.lines(found))
    found = about | facts(container_of(model, file.name))
    return found, list(_lines(found))


def facts(container: Container) -> dict[str, Any]:
    """Chip, batches, boundary tensors (shapes of one sample), shape groups, subgraphs with the size of what they run,
    parameters."""
    return {
        "backend": BACKEND,
        "note": NOTE,
        "target_hardware": container.target_hardware,
        "npu_mode": container.npu_mode,
        "batches": container.batches(),
        "inputs": [_tensor(tensor) for tensor in container.inputs],
        "outputs": [_tensor(tensor) for tensor in container.outputs],
        "shape_groups": [_group(container.group(number)) for number in container.shape_groups()],
        "subgraphs": [
            {
                "name": subgraph.name,
                "place": subgraph.place,
                "inputs": subgraph.inputs,
                "outputs": subgraph.outputs,
                "bytes": {name: len(blob) for name, blob in subgraph.blobs().items()},
                "programs": [_program(content) for content in subgraph.programs.values()]
                if isinstance(subgraph, NpuSubgraph)
                else [],
            }
            for subgraph in container.subgraphs
        ],
        "parameter_bytes": len(container.params),
        "apart_parameter_bytes": len(container.params_apart),
        "stored_bytes": container.stored,
        "sources": container.sources,
    }


def _group(column: Container) -> dict[str, Any]:
    """Which of the inputs and outputs belong together."""
    sides = {"inputs": column.inputs, "outputs": column.outputs}
    return {name: [tensor.name for tensor in side] for name, side in sides.items()} | {"batches": column.batches()}


def _program(content: bytes) -> dict[str, Any]:
    """What one program takes; cycles are the cost model's."""
    program = decode(content)
    ocm = next(region.size for region in program.regions if region.name == OCM)
    return {
        "batch": program.batch,
        "estimated_cycles": program.max_cycle,
        "clock_mhz": program.clock_mhz,
        "macs": program.macs,
        "jobs": len(program.jobs),
        "ocm_bytes": ocm,
        "ocm_peak": ocm_peak(program),
        "swap_bytes": program.region(SWAP).size,
        "ddr_bytes": ddr_traffic(program),
        "busy_cycles": busy_cycles(program),
    }


def _tensor(tensor: BoundaryTensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": type_of_dtype(tensor.dtype).name,
        "shape": tensor.shape,
        "batch_axis": tensor.batch_axis,
        "layout": tensor.layout,
        "color": tensor.color,
    }


def _taken(program: dict[str, Any]) -> str:
    milliseconds = program["estimated_cycles"] / program["clock_mhz"] / 1e3
    traffic = sum(program["ddr_bytes"].values())
    parts = [
        f"batch {program['batch']}: estimate {program['estimated_cycles']:,} cycles, {milliseconds:.3g} ms",
        f"{program['macs']:,} MACs",
        f"DDR {traffic:,} bytes",
        f"OCM {program['ocm_peak']:,} of {program['ocm_bytes']:,} bytes",
    ]
    return "; ".join(parts)


def _size(content: int, stored: int | None) -> str:
    """stored: bytes that it takes in the file, where it is compressed."""
    return f"{content:,} bytes" if stored is None else f"{content:,} bytes, {stored:,} in the file"


def _lines(found: dict[str, Any]) -> Iterable[str]:
    yield f"{found['file']}: {found['bytes']:,} bytes, {found['backend']}"
    yield f"chip        {found['target_hardware']} {found['npu_mode']}"
    yield f"batches     {', '.join(map(str, found['batches']))}"
    for kind in ("inputs", "outputs"):
        for number, tensor in enumerate(found[kind]):
            shape = "x".join("?" if size == FROM_DATA else str(size) for size in tensor["shape"])
            words = [tensor["name"], tensor["dtype"], shape, tensor["layout"], tensor["color"]]
            yield f"{'' if number else kind:<11} {' '.join(filter(None, words))}"
    groups = found["shape_groups"] if len(found["shape_groups"]) > 1 else []
    for number, group in enumerate(groups):
        ends = f"{', '.join(group['inputs'])} -> {', '.join(group['outputs'])}"
        yield f"{'' if number else 'groups':<11} {number}: {ends}"
    for number, subgraph in enumerate(found["subgraphs"]):
        ends = f"{', '.join(subgraph['inputs'])} -> {', '.join(subgraph['outputs'])}"
        yield f"{'' if number else 'subgraphs':<11} {subgraph['name']} on the {subgraph['place']}: {ends}"
        for name, size in subgraph["bytes"].items():
            yield f"{'':<11} {'':<4} {name} {_size(size, found['stored_bytes'].get(name))}"
        for program in subgraph["programs"]:
            yield f"{'':<11} {'':<4} {_taken(program)}"
    yield f"parameters  {_size(found['parameter_bytes'], found['stored_bytes'].get(PARAMS))}"
    if found["apart_parameter_bytes"]:
        yield f"  apart     {_size(found['apart_parameter_bytes'], found['stored_bytes'].get(PARAMS_APART))}"
    yield f"note        {found['note']}"
    for number, (name, digest) in enumerate(sorted(found["sources"].items())):
        yield f"{'' if number else 'made from':<11} {name} {digest}"
