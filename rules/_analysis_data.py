"""The data of a precision analysis: that of calibration, other sets of its form, or a folder of files of that form."""

from __future__ import annotations

import re
from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact, SourceFiles, as_tree
from axbuild.workspace.rule import Settled

from ._evaluation import evaluation_samples
from ._nouns import BoundSamples, QuantModel, Samples
from .samples import bind


def analysed_samples(t: Settled, plan: Plan, quant: QuantModel) -> dict[str, BoundSamples]:
    """By calibration key."""
    if t.input_sample_dir is None:
        return evaluation_samples(t, plan, quant)
    if t.samples:
        raise t.error("samples", "samples have no effect beside input_sample_dir")
    calibrated = {key: samples for key, samples in quant.samples.items() if key not in quant.state.values()}
    chosen = {key: Samples(_own(t, key, alone=len(calibrated) == 1), *_form(one)) for key, one in calibrated.items()}
    return bind(plan, quant.source, chosen, quant.state)


def _form(one: BoundSamples) -> tuple[Any, ...]:
    """What a set of the form of this one is, of all samples there are."""
    return one.format, -1, one.tensor_format, one.mean, one.std, one.tensor_layout


def _own(t: Settled, key: str, *, alone: bool) -> Artifact:
    """The files of one calibration key: all, or where there are several, those of the folder that is called so."""
    source: Artifact = t.input_sample_dir
    if alone or not isinstance(source, SourceFiles):
        return as_tree(source)
    folder = re.sub(r"[^A-Za-z0-9_-]", "_", key) + "/"
    files = tuple((name.removeprefix(folder), path) for name, path in source.files if name.startswith(folder))
    if not files:
        sentence = f"input_sample_dir has no folder '{folder}' with the samples of '{key}'"
        raise t.error("input_sample_dir", sentence, code="AX106")
    return SourceFiles(files, tree=True)
