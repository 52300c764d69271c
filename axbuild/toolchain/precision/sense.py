"""Stage: what each source of a quantised model's error does to the outputs, it alone being there.

Rounded values are those of the scheme; rounded weights are told by the same model with all values in 16 bits.
`sources.json`: {"format", "samples", "outputs": names, "sources": [{"tensors", "values", "weight", "shares": noise over
signal of each output}]}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.precision.error_sums import rounded
from axbuild.toolchain.precision.side import Tensors
from axbuild.toolchain.precision.sources import ErrorSource, RoundedTensors, sources_of
from axbuild.toolchain.precision.spread import ErrorSpread
from axbuild.toolchain.precision.suffixes import FloatCut
from axbuild.toolchain.precision.trial import Bench
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.lowered import lowered
from axbuild.toolchain.quant.scheme import Scheme

FILE, FORMAT = "sources.json", "axbuild-sources/1"

SAMPLES = 2
"""those where the model is farthest off tell large effects from small ones; what is chosen is measured on more"""


@dataclass(frozen=True)
class SenseParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]


@dataclass(frozen=True)
class SensedSource:
    """shares: noise over signal of each output of the model."""

    source: ErrorSource
    shares: tuple[float, ...]


def sense(model: Path, scheme: Path, wide: Path, samples: list[Path], out: Path, *, params: SenseParams) -> None:
    """scheme: as calibrated; wide: the same with all values in 16 bits. Writes sources.json."""
    graph, chosen = ir.load(model_file(model)).graph, Scheme.read(scheme)
    bench = Bench(model, samples, params.inputs)
    farthest = bench.tried(model_with(graph, lowered(graph, chosen))).worst(SAMPLES)
    found = sources_of(graph, chosen)
    models = ExposedModels(model, model_with(graph, lowered(graph, Scheme.read(wide))))
    known = {models.places.tensors[name]: name for names in models.places.passed.values() for name in names}
    sources = [source for source in found.sources if not source.weight or known.keys() >= {*source.tensors}]
    named = {str(number): source for number, source in enumerate(sources)}
    spread = ErrorSpread(FloatCut(model), {key: source.tensors for key, source in named.items()})
    models.expose([*spread.before, *(name for source in sources for name in source.tensors)])
    for number in farthest:
        exact = models.float_values(bench.feeds[number])
        alone = models.alone_reals(exact)
        wrong = {tensor: alone[name] for tensor, name in known.items() if name in alone}
        spread.add(exact, partial(_instead, named, found, exact, wrong))
    rows = [asdict(source) | {"shares": spread.share(key)} for key, source in named.items()]
    content = {"format": FORMAT, "samples": len(farthest), "outputs": spread.outputs, "sources": rows}
    (out / FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _instead(
    named: Mapping[str, ErrorSource], found: RoundedTensors, exact: Tensors, wrong: Tensors, key: str
) -> Tensors:
    source = named[key]
    if source.weight:
        return {name: wrong[name] for name in source.tensors}
    return {name: rounded(exact[name], found.grids[name]) for name in source.tensors}


def read_sources(file: Path) -> list[SensedSource]:
    rows = json.loads(file.read_text(encoding="utf-8"))["sources"]
    return [
        SensedSource(ErrorSource(tuple(row["tensors"]), tuple(row["values"]), row["weight"]), tuple(row["shares"]))
        for row in rows
    ]
