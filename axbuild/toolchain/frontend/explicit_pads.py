"""Windows say where they stand in numbers."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite, attributes
from axbuild.toolchain.graph import integers, needed_input, shape_of, text


class ExplicitPads(Rewrite[tuple[int, ...]]):
    """Conv(x; auto_pad) -> Conv(x; pads): SAME_UPPER puts the odd pixel at the end, SAME_LOWER at the start

    MaxPool and AveragePool likewise (ONNX, operator Conv: total = (ceil(size / stride) - 1) stride + window - size).
    """

    op = ("Conv", "MaxPool", "AveragePool")

    def match(self, node: ir.Node) -> tuple[int, ...] | NoMatch:
        mode = text(node, "auto_pad", "NOTSET")
        if mode == "NOTSET":
            return NoMatch(f"{node.op_type} has explicit pads")
        sizes = shape_of(needed_input(node, 0))[2:]
        if mode == "VALID":
            return (0,) * (2 * len(sizes))
        kernel = shape_of(needed_input(node, 1))[2:] if node.op_type == "Conv" else integers(node, "kernel_shape", ())
        ones = (1,) * len(sizes)
        totals = [
            max(0, ((size + stride - 1) // stride - 1) * stride + (window - 1) * dilation + 1 - size)
            for size, stride, window, dilation in zip(
                sizes, integers(node, "strides", ones), kernel, integers(node, "dilations", ones), strict=True
            )
        ]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        return tuple(small + large if mode == "SAME_UPPER" else large + small)

    def replace(self, node: ir.Node, found: tuple[int, ...], edit: Edit) -> ir.Value:
        kept = {name: item for name, item in attributes(node).items() if name not in ("auto_pad", "pads")}
        settled = kept | {"pads": list(found)}
        return edit.insert(node, node.op_type, list(node.inputs), settled, origins=(node,))
