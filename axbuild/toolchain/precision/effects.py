"""Stage: what the error of each layer, it alone being quantised, does to the outputs of the float model.

All layers are tried on the first sample, where their errors are taken apart too, and on the others those that did most
there.

`effects.json`: {"format", "samples", "outputs": names, "layers": {head of the fused node: a LayerEffect}}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import onnx

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.precision.feeds import feeds
from axbuild.toolchain.precision.parts import ErrorParts, PartsMeter
from axbuild.toolchain.precision.spread import ErrorSpread
from axbuild.toolchain.precision.suffixes import FloatCut

FILE, FORMAT = "effects.json", "axbuild-effects/1"


SAMPLES, WORST = 4, 8
"""on so many samples so many layers are tried"""


WHOLE = ErrorParts(1.0, 0.0, 0.0)
"""of a layer whose error is not taken apart"""


class EffectsError(AxError):
    """AX473: a file of effects that is damaged or of another format."""

    code = "AX473"


@dataclass(frozen=True)
class EffectsParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]


@dataclass(frozen=True)
class LayerEffect:
    """outputs: noise over signal of each output of the model. parts: what the layer's own error is made of. readers:
    heads of those that compute with what it writes."""

    outputs: tuple[float, ...]
    parts: ErrorParts
    readers: tuple[str, ...]

    @property
    def worst(self) -> float:
        return max(self.outputs, default=0.0)


@dataclass(frozen=True)
class Effects:
    """layers: by the head of the fused node."""

    samples: int
    outputs: tuple[str, ...]
    layers: Mapping[str, LayerEffect]

    @staticmethod
    def read(file: Path) -> Effects:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise EffectsError(f"the effects are not of the format {FORMAT}")
        rows = content["layers"].items()
        layers = {
            name: LayerEffect(tuple(row["outputs"]), ErrorParts(**row["parts"]), tuple(row["readers"]))
            for name, row in rows
        }
        return Effects(content["samples"], tuple(content["outputs"]), layers)


def effects(model: Path, quantised: Path, samples: list[Path], out: Path, *, params: EffectsParams) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx. Writes effects.json."""
    models = ExposedModels(model, onnx.load(quantised))
    layers, places = layers_of(models), models.places
    spread = ErrorSpread(
        FloatCut(model), {site: [places.tensors[name] for name in names] for site, names in layers.items()}
    )
    models.expose(spread.before)
    meter = PartsMeter(models, layers)
    count = 0
    for _, feed in islice(feeds(models.inputs, samples, params.inputs), SAMPLES):
        exact = models.float_values(feed)
        alone = models.alone_reals(exact)
        instead = {site: {places.tensors[name]: alone[name] for name in names} for site, names in layers.items()}
        if not count:
            meter.add(exact, alone)
        spread.add(exact, instead.__getitem__, spread.worst(WORST) if count else None)
        count += 1
    parts = meter.parts()
    rows = {
        site: asdict(LayerEffect(tuple(spread.share(site)), parts.get(site, WHOLE), tuple(places.readers(names[0]))))
        for site, names in layers.items()
    }
    content = {"format": FORMAT, "samples": count, "outputs": spread.outputs, "layers": rows}
    (out / FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def layers_of(models: ExposedModels) -> dict[str, tuple[str, ...]]:
    """Fused nodes that round something -> the tensors of the quantised model that they write for others."""
    measured, places = set(models.edges), models.places
    found = {site: tuple(filter(measured.__contains__, names)) for site, names in places.passed.items()}
    return {site: names for site, names in found.items() if names and site not in places.movers}
