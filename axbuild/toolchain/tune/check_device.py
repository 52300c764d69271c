"""Stage, before the slow ones: that there is a torch, and the device that is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from axbuild.errors import AxError


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
    if find_spec("torch") is None:
        raise TorchMissingError(
            "fine-tuning needs torch, which is not installed", hint="run `pip install 'axbuild[train]'`"
        )
    kind, _, number = params.device.partition(":")
    if kind == "cuda":
        _require_gpu(params.device, int(number))
    (out / "device.json").write_text(json.dumps({"device": params.device}) + "\n", encoding="utf-8")


def _require_gpu(device: str, number: int) -> None:
    import torch  # it may be missing, and takes seconds

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number < found:
        return
    there = ", ".join(f"cuda:{index}" for index in range(found)) or "no GPU"
    raise DeviceMissingError(
        f'device = "{device}" needs a CUDA GPU of that number, and torch {torch.__version__} sees {there} on this '
        "machine",
        hint="take one that is there" if found else 'device = "cpu" needs none, and is slower',
    )
