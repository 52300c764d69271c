"""Which settings of `pulsar2 run` are for which sort of model: one that would change the result unseen is an error."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from axbuild.errors import AxError, AxWarning
from axbuild.toolchain.axmodel.read import container_of
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.npu.chips.table import ChipFile
from axbuild.toolchain.plain_file import read_plain
from axbuild.toolchain.pulsar2.backend import compiled
from axbuild.toolchain.pulsar2.run_model import COMPILED, QUANTISED, CompiledRun, OnnxRun, RunModel, model_in, sort_of
from axbuild.toolchain.pulsar2.run_schema import NPU_BACKEND, RunConfig

NO_EFFECT = "AX576"


class RunSettingError(AxError):
    """AX570: a setting that is missing, or that asks of a model what its sort does not do."""

    code = "AX570"


def opened(asked: RunConfig, chips: Mapping[str, ChipFile]) -> RunModel:
    """The model that `asked` names, ready to run as it says; warns of what has no effect on it.

    chips: name -> chip, for NPUBackend. Raises RunSettingError, and what reading and compiling a model raise.
    """
    file = required(asked, "model")
    try:
        content = read_plain(file)
    except OSError as error:
        raise RunSettingError(f"the model {file} cannot be read: {error.strerror}") from None
    model = model_in(content, file.name)
    sort = sort_of(model)
    layers = bool(asked.enable_perlayer_output)
    if sort == COMPILED:
        session = InferenceSession(container_of(model, file.name), file.name)
        _check_compiled(asked, session.source.target_hardware, chips)
        return CompiledRun(session, asked.group_index or 0, asked.batch_size or 0, layers=layers)
    _check_single(asked, sort)
    if sort == QUANTISED and asked.mode == NPU_BACKEND:
        session = InferenceSession(compiled(file, _chip(asked, chips)))
        return CompiledRun(session, 0, 1, layers=layers)
    return OnnxRun(file, content, model, layers=layers)


def required(asked: RunConfig, name: str) -> Path:
    """A path that every run needs."""
    if (path := optional(asked, name)) is None:
        raise RunSettingError(f"--{name} is missing", hint=f"give --{name}, or {name} in the file of --config")
    return path


def optional(asked: RunConfig, name: str) -> Path | None:
    """A path; None where there is none, or an empty one."""
    value = getattr(asked, name)
    if "\0" in (value or ""):
        raise RunSettingError(f"{name} holds a zero byte, and no path does")
    return Path(value) if value else None


def _check_compiled(asked: RunConfig, own: str, chips: Mapping[str, ChipFile]) -> None:
    if asked.mode is not None:
        _warn(f"mode {asked.mode} has no effect: {COMPILED} is simulated on the NPU")
    if asked.target_hardware is not None and _chip(asked, chips).name != own:
        raise RunSettingError(
            f"target_hardware is {asked.target_hardware}, and the model was compiled for {own}",
            hint="leave target_hardware out; it is for quantised models",
        )


def _check_single(asked: RunConfig, sort: str) -> None:
    """Of a model that onnxruntime runs, or that is compiled for one run."""
    if (asked.batch_size or 0) > 1:
        raise RunSettingError(f"batch_size is {asked.batch_size}, and {sort} runs what its inputs say, once")
    if asked.group_index:
        raise RunSettingError(f"group_index is {asked.group_index}, and {sort} has no shape groups")
    if sort != QUANTISED and asked.mode == NPU_BACKEND:
        raise RunSettingError(
            f"mode is {NPU_BACKEND}, and {sort} has no codes that an NPU computes with",
            hint="quantise it first, and run its quant_axmodel.onnx",
        )
    if sort != QUANTISED and asked.mode is not None:
        _warn(f"mode {asked.mode} has no effect on {sort}")
    if asked.target_hardware is not None and asked.mode != NPU_BACKEND:
        _warn(f"target_hardware {asked.target_hardware} has no effect without mode {NPU_BACKEND}")


def _chip(asked: RunConfig, chips: Mapping[str, ChipFile]) -> ChipFile:
    name = asked.target_hardware or "AX650"
    if name not in chips:
        raise RunSettingError(f"there is no chip '{name}'", hint=f"known: {', '.join(chips)}")
    return chips[name]


def _warn(sentence: str) -> None:
    warnings.warn(AxWarning(NO_EFFECT, sentence), stacklevel=3)
