"""What a partition holds in front of the model's own operators and behind them: `processing.json`, for people to read.

It stands beside the partition, since nothing is computed from it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axbuild.toolchain.kinds.codes import type_of_dtype
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.prelude import InsertedOp
from axbuild.toolchain.npu.plan.record import Partition

PROCESSING = "processing.json"
Inserted = Mapping[str, Sequence[InsertedOp]]
"""run-time tensor -> the operators between it and the model's own, in the order in which they run"""


def write_processing(planned: Partition, before: Inserted, behind: Inserted, file: Path) -> None:
    """Of each run-time tensor its name, type and shape, and its operators."""
    record = {
        "inputs": [_told(tensor, before.get(tensor.name, ())) for tensor in planned.inputs],
        "outputs": [_told(tensor, behind.get(tensor.name, ())) for tensor in planned.outputs],
    }
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _told(tensor: BoundaryTensor, operators: Sequence[InsertedOp]) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": type_of_dtype(tensor.dtype).name,
        "shape": list(tensor.shape),
        "operators": [dataclasses.asdict(operator) for operator in operators],
    }
