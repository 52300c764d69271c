"""Stage, before the slow ones: that there is a torch, and the device that is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from axbuild.errors import AxError, counted


class TorchMissingError(AxError):
    """AX370: fine-tuning without torch."""

    code = "AX370"


class DeviceMissingError(AxError):
    """AX371: a GPU that this machine does not have."""

    code = "AX371"


@dataclass(frozen=True)
class CheckDeviceParams:
    """device: "cpu" or "cuda:N"."""

    device: str


def check_device(out: Path, *, params: CheckDeviceParams) -> None:
    """Write `device.json`; raises TorchMissingError and DeviceMissingError."""
    try:
        import torch  # here and not above: it may be missing, which is what this stage tells
    except ModuleNotFoundError:
        raise TorchMissingError(
            "fine-tuning needs torch, which is not installed", hint="run `pip install 'axbuild[train]'`"
        ) from None
    kind, _, number = params.device.partition(":")
    found = torch.cuda.device_count() if kind == "cuda" and torch.cuda.is_available() else 0
    if kind == "cuda" and int(number) >= found:
        raise DeviceMissingError(
            f'device = "{params.device}" needs a CUDA GPU of that number, and torch {torch.__version__} sees '
            f"{counted(found, 'GPU') if found else 'no GPU'} on this machine",
            hint='device = "cpu" computes the same, more slowly'
            if not found
            else f"there is {', '.join(f'cuda:{index}' for index in range(found))}",
        )
    (out / "device.json").write_text(json.dumps({"device": params.device}) + "\n", encoding="utf-8")
