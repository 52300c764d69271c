"""What `pulsar2 build` says of the back end: processors built in, each compilation, the fused file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from axbuild.errors import counted
from axbuild.report.pulsar2_tables import shape_of
from axbuild.report.story import Line, Products, each
from axbuild.toolchain.pulsar2.schema import BuildConfig, InputProcessorConfig

PARTITION, COMPILE, FUSE = "partition", "compile_subgraph", "fuse"
_ACTION = re.compile(r"split(?:_shape_(?P<group>\d+))?/compile_(?P<subgraph>.+)_b(?P<batch>\d+)")
_TYPES = {"float32": "FP32", "uint8": "U8", "int32": "S32", "int64": "S64", "bool": "BOOL"}
_GROUP = re.compile(r"_shape_(\d+)$")
_STAGES = {
    "tiling op": "operators",
    "build op": "tiles",
    "add ddr swap": "after_ddr_swap",
    "calc input dependencies": "dependencies",
}
"""what a line calls a count of `stages` in report.json"""


def processed(products: Products, config: BuildConfig) -> Iterator[Line]:
    """The operators that stand before and behind the model's own."""
    planned = products.json(products.ended(PARTITION)[0], "partition/", "partition.json")
    for tensor in planned["inputs"]:
        name, shape = tensor["name"], shape_of(tensor["shape"])
        yield Line(f"preprocess tensor [{name}]")
        yield Line(f"tensor: {name}, {shape}, {_type(tensor)}")
        processor = _processor(config.input_processors or (), name)
        operators = list(_before(processor, config, name, len(tensor["shape"]))) if processor else []
        for number, (operator, kind, attributes) in enumerate(operators):
            if number:
                yield Line(f"tensor: tensor:{operator}, {shape}, FP32")
            yield Line(f"op: op:{operator}, {kind}, {attributes}")
    for tensor in planned["outputs"]:
        yield Line(f"postprocess tensor [{tensor['name']}]")
        yield Line(f"tensor: {tensor['name']}, {shape_of(tensor['shape'])}, {_type(tensor)}")


def _before(p: InputProcessorConfig, config: BuildConfig, name: str, rank: int) -> Iterator[tuple[str, str, Any]]:
    """(name, type, attributes) of what stands in front of an input."""
    if p.csc_mode not in (None, "NoCSC"):
        yield "pre_csc_1", "AxColorSpaceConvert", {"csc_mode": p.csc_mode, "src_format": p.src_format}
    if p.src_dtype == "U8":
        yield "pre_dequant_1", "AxDequantizeLinear", {"scale": 1, "zero_point": 0, "output_dtype": "FP32"}
    mean, std = _normalisation(p, config, name)
    if any(mean) or any(one != 1 for one in std):
        axis = rank - 1 if p.src_layout == "NHWC" else 1
        yield "pre_norm_1", "AxNormalize", {"dim": axis, "mean": mean, "std": std}
    if p.src_layout == "NHWC" and p.tensor_layout == "NCHW" and rank == 4:
        yield "pre_transpose_1", "AxTranspose", {"perm": [0, 3, 1, 2]}
    if any(p.slicing or ()):
        yield "pre_slice_1", "Slice", {"slicing": list(p.slicing or ())}
    if any(p.padding or ()):
        yield "pre_pad_1", "Pad", {"padding": list(p.padding or ()), "value": p.padding_constant_value}


def _normalisation(p: InputProcessorConfig, config: BuildConfig, name: str) -> tuple[list[float], list[float]]:
    """What the processor says, and what calibration is told where it says nothing."""
    data = next((one for one in config.quant.input_configs or () if one.tensor_name in (name, "DEFAULT")), None)
    mean, std = p.mean, p.std
    if data is not None and data.calibration_format == "Image":
        mean = data.calibration_mean if mean is None else mean
        std = data.calibration_std if std is None else std
    return list(mean or ()), list(std or ())


def _processor(processors: tuple[InputProcessorConfig, ...], name: str) -> InputProcessorConfig | None:
    by_name = {one.tensor_name: one for one in processors}
    return by_name.get(name, by_name.get("DEFAULT"))


def _type(tensor: dict[str, Any]) -> str:
    return _TYPES.get(tensor["dtype"], str(tensor["dtype"]))


def transformed(products: Products) -> Iterator[Line]:
    """Each shape group becomes kinds in subgraphs."""
    for group in sorted(group_of(event.action) for event in products.ended(PARTITION)):
        yield Line(f"group {group} compiler transformation")


def compiled(products: Products) -> Iterator[Line]:
    """Each subgraph's compilation; cycles are estimates of the reference NPU."""
    found = [(*_place(event.action), report) for event, report in each(products, COMPILE, "report.json")]
    found.sort(key=lambda row: row[:3])
    least = min((batch for _, _, batch, _ in found), default=1)
    macs: dict[int, int] = {}
    for group, _, batch, report in found:
        macs[group] = macs.get(group, 0) + report["macs"] * (batch == least)
    yield from (Line(f"group {group} QuantAxModel macs: {count:,}") for group, count in macs.items())
    for group, subgraph in dict.fromkeys(row[:2] for row in found):
        yield Line(f"subgraph [{subgraph}], group: {group}, type: GraphType.NPU")
    for _, subgraph, batch, report in found:
        yield Line(f"compile npu subgraph [{subgraph}] b{batch}")
        yield from _back_end(report)
        yield Line(f"assemble model [{subgraph}] [subgraph_npu_{subgraph}] b{batch}")


def _back_end(report: dict[str, Any]) -> Iterator[Line]:
    """Counts of the compile report under the vendor's names: each is a count of its own, and what the vendor counts
    that has none here is left out."""
    yield from (Line(f"{name}... {report['stages'][key]:,}", "") for name, key in _STAGES.items())
    yield Line(f"assign eu... {counted(sum(map(bool, report['busy_cycles'].values())), 'engine')}", "")
    yield Line(f"max_cycle = {report['max_cycle']:,} (an estimate of the reference NPU)")
    yield Line(f"build jobs... {report['stages']['jobs']:,}", "")


def _place(action: str) -> tuple[int, int, int]:
    """(shape group, subgraph, batch) that a compilation's action is for."""
    found = _ACTION.fullmatch(action)
    assert found is not None, action
    return int(found["group"] or 0), int(found["subgraph"]), int(found["batch"])


def group_of(action: str) -> int:
    """The shape group that an action is for, by the end of its name."""
    found = _GROUP.search(action)
    return int(found[1]) if found else 0


def fused(products: Products) -> Iterator[Line]:
    places = [_place(event.action) for event in products.ended(COMPILE)]
    batches: dict[tuple[int, int], list[int]] = {}
    for group, subgraph, batch in sorted(places):
        batches.setdefault((group, subgraph), []).append(batch)
    for (_, subgraph), built in batches.items():
        if len(built) > 1:
            yield Line(f"graph [subgraph_npu_{subgraph}] batchs {built}", "WARNING")
    yield Line(f"fuse {len(batches)} subgraph(s)")
    yield from map(Line, products.notes(FUSE))
