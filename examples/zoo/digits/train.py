"""Train the digits net and write digits.onnx: python examples/zoo/digits/train.py (after `make fetch`).

A MobileNetV2-style net of about 30,000 parameters: a stride-2 stem, five inverted residual blocks with ReLU6, a
pooled linear head. It needs torch besides axbuild (`pip install torch==2.13.0`), takes about a minute on one core,
and always uses one thread and one seed. The committed digits.onnx came from this script; another processor or torch
version may end in other last bits.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
EPOCHS = 12
BATCH = 64


def conv(channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter by 3x3 depthwise, project by 1x1; add the input where the shape allows."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.adds = stride == 1 and channels == out
        self.body = nn.Sequential(
            conv(channels, hidden),
            conv(hidden, hidden, 3, stride, groups=hidden),
            conv(hidden, out, act=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class Digits(nn.Module):
    """f32 [N, 1, 28, 28] in -1..1 -> logits [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(1, 16, 3, 2),
            InvertedResidual(16, 16, 1, 4),
            InvertedResidual(16, 24, 2, 4),
            InvertedResidual(24, 24, 1, 4),
            InvertedResidual(24, 32, 2, 4),
            InvertedResidual(32, 32, 1, 3),
            conv(32, 96),
        )
        self.head = nn.Linear(96, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(nn.functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


def normalised(images: np.ndarray) -> torch.Tensor:
    """u8 [N, 28, 28] -> f32 [N, 1, 28, 28]: what the BUILD file's mean and std say."""
    return torch.from_numpy((images.astype(np.float32) - 127.5) / 127.5)[:, None]


def shifted(batch: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Each picture moved by up to two pixels either way, background coming in."""
    padded = nn.functional.pad(batch, (2, 2, 2, 2), value=-1.0)
    moves = torch.randint(0, 5, (len(batch), 2), generator=random)
    return torch.stack([p[:, y : y + 28, x : x + 28] for p, (y, x) in zip(padded, moves.tolist(), strict=True)])


def accuracy(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    net.eval()
    with torch.no_grad():
        return float((net(images).argmax(1) == labels).float().mean())


def train(data: Path) -> Digits:
    """Twelve epochs of AdamW under a one-cycle schedule; the last epoch is the result, none is picked."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(0)
    images, test_images = (normalised(np.load(data / f"{part}_images.npy")) for part in ("training", "test"))
    labels, test_labels = (
        torch.from_numpy(np.load(data / f"{part}_labels.npy").astype(np.int64)) for part in ("training", "test")
    )
    net = Digits()
    print(f"{sum(p.numel() for p in net.parameters()):,} parameters")
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    steps = (len(images) + BATCH - 1) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, epochs=EPOCHS, steps_per_epoch=steps)
    for epoch in range(EPOCHS):
        net.train()
        for chosen in torch.randperm(len(images), generator=random).split(BATCH):
            loss = nn.functional.cross_entropy(net(shifted(images[chosen], random)), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: test accuracy {accuracy(net, test_images, test_labels):.3f}", flush=True)
    return net.eval()


def export(net: Digits, file: Path) -> None:
    """Write the net by torch's exporter, without the notes it adds about the machine it ran on."""
    program = torch.onnx.export(
        net,
        (torch.zeros(1, 1, 28, 28),),
        input_names=["image"],
        output_names=["logits"],
        opset_version=18,
        dynamo=True,
    )
    model = program.model_proto
    for holder in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input):
        del holder.metadata_props[:]
    for value in (*model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    model.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    file.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{file}: {file.stat().st_size:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parent / "fetched" / "digits", help="folder of the arrays")
    parser.add_argument("--out", type=Path, default=HERE / "digits.onnx", help="model to write")
    options = parser.parse_args()
    export(train(options.data), options.out)


if __name__ == "__main__":
    main()
