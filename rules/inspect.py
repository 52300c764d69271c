"""`axbuild inspect`: what stands in a compiled model."""

from __future__ import annotations

from axbuild.workspace.verb import Argument, Verb

INSPECT = Verb(
    "inspect",
    "Show what a compiled model holds: inputs, outputs, batches, subgraphs, sizes.",
    "axbuild.toolchain.axmodel.inspect:inspect",
    (
        Argument("file", "The .axmodel file.", "file"),
        Argument("--json", "Print one JSON object, for programs.", "flag"),
    ),
)
