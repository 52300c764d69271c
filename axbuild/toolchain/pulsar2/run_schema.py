"""The settings of `pulsar2 run`, declared as those of a build are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from axbuild.toolchain.pulsar2 import enums
from axbuild.toolchain.pulsar2.message import Message, setting
from axbuild.toolchain.pulsar2.takes import Text, Toggle, Whole, Word

REFERENCE, NPU_BACKEND = enums.PRECISION_ANALYSIS_MODE
LARGEST_BATCH = 1 << 16


def _flag(*declared: Any, **more: Any) -> Any:
    return setting(*declared, flag=True, **more)


@dataclass(frozen=True, kw_only=True)
class RunConfig(Message):
    """A run of a model on raw files."""

    model: str | None = _flag(Text(), 1, "The model: compiled, quantised (quant_axmodel.onnx), or ONNX.", required=True)
    input_dir: str | None = _flag(Text(), 2, "Folder of the inputs, a file <name>.bin each.", required=True)
    output_dir: str | None = _flag(Text(), 3, "Folder for the outputs, named alike.", required=True)
    list: str | None = _flag(
        Text(), 4, "File whose lines are folders below input_dir and output_dir, a run each.", default=""
    )
    random_input: bool | None = _flag(Toggle(), 5, "Write made-up inputs into input_dir first.", default=False)
    batch_size: int | None = _flag(
        Whole(low=0, high=LARGEST_BATCH),
        6,
        "Samples that a file of a compiled model holds; 0 is its largest batch.",
        default=0,
    )
    enable_perlayer_output: bool | None = _flag(Toggle(), 7, "Write inner tensors too.", default=False)
    mode: str | None = _flag(
        Word(enums.PRECISION_ANALYSIS_MODE),
        8,
        "How a quantised model runs: by its exact definition, or compiled and simulated.",
        default=REFERENCE,
    )
    target_hardware: str | None = _flag(
        Word(enums.HARDWARE_TYPE), 9, "The chip that NPUBackend compiles a quantised model for.", default="AX650"
    )
    group_index: int | None = _flag(
        Whole(low=0), 10, "Which of a compiled model's sets of input shapes runs.", default=0
    )
