"""`axbuild run`: a compiled model on files, simulated."""

from __future__ import annotations

from axbuild.workspace.verb import Argument, Verb

RUN = Verb(
    "run",
    "Run a compiled model on the simulated NPU, and show what it answers. A target is built first.",
    "./_running.py:run",
    (
        Argument("model", "A target such as //mobilenet:axmodel, or an .axmodel file."),
        Argument(
            "--input",
            "A picture, .npy or .bin file, or a folder of them; NAME=PATH where the model has several inputs.",
            many=True,
        ),
        Argument("--output_dir", "Where to write <sample>/<output>.npy; nothing is written without it.", default=""),
        Argument(
            "--batch_size",
            "Samples that run together, as the largest compiled batches that fit (9 as 4 + 4 + 1); 0 is the largest.",
            "number",
            default=0,
        ),
        Argument("--group_index", "Which of the model's sets of input shapes runs.", "number", default=0),
        Argument(
            "--layers",
            "Write what is inside the NPU's programs too, as codes, under the names of the quantised model.",
            "flag",
        ),
        Argument("--top", "How many of the largest values of an output to show.", "number", default=5),
        Argument("--json", "Print one JSON object, for programs.", "flag"),
    ),
)
