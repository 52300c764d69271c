"""`axbuild inspect`: what stands in a model, compiled or float."""

from __future__ import annotations

from axbuild.workspace.verb import Argument, Verb

INSPECT = Verb(
    "inspect",
    "Show what a compiled model holds, or what a float model holds and what would become of it on each chip.",
    "./_inspecting.py:inspect",
    (
        Argument("file", "The .axmodel or .onnx file.", "file"),
        Argument("--json", "Print one JSON object, for programs.", "flag"),
        Argument("--chip", "Look at a float model for this chip alone.", default=""),
        Argument("--shape", "An input's shape, NAME=SIZE,SIZE,..., where a float model leaves it open.", many=True),
        Argument("--fix", "An input of a float model that always has one value, NAME=VALUE.", many=True),
        Argument("--output", "A tensor that the float model is cut at, in place of its own outputs.", many=True),
    ),
)
