"""Windows say where they stand in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx
import onnx_ir as ir
from onnx import NodeProto

from axbuild.toolchain.graph import Shape, integers, needed_input, shape_of, text
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes


class ExplicitPads(Rewrite[tuple[int, ...]]):
    """Conv(x; auto_pad) -> Conv(x; pads): SAME_UPPER puts the odd pixel at the end, SAME_LOWER at the start

    MaxPool and AveragePool likewise.
    """

    op = ("Conv", "MaxPool", "AveragePool")

    def match(self, node: ir.Node) -> tuple[int, ...] | NoMatch:
        mode = text(node, "auto_pad", "NOTSET")
        if mode == "NOTSET":
            return NoMatch(f"{node.op_type} has explicit pads")
        sizes = shape_of(needed_input(node, 0))[2:]
        window = shape_of(needed_input(node, 1))[2:] if node.op_type == "Conv" else integers(node, "kernel_shape", ())
        ones = (1,) * len(sizes)
        return pads_of(mode, sizes, window, integers(node, "strides", ones), integers(node, "dilations", ones))

    def replace(self, node: ir.Node, found: tuple[int, ...], steps: Steps) -> ir.Value:
        kept = {name: item for name, item in attributes(node).items() if name not in ("auto_pad", "pads")}
        settled = kept | {"pads": list(found)}
        return steps.insert(node.op_type, list(node.inputs), settled)


def pads_of(
    mode: str, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """Pads of the spatial axes, all begins first.

    ONNX, operator Conv: total = (ceil(size / stride) - 1) stride + (window - 1) dilation + 1 - size, at least 0.
    """
    if mode == "VALID":
        return (0,) * (2 * len(sizes))
    totals = [
        max(0, ((size + stride - 1) // stride - 1) * stride + (width - 1) * dilation + 1 - size)
        for size, stride, width, dilation in zip(sizes, strides, window, dilations, strict=True)
    ]
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return tuple(small + large if mode == "SAME_UPPER" else large + small)


def state_dilated_pads(nodes: Iterable[NodeProto], known: Mapping[str, Shape]) -> None:
    """Write the pads of dilated windows out in numbers: onnxruntime does not run them otherwise.

    known: the shapes of tensors by name.
    """
    for node in nodes:
        given = {item.name: item for item in node.attribute}
        mode = given["auto_pad"].s.decode() if "auto_pad" in given else "NOTSET"
        dilations = list(given["dilations"].ints) if "dilations" in given else []
        if node.op_type not in ExplicitPads.op or mode not in ("SAME_UPPER", "SAME_LOWER") or set(dilations) <= {1}:
            continue
        read = node.input[:2] if node.op_type == "Conv" else node.input[:1]
        if any(name not in known for name in read):
            continue
        sizes = known[node.input[0]][2:]
        window = known[node.input[1]][2:] if node.op_type == "Conv" else given["kernel_shape"].ints
        strides = list(given["strides"].ints) if "strides" in given else [1] * len(sizes)
        pads = pads_of(mode, sizes, window, strides, dilations)
        for name in {"auto_pad", "pads"} & given.keys():
            node.attribute.remove(given[name])
        node.attribute.append(onnx.helper.make_attribute("pads", pads))
