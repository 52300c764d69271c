"""Stage: does the NPU run all of a model? What is said of the NPU's own values has no sense for others."""

from __future__ import annotations

import json
from pathlib import Path

from axbuild.errors import AxError, counted
from axbuild.toolchain.npu.plan.record import Partition


class OnCpuError(AxError):
    """AX490: a precision analysis on the NPU of a model that the CPU runs parts of."""

    code = "AX490"


def wholly_npu(partition: Path, out: Path) -> None:
    """Writes preflight.json: how many operators there are. Raises OnCpuError, which names those on the CPU."""
    planned = Partition.read(partition)
    if planned.on_cpu:
        listed = "; ".join(map(str, planned.on_cpu))
        raise OnCpuError(
            f'mode "NPUBackend" is for models that the NPU runs wholly, and the CPU of {planned.chip} runs '
            f"{counted(len(planned.on_cpu), 'operator')} of this one: {listed}",
            hint='mode = "Reference" analyses these too',
        )
    (out / "preflight.json").write_text(json.dumps({"operators": planned.node_count}) + "\n", encoding="utf-8")
