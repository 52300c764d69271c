"""The page of operators: what each one is, and which of its forms can be quantised."""

from __future__ import annotations


def operators() -> str:
    """A row an operator, from the registry of the model wing; imports it, which takes a while."""
    from axbuild.toolchain.ops.registry import OPS

    lines = [
        "# Operators",
        "",
        "Generated from the operators by `make docs`. A model that holds another operator, or a form of one that its",
        "conditions leave out, is refused before observation starts, with the node's name and the sentence below. What",
        "the front end fuses or rewrites, such as BatchNormalization behind a convolution, does not get that far.",
        "",
        "| operator | computes | conditions |",
        "| --- | --- | --- |",
    ]
    for name, op in sorted(OPS.items()):
        about = " ".join((op.__doc__ or "").split())
        conditions = "; ".join(limit.sentence for limit in op.limits) or "none"
        cells = [f"[{name}](https://onnx.ai/onnx/operators/onnx__{name}.html)", about, conditions]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
