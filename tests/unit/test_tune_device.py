"""What is told before fine-tuning begins, where torch or the GPU is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from axbuild.toolchain.tune import check_device as stage
from axbuild.toolchain.tune.check_device import CheckDeviceParams, DeviceMissingError, TorchMissingError, check_device


def check(out: Path, device: str) -> None:
    check_device(out, params=CheckDeviceParams(device))


def test_a_missing_torch_is_told_with_the_command_that_adds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "find_spec", lambda name: None)
    with pytest.raises(TorchMissingError) as told:
        check(tmp_path, "cpu")
    assert told.value.sentence == "fine-tuning needs torch, which is not installed"
    assert told.value.hint == "run `pip install 'axbuild[train]'`"


def test_the_cpu_is_always_there(tmp_path: Path) -> None:
    check(tmp_path, "cpu")
    assert (tmp_path / "device.json").read_text() == '{"device": "cpu"}\n'


@pytest.mark.parametrize(
    ("count", "device", "said", "hint"),
    [
        (0, "cuda:0", "sees no GPU on this machine", 'device = "cpu" needs none, and is slower'),
        (2, "cuda:2", "sees cuda:0, cuda:1 on this machine", "take one that is there"),
    ],
)
def test_a_gpu_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, device: str, said: str, hint: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(count))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(DeviceMissingError, match=said) as told:
        check(tmp_path, device)
    assert told.value.hint == hint


def test_a_gpu_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    check(tmp_path, "cuda:7")
    assert (tmp_path / "device.json").exists()
