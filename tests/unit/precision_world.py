"""A small net, quantised, in files: what the stages that measure precision are run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from quantised import Feeds, Quantised, quantised, write_samples

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.scheme import Scheme

INPUTS = (InputData("", "Numpy"),)
WIDE = LayerConfig(start_tensor_names=("DEFAULT",), end_tensor_names=("DEFAULT",), data_type="U16")


@dataclass
class PrecisionWorld:
    """A model of one input; folder: holds optimized.onnx, quant.onnx and samples/."""

    folder: Path
    model: onnx.ModelProto
    quantised: Quantised
    feeds: Sequence[Feeds]

    @staticmethod
    def of(
        folder: Path, model: onnx.ModelProto, feeds: Sequence[Feeds], rules: Sequence[LayerConfig] = ()
    ) -> PrecisionWorld:
        done = quantised(model, feeds, rules=rules)
        onnx.save(model, folder / "optimized.onnx")
        onnx.save(done.model, folder / "quant.onnx")
        name = model.graph.input[0].name
        write_samples(folder / "samples", [feed[name] for feed in feeds])
        done.statistics.write(folder / "statistics.msgpack")
        done.scheme.write(folder / "scheme.msgpack")
        return PrecisionWorld(folder, model, done, feeds)

    @property
    def float_file(self) -> Path:
        return self.folder / "optimized.onnx"

    @property
    def quantised_file(self) -> Path:
        return self.folder / "quant.onnx"

    @property
    def samples(self) -> list[Path]:
        return [self.folder / "samples"]

    def wide(self, rules: Sequence[LayerConfig] = ()) -> Scheme:
        """The scheme with all values in 16 bits."""
        return quantised(self.model, self.feeds, rules=(WIDE, *rules)).scheme

    def exposed(self, model: onnx.ModelProto, names: Sequence[str], feed: Feeds) -> dict[str, np.ndarray]:
        """Inner tensors of a model."""
        from bodies import session

        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        known = {info.name: info for info in (*copy.graph.value_info, *copy.graph.output)}
        del copy.graph.output[:]
        copy.graph.output.extend(known[name] for name in names)
        return dict(zip(names, session(copy, "optimisation off").run(None, feed), strict=True))
