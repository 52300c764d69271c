"""Tensors of the float model on samples; apart from the passes of blocks, which hang on all operators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData, bind, feed_of, paired
from axbuild.toolchain.tune.boundary import Tensors


def float_tensors(
    model: Path, names: Sequence[str], samples: list[Path], inputs: tuple[InputData, ...], most: int
) -> Tensors:
    """The float model's inputs and these of its tensors, on `most` samples at most, spread over all."""
    proto = onnx.load(model, load_external_data=False)
    ports = [port.name for port in proto.graph.input]
    shown = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    proto.graph.output.extend(value for value in proto.graph.value_info if value.name in {*names} - shown)
    session = ort.open_session(proto.SerializeToString(), data=model.parent)
    files = [found for _, found in paired(samples, inputs)]
    chosen = [files[place] for place in np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)]
    made = [name for name in names if name not in ports]
    sources = bind(inputs, ports)
    rows: list[Tensors] = []
    for row in chosen:
        feeds = feed_of(row, sources)
        rows.append(feeds | dict(zip(made, session.run(made, feeds) if made else [], strict=True)))
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
