"""What a float model holds and what becomes of it, or a quantised one by layers: `axbuild inspect MODEL.onnx`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from axbuild.errors import counted, visible
from axbuild.report.build_file import toml_text, toml_value

_WIDTH = 11
"""columns of the words at the left"""
_LINE = 120
"""columns of a list that goes on over several lines"""
_NAME = 48
"""columns of a node's name: exporters write paths of hundreds, whose ends tell them apart; --json has them whole"""


def outlook_lines(name: str, size: int, found: Mapping[str, Any]) -> list[str]:
    """found: the facts, and where the front end took the model the outlook and the lines of a BUILD file."""
    return [visible(line) for line in _lines(name, size, found)]


def _lines(name: str, size: int, found: Mapping[str, Any]) -> Iterator[str]:
    opsets = ", ".join(f"{domain} {version}" for domain, version in found["opsets"].items())
    by = f", by {found['producer']}" if found["producer"] else ""
    yield f"{name}: {size:,} bytes, opset {opsets}, IR version {found['ir_version']}{by}"
    for kind in ("inputs", "outputs"):
        yield from _column(kind, [_tensor(tensor) for tensor in found[kind]])
    yield from _column("parameters", [f"{found['parameters']:,}"])
    yield from _column("operators", _counts(found["operators"]))
    if "layers" in found:
        yield from _column("weights", _weights(found["layers"]))
        yield from _column("layers", [_layer(layer) for layer in found["layers"]])
    if "rows" not in found:
        return
    yield from _column("optimised", [f"{found['nodes']} nodes, {found['macs']:,} multiply-accumulates"])
    left_out = [row for row in found["rows"] if row["becomes"] == "a constant"]
    yield from _column("becomes", [_row(row, found["chips"]) for row in found["rows"] if row not in left_out])
    yield from _column("left out", _left_out(left_out))
    yield from _column("notes", found["notes"])
    yield ""
    yield f"To start with, in BUILD.toml beside {name}:"
    yield ""
    yield from found["build"].splitlines()


def _column(word: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{'' if number else word:<{_WIDTH}} {line}"


def _weights(layers: list[Mapping[str, Any]]) -> list[str]:
    """`60,000 in S8, of 17 layers`"""
    held = [layer for layer in layers if layer["weight"]]
    rows = []
    for kind in dict.fromkeys(layer["weight"] for layer in held):
        own = [layer["weights"] for layer in held if layer["weight"] == kind]
        rows.append(f"{sum(own):,} in {kind}, of {counted(len(own), 'layer')}")
    return rows


def _layer(layer: Mapping[str, Any]) -> str:
    """`AxQuantizedConv 'conv1' makes 'relu1': U8 -> U8, weights S8`"""
    made = ", ".join(f"'{_shortened(name)}'" for name in layer["outputs"])
    name = f"{layer['operator']} '{_shortened(layer['name'])}' makes {made}"
    types = f"{', '.join(layer['reads'])} -> {layer['writes']}" if layer["writes"] else "in float"
    return f"{name}: {types}{', weights ' + layer['weight'] if layer['weight'] else ''}"


def _tensor(tensor: Mapping[str, Any]) -> str:
    return f"{tensor['name']} {tensor['dtype']} [{', '.join(map(str, tensor['shape']))}]"


def _row(row: Mapping[str, Any], chips: list[str]) -> str:
    """`Relu x35 ('a', 'b', ...): part of Conv, NPU`"""
    more = ", ..." if row["count"] > len(row["nodes"]) else ""
    names = ", ".join(f"'{_shortened(name)}'" for name in row["nodes"])
    parts = [row["becomes"], *_places(row["on_cpu"], chips)]
    return f"{row['operator']} x{row['count']} ({names}{more}): {', '.join(filter(None, parts))}"


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"...{name[3 - _NAME :]}"


def _left_out(rows: list[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    counts = _counts({row["operator"]: row["count"] for row in rows})
    return [*counts[:-1], f"{counts[-1]}: constant, cut off, or without effect"]


def _counts(operators: Mapping[str, int]) -> list[str]:
    """`Conv 52, Relu 35, ...` in lines, no operator apart from its count."""
    lines = wrap(", ".join(f"{op}\0{count}" for op, count in operators.items()), _LINE - _WIDTH - 1)
    return [line.replace("\0", " ") for line in lines]


def _places(on_cpu: Mapping[str, str], chips: list[str]) -> Iterator[str]:
    if len(on_cpu) < len(chips):
        yield "NPU"
    by_reason: dict[str, list[str]] = {}
    for chip, reason in on_cpu.items():
        by_reason.setdefault(reason, []).append(chip)
    for reason, those in by_reason.items():
        where = "" if len(those) == len(chips) else f" on {', '.join(those)}"
        yield f"CPU{where}: {reason}"


# The BUILD file -----------------------------------------------------------------------------------------------------


def build_lines(file: str, inputs: list[Mapping[str, Any]], ends: Mapping[str, Any], chip: str) -> str:
    """A package for the model: float model, a calibration set an input, quantised model, axmodel, check.

    inputs: the optimised model's; ends: what was asked for, by attribute of the float model.
    """
    sets = {one["name"]: f"calib_{number}" if len(inputs) > 1 else "calib" for number, one in enumerate(inputs)}
    labels = {name: f":{target}" for name, target in sets.items()}
    source = [f"src = {toml_text(file)}", *(f"{name} = {toml_value(value)}" for name, value in ends.items())]
    tables = [
        ("float_model", "float", source),
        *(("calibration_set", sets[one["name"]], _samples(sets[one["name"]], one)) for one in inputs),
        ("quant_model", "quant", ['model = ":float"', f"calibration = {toml_value(labels)}"]),
        ("axmodel", "axmodel", ['quant = ":quant"', f"target_hardware = {toml_text(chip)}"]),
        ("check", "check", ['axmodel = ":axmodel"', 'level = "equal"']),
    ]
    return "\n".join("\n".join([f"[[{rule}]]", f'name = "{name}"', *lines, ""]) for rule, name, lines in tables)


_CHANNELS = {1: "GRAY", 3: "BGR"}


def _samples(target: str, tensor: Mapping[str, Any]) -> list[str]:
    shape = tensor["shape"]
    if tensor["dtype"] == "float32" and len(shape) == 4 and shape[1] in _CHANNELS:
        order = f'tensor_format = "{_CHANNELS[shape[1]]}"'
        return [
            f'src = "{target}/*.png"',
            order,
            "mean = [127.5]",
            "std = [127.5]  # put in what the model was trained with",
        ]
    return [f'src = "{target}/*.npy"  # arrays of {tensor["dtype"]} {shape}', 'format = "Numpy"']
