"""Float networks as ONNX files, each by one of torch's exporters; runs where torch, timm and torchvision are.

    VENV/bin/python tests/stress/exporting.py FOLDER NET.EXPORTER.OPSET ...

What is in FOLDER already stays. Weights are random and seeded; statistics of BatchNormalization vary like trained ones.
A NET is a name of timm, `tv_` and one of torchvision, or a module of this file.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class UNet(nn.Module):
    """Two levels down and up, with skips; transposed convolutions and linear upsampling."""

    shape = (1, 3, 128, 128)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = block(3, 16), block(16, 32), block(32, 64)
        self.up = nn.ConvTranspose2d(64, 32, 2, stride=2)
        self.joined, self.last = block(64, 32), block(48, 16)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        first = self.first(x)
        second = self.second(functional.max_pool2d(first, 2))
        third = self.third(functional.max_pool2d(second, 2))
        joined = self.joined(torch.cat([self.up(third), second], 1))
        wide = functional.interpolate(joined, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.sigmoid(self.head(self.last(torch.cat([wide, first], 1))))


class YoloHead(nn.Module):
    """A small backbone and a head that decodes its boxes: distances over bins, grid, strides."""

    shape = (1, 3, 160, 160)
    bins = 8

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(block(3, 16, 2), block(16, 32, 2), block(32, 64, 2))
        self.deep = nn.Sequential(nn.MaxPool2d(5, 1, 2), block(64, 64, 2))
        self.boxes = nn.ModuleList(nn.Conv2d(64, 4 * self.bins, 1) for _ in range(2))
        self.classes = nn.ModuleList(nn.Conv2d(64, 10, 1) for _ in range(2))

    def forward(self, x):
        fine = self.stem(x)
        deep = self.deep(fine)
        fine = fine + functional.interpolate(deep, scale_factor=2, mode="nearest")
        return torch.cat([self.decoded(f, level, (8, 16)[level]) for level, f in enumerate((fine, deep))], 2)

    def decoded(self, x, level, stride):
        """[n, 4 + classes, places]."""
        n, _, h, w = x.shape
        distances = self.boxes[level](x).reshape(n, 4, self.bins, h * w).softmax(2)
        distances = (distances * torch.arange(self.bins, dtype=x.dtype).view(1, 1, -1, 1)).sum(2)
        ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        centres = torch.stack([xs, ys]).reshape(1, 2, h * w)
        least, most = centres - distances[:, :2], centres + distances[:, 2:]
        boxes = torch.cat([(least + most) / 2, most - least], 1) * stride
        return torch.cat([boxes, self.classes[level](x).flatten(2).sigmoid()], 1)


class LstmTagger(nn.Module):
    """Tags of a sequence of word numbers."""

    shape = (1, 24)
    words = 200

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(self.words, 32)
        self.lstm = nn.LSTM(32, 32, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, 9)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0]).softmax(-1)


class KeywordSpotter(nn.Module):
    """1-D convolutions over 40 bands of 100 frames."""

    shape = (1, 40, 100)

    def __init__(self) -> None:
        super().__init__()
        channels = (40, 64, 64, 96)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(a, a, 9, stride=2, padding=4, groups=a),
                    nn.Conv1d(a, b, 1, bias=False),
                    nn.BatchNorm1d(b),
                    nn.ReLU(),
                )
                for a, b in itertools.pairwise(channels)
            )
        )
        self.head = nn.Linear(96, 12)

    def forward(self, x):
        return self.head(functional.adaptive_avg_pool1d(self.layers(x), 1).flatten(1))


class Upscaler(nn.Module):
    """Twice the height and width by pixel shuffle, with PReLU."""

    shape = (1, 3, 96, 96)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 24, 5, padding=2), nn.PReLU(24), nn.Conv2d(24, 24, 3, padding=1), nn.PReLU(24),
            nn.Conv2d(24, 12, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x).clamp(0, 1)


OWN: dict[str, Any] = {
    "unet": UNet,
    "yolo_head": YoloHead,
    "lstm_tagger": LstmTagger,
    "keywords": KeywordSpotter,
    "upscaler": Upscaler,
}


def block(channels: int, out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.SiLU())


def network(name: str, opset: int) -> tuple[nn.Module, torch.Tensor]:
    """(the net in evaluation mode, an input of it)."""
    torch.manual_seed(0)
    if name in OWN:
        net = OWN[name]()
        shape = net.shape
    elif name.startswith("tv_"):
        import torchvision

        settings = {"init_weights": True} if name.removeprefix("tv_") in ("googlenet", "inception_v3") else {}
        net, shape = torchvision.models.get_model(name.removeprefix("tv_"), **settings), (1, 3, 224, 224)
    else:
        import timm

        # torch's fused attention has no form before opset 14.
        timm.layers.set_fused_attn(opset >= 14)
        net = timm.create_model(name, pretrained=False)
        shape = (1, *net.default_cfg["input_size"])
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    given = torch.randint(0, net.words, shape) if isinstance(net, LstmTagger) else torch.randn(shape)
    return net.eval(), given


def export(name: str, exporter: str, opset: int, path: Path) -> None:
    net, given = network(name, opset)
    settings = {"external_data": False, "verbose": False} if exporter == "dynamo" else {}
    torch.onnx.export(net, (given,), path, opset_version=opset, dynamo=exporter == "dynamo", **settings)


def main() -> int:
    warnings.filterwarnings("ignore")
    folder, failed = Path(sys.argv[1]), 0
    for job in sys.argv[2:]:
        path, unfinished = folder / f"{job}.onnx", folder / f"{job}.part"
        if path.exists():
            continue
        name, exporter, opset = job.split(".")
        try:
            export(name, exporter, int(opset), unfinished)
        except Exception as error:  # an exporter fails as it likes; the table says so
            failed += 1
            path.with_suffix(".failed").write_text(f"{type(error).__name__}: {error}"[:2000])
            print(f"{job}: {type(error).__name__}: {str(error)[:200]}", flush=True)
        else:
            unfinished.rename(path)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
