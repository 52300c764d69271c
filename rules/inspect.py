"""`axbuild inspect`: what stands in a model, compiled, quantised or float."""

from __future__ import annotations

from axbuild.workspace.verb import Argument, Verb

INSPECT = Verb(
    "inspect",
    "Show what a compiled or quantised model holds, or what a float model holds and becomes on each chip.",
    "./_inspecting.py:inspect",
    (
        Argument("file", "The .axmodel or .onnx file.", "file"),
        Argument("--json", "Print one JSON object, for programs.", "flag"),
        Argument("--chip", "Look at a float model for this chip alone.", default=""),
        Argument("--input_shapes", "An input's shape, NAME=SIZE,SIZE,..., where the model leaves it open.", many=True),
        Argument("--fix", "An input that always has one value, NAME=VALUE.", many=True),
        Argument("--inputs", "A tensor that the model begins at, in place of its own inputs.", many=True),
        Argument("--outputs", "A tensor that the model ends at, in place of its own outputs.", many=True),
        Argument("--rename", "Another name for an input or output, NAME=NEW.", many=True),
    ),
)
