"""The float operators that a quantised model says it stands for, where there is no float model."""

from __future__ import annotations

from pathlib import Path

from axbuild.toolchain.door import door
from axbuild.toolchain.npu.net import read_model
from axbuild.toolchain.npu.plan.quantised import PlanError
from axbuild.toolchain.quant.outline import NoOutlineError, write_outline
from axbuild.toolchain.quant.sound import sound_outline
from axbuild.toolchain.quant.verify import GraphFault


def outlined(model: Path, folder: Path) -> Path:
    """The new `folder` with the outline of quant_axmodel.onnx, as partition takes it; raises PlanError where the model
    holds none, or that of another one."""
    try:
        with door(lambda said: PlanError(said)):
            write_outline(sound_outline(read_model(model)), folder)
    except (NoOutlineError, GraphFault) as error:
        raise PlanError(error.sentence) from error
    return folder
