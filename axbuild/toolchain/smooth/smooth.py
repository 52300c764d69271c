"""Stage: the pairs of a float model whose outliers weights can take over, and the model with all of them scaled."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxNote
from axbuild.toolchain.frontend.light import from_graph
from axbuild.toolchain.frontend.save import save
from axbuild.toolchain.graph import OPERATORS_FILE, model_file
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.quant.watch import watched
from axbuild.toolchain.quant.watched import FORMAT
from axbuild.toolchain.smooth.outliers import outliers, table
from axbuild.toolchain.smooth.pairs import pairs_of, write_pairs
from axbuild.toolchain.smooth.scale import scale, touched

TITLE = "Enable Smooth Quant, this pass is used for outlier activation."
SHOWN = 8
"""rows of the table on the screen"""


@dataclass(frozen=True)
class SmoothParams:
    """threshold: evenness up to which a tensor is smoothed; strength: the activations' part of a factor's exponent."""

    threshold: float
    strength: float


def smooth(model: Path, statistics: Path, out: Path, *, params: SmoothParams) -> None:
    """Write `smoothed/` as the front end writes a model, `watch.json` of its tensors that have new values,
    `pairs.json` and `outliers.txt`."""
    whole = ir.load(model_file(model))
    known = Statistics.read(statistics)
    pairs = pairs_of(whole.graph, known, params.threshold, params.strength)
    new = touched(scale(whole.graph, pairs))
    rows = [asdict(row) for row in watched(whole.graph) if row.name in new]
    text = json.dumps({"format": FORMAT, "tensors": rows}, indent=1, sort_keys=True)
    (out / "watch.json").write_text(text + "\n", encoding="utf-8")
    write_pairs(pairs, out / "pairs.json")
    write_model(whole, out / "smoothed")
    found = outliers(known)
    (out / "outliers.txt").write_text("\n".join(table(found)) + "\n", encoding="utf-8")
    for line in (TITLE, *table(found[:SHOWN])):
        warnings.warn(AxNote(line), stacklevel=1)


def write_model(model: ir.Model, folder: Path) -> None:
    """As the front end writes a float model; it is used up."""
    operators = Counter(node.op_type for node in model.graph)
    save(from_graph(model), folder)
    (folder / OPERATORS_FILE).write_text(json.dumps(operators, indent=1, sort_keys=True) + "\n", encoding="utf-8")
