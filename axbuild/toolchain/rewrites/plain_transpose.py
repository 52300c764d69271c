"""Transposed convolutions in the form that every chip takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_input, integers, is_activation, needed_input, shape_of, text
from axbuild.toolchain.rewrites.affine import order_of_sums
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes


@dataclass(frozen=True)
class PlainForm:
    """weight: as the node has it, grown by zeros; pads: of the spatial axes, all begins first."""

    weight: Array
    pads: tuple[int, ...]


class PlainTranspose(Rewrite[PlainForm]):
    """ConvTranspose(x, w; auto_pad, output_shape, output_padding, dilations) -> ConvTranspose(x, w'; pads)

    w' is w with zeros between its elements for dilations, and behind them for as many elements of the output as lie
    beyond the last product.
    """

    op = ("ConvTranspose",)

    def match(self, node: ir.Node) -> PlainForm | NoMatch:
        weight = constant_input(node, 1)
        if weight is None or is_activation(node.inputs[2] if len(node.inputs) > 2 else None):
            return NoMatch("ConvTranspose weights are not constant")
        if is_plain(node):
            return NoMatch("ConvTranspose has plain pads")
        sizes, out = shape_of(needed_input(node, 0))[2:], shape_of(node.outputs[0])[2:]
        if len(out) != len(sizes):
            return NoMatch("the output_shape of ConvTranspose is smaller than its input")
        strides, dilations = (integers(node, name, (1,) * len(out)) for name in ("strides", "dilations"))
        kernel = [(size - 1) * dilation + 1 for size, dilation in zip(weight.shape[2:], dilations, strict=True)]
        full = [stride * (size - 1) + width for stride, size, width in zip(strides, sizes, kernel, strict=True)]
        begins = _begins(node, full, out)
        more = [max(0, end + begin - whole) for end, begin, whole in zip(out, begins, full, strict=True)]
        ends = [w + m - b - o for w, m, b, o in zip(full, more, begins, out, strict=True)]
        grown = np.zeros((*weight.shape[:2], *(a + b for a, b in zip(kernel, more, strict=True))), weight.dtype)
        places = [slice(0, width, dilation) for width, dilation in zip(kernel, dilations, strict=True)]
        grown[(slice(None), slice(None), *places)] = weight
        return PlainForm(grown, (*begins, *ends))

    def replace(self, node: ir.Node, found: PlainForm, steps: Steps) -> ir.Value:
        gone = ("auto_pad", "output_shape", "output_padding", "dilations", "pads")
        kept = {name: item for name, item in attributes(node).items() if name not in gone}
        settled = {**kept, "pads": list(found.pads), "kernel_shape": list(found.weight.shape[2:])}
        weight = steps.constant(found.weight, "weight")
        inputs = [node.inputs[0], weight, *node.inputs[2:]]
        return steps.insert("ConvTranspose", inputs, settled)

    def rounding(self, node: ir.Node, found: PlainForm) -> Rounding:
        return order_of_sums(node, needed_input(node, 0))


def is_plain(node: ir.Node) -> bool:
    """Whether every chip takes a ConvTranspose as it is."""
    spatial = len(shape_of(node.outputs[0])) - 2
    ends = integers(node, "pads", (0,) * 2 * spatial)[spatial:]
    padding = integers(node, "output_padding", (0,) * spatial)
    plain = text(node, "auto_pad", "NOTSET") == "NOTSET" and "output_shape" not in node.attributes
    fits = all(extra <= end for extra, end in zip(padding, ends, strict=True))
    return plain and fits and set(integers(node, "dilations", ())) <= {1}


def _begins(node: ir.Node, full: list[int], out: tuple[int, ...]) -> list[int]:
    """Pads before the first element. ONNX, ConvTranspose: what is cut off in all, less where the odd one goes."""
    mode = text(node, "auto_pad", "NOTSET")
    if mode == "VALID" or (mode == "NOTSET" and "output_shape" not in node.attributes):
        return list(integers(node, "pads", (0,) * 2 * len(out))[: len(out)])
    padding = integers(node, "output_padding", (0,) * len(out))
    totals = [max(0, whole + extra - end) for whole, extra, end in zip(full, padding, out, strict=True)]
    return [total // 2 if mode == "SAME_UPPER" else total - total // 2 for total in totals]
