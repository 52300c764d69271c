"""A small net with a residual, calibrated and cut into blocks: what the stages of fine-tuning are run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from quantised import quantised

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.begin import BeginParams, begin
from axbuild.toolchain.tune.carry import CarryParams, carry
from axbuild.toolchain.tune.cut import CutParams, cut
from axbuild.toolchain.tune.plan import PLAN, SCHEME, PlannedBlock, read_plan
from axbuild.toolchain.tune.report import Outcome
from axbuild.toolchain.tune.tune_block import TuneParams, tune_block


@dataclass
class TuneWorld:
    """model, scheme: as calibration leaves them, in `folder`; samples: those it saw."""

    folder: Path
    model: onnx.ModelProto
    scheme: Scheme
    samples: list[dict[str, np.ndarray]]

    @staticmethod
    def of(
        folder: Path, model: onnx.ModelProto, samples: list[dict[str, np.ndarray]], rules: Sequence[LayerConfig] = ()
    ) -> TuneWorld:
        onnx.save(model, folder / "optimized.onnx")
        scheme = quantised(model, samples, rules=rules).scheme
        scheme.write(folder / SCHEME)
        return TuneWorld(folder, model, scheme, samples)

    def cut(self, size: int) -> list[PlannedBlock]:
        cut(self.folder / "optimized.onnx", self.folder / SCHEME, self.folder, params=CutParams(size))
        return read_plan(self.folder / "blocks" / PLAN)

    def begin(self) -> Path:
        """The first boundary."""
        names = [port.name for port in self.model.graph.input]
        folders = [self.folder / f"in_{place}" for place in range(len(names))]
        for name, folder in zip(names, folders, strict=True):
            folder.mkdir()
            for number, sample in enumerate(self.samples):
                np.save(folder / f"{number:03}.npy", sample[name])
        out = self.out("begun")
        begin(
            self.folder / "optimized.onnx",
            folders,
            out,
            params=BeginParams(tuple(InputData(name, "Numpy") for name in names)),
        )
        return out / "boundary"

    def tune(self, number: int, boundary: Path, params: TuneParams, name: str = "") -> tuple[Path, Outcome]:
        """The folder with a block's tuned scheme, and what it came to."""
        out = self.out(name or f"tuned_{number}")
        tune_block(self.folder / f"blocks/{number}", boundary, out, params=params, device="cpu")
        return out, Outcome.read(out / "report.json")

    def carry(self, number: int, scheme: Path, boundary: Path, goes_on: tuple[str, ...]) -> Path:
        out = self.out(f"carried_{number}")
        carry(self.folder / f"blocks/{number}", scheme, boundary, out, params=CarryParams(goes_on))
        return out / "boundary"

    def out(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder
