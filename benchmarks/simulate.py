"""One picture simulated beside onnxruntime's inference of the same network in float32 and as QDQ: python
benchmarks/simulate.py [--runs N] [--keep FOLDER], after `make fetch`.

MobileNetV2-224 is that of benchmarks/mobilenet.py; ResNet-50 is torch layers with random weights (seed 0). Both are
built for AX650 NPU1 through the command line, float32 NCHW in. The QDQ models come from onnxruntime's own
`quant_pre_process` and `quantize_static` (MinMax, weights a channel). All run in turn in this process, on one thread
each, and the best of the runs counts. A markdown table comes out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from mobilenet import Workspace, timed, write_model
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from tables import markdown
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

import axbuild
from net_workspace import AXMODEL, QUANT

SHAPE = (1, 3, 224, 224)
SAMPLES = 4


class Bottleneck(nn.Module):
    def __init__(self, before: int, inner: int, stride: int) -> None:
        super().__init__()
        after = 4 * inner
        self.body = nn.Sequential(
            *(nn.Conv2d(before, inner, 1), nn.ReLU()),
            *(nn.Conv2d(inner, inner, 3, stride, 1), nn.ReLU()),
            nn.Conv2d(inner, after, 1),
        )
        self.side = nn.Identity() if before == after else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.side(x))


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for inner, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            layers.append(Bottleneck(before, inner, stride if number == 0 else 1))
            before = 4 * inner
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000))


def write_resnet50(file: Path) -> None:
    torch.manual_seed(0)
    names = {"input_names": ["input"], "output_names": ["output"]}
    torch.onnx.export(resnet50().eval(), (torch.zeros(SHAPE),), str(file), opset_version=13, dynamo=False, **names)


class Samples(CalibrationDataReader):
    """The calibration samples, as onnxruntime's quantiser reads them."""

    def __init__(self, name: str, samples: list[np.ndarray]) -> None:
        self._rest: Iterator[dict[str, np.ndarray]] = iter([{name: sample} for sample in samples])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rest, None)


def build(folder: Path, write: Callable[[Path], None]) -> None:
    """Build what `write` writes as a user would; the QDQ model lies beside the float one."""
    (folder / "samples").mkdir(parents=True)
    write(folder / "net.onnx")
    random = np.random.default_rng(0)
    samples = [random.standard_normal(SHAPE, np.float32) for _ in range(SAMPLES)]
    for number, sample in enumerate(samples):
        np.save(folder / "samples" / f"{number}.npy", sample)
    (folder / "BUILD.toml").write_text(QUANT + AXMODEL)
    Workspace(folder).build("//:axmodel")
    model, quantised = folder / "prepared.onnx", folder / "qdq.onnx"
    quant_pre_process(folder / "net.onnx", model)
    name = onnx.load(model).graph.input[0].name
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(model, quantised, Samples(name, samples), per_channel=True, **types)


def runner(session: onnxruntime.InferenceSession | axbuild.InferenceSession) -> Callable[[], object]:
    name = session.get_inputs()[0].name
    sample = np.random.default_rng(1).standard_normal(SHAPE, np.float32)
    session.run(None, {name: sample})
    return lambda: session.run(None, {name: sample})


def reference(file: Path) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return runner(onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]))


def measured(folder: Path, write: Callable[[Path], None], runs: int) -> list[str]:
    """Best milliseconds of the simulator, float32 and QDQ, and the ratio of the first two."""
    container = folder / "axbuild-out" / "axmodel" / "compiled.axmodel"
    if not container.exists():
        build(folder, write)
    simulator = runner(axbuild.InferenceSession(container))
    peers = [reference(folder / name) for name in ("net.onnx", "qdq.onnx")]
    times = [[timed(run) for run in (simulator, *peers)] for _ in range(runs)]
    best = [min(column) * 1e3 for column in zip(*times, strict=True)]
    return [*(f"{milliseconds:.1f}" for milliseconds in best), f"{best[0] / best[1]:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="a folder for the built models, used again if it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="axbuild-bench-") as scratch:
        room = options.keep or Path(scratch)
        models = {"MobileNetV2-224": write_model, "ResNet-50": write_resnet50}
        rows = [[name, *measured(room / name, write, options.runs)] for name, write in models.items()]
    print(markdown(["network", "simulator ms", "float32 ms", "QDQ ms", "simulator / float32"], rows))


if __name__ == "__main__":
    # One thread, as in workers; OpenBLAS asks only while it is loaded, so the script starts again with the answer.
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    main()
