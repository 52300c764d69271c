"""Calibration data of a configuration as calibration sets, each with the colour order that its input has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from axbuild.toolchain.by_name import DEFAULT
from axbuild.toolchain.pulsar2.mapped import MappedFields, PlacedTable
from axbuild.toolchain.pulsar2.schema import BuildConfig, InputQuantConfig

AUTO = "AutoColorSpace"


class PictureForm(NamedTuple):
    """How an input takes pictures: tensor_format, and tensor_layout."""

    order: str = AUTO
    layout: str = "NCHW"


@dataclass(frozen=True)
class Calibration:
    """sets: a table each. labels: the one set, or the set of each input by name. formats: inputs whose colour order
    stands in their set; DEFAULT where that of every input does."""

    sets: list[PlacedTable]
    labels: str | dict[str, str]
    formats: frozenset[str | None]


def calibration_of(config: BuildConfig, quant: MappedFields, name: str) -> Calibration:
    """quant: where the entries are taken from."""
    quant.take("input_configs")
    entries = {str(entry.tensor_name): entry for entry in config.quant.input_configs or ()}
    if not entries:
        raise quant.refusal("input_configs", "is empty: a model is quantised with calibration data")
    forms = _forms(config, entries)
    names = list(forms)
    alone = len(names) == 1
    targets = dict(zip(names, [f"{name}_calib"] if alone else _target_names(f"{name}_calib", names), strict=True))
    sets = [
        {"name": target} | _calibration_set(entries.get(input_) or entries[DEFAULT], forms[input_])
        for input_, target in targets.items()
    ]
    labels = {input_: f":{target}" for input_, target in targets.items()}
    written: set[str | None] = {input_ for input_, made in zip(names, sets, strict=True) if "tensor_format" in made}
    if len(written) == len(names):
        written |= {DEFAULT, *(str(one.tensor_name) for one in config.input_processors or ())}
    return Calibration(sets, labels[DEFAULT] if names == [DEFAULT] else labels, frozenset(written))


def _forms(config: BuildConfig, entries: dict[str, InputQuantConfig]) -> dict[str, PictureForm]:
    """Input -> its form, one entry a set: those of the data, and inputs of DEFAULT's data whose form is another."""
    said = {
        str(one.tensor_name): PictureForm(one.tensor_format or AUTO, one.tensor_layout or "NCHW")
        for one in config.input_processors or ()
    }
    common = said.get(DEFAULT, PictureForm())
    apart = {name: form for name, form in said.items() if name not in entries and DEFAULT in entries}
    if DEFAULT not in said and len({*apart.values()}) == 1:
        common = next(iter(apart.values()))
    forms = {name: said.get(name, common) for name in entries}
    return forms | {name: form for name, form in apart.items() if form not in (common, PictureForm())}


def _target_names(stem: str, inputs: list[str]) -> list[str]:
    """Of each input, its name as far as a target's may hold it."""
    names: list[str] = []
    for input_ in inputs:
        name = f"{stem}_{re.sub(r'[^A-Za-z0-9_.+-]', '_', input_)}" if input_ != DEFAULT else stem
        names.append(name if name not in names else f"{name}_{len(names)}")
    return names


def _calibration_set(entry: InputQuantConfig, form: PictureForm) -> PlacedTable:
    fields = MappedFields(entry, "quant.input_configs")
    fields.take("tensor_name")
    found = fields.copy(src="calibration_dataset", format="calibration_format", size="calibration_size")
    if found.get("format", "Image") == "Image":
        found |= fields.copy(mean="calibration_mean", std="calibration_std")
        found |= {} if form.order == AUTO else {"tensor_format": form.order}
        found |= {} if form.layout == "NCHW" else {"tensor_layout": form.layout}
    return found
