"""Stage: the quantised model's own definition, run by onnxruntime behind the pre-processing of the compiled model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime as ort

from axbuild.errors import AxError
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.data.inputs import (
    Array,
    InputData,
    InputProcessor,
    bind,
    load_sample,
    paired,
    processor_of,
    tensor_input,
)


class ReferenceRunError(AxError):
    """onnxruntime does not run a quantised model."""

    code = "AX483"


@dataclass(frozen=True)
class ReferenceParams:
    """inputs[i] says what the i-th tree of samples is; input_processors: the compiled model's, by tensor name."""

    inputs: tuple[InputData, ...]
    input_processors: tuple[InputProcessor, ...]


def reference(model: Path, samples: list[Path], out: Path, *, params: ReferenceParams) -> None:
    """`model`: quant_axmodel.onnx. Writes outputs/<sample>/<tensor>.npy."""
    session = open_session(model.read_bytes())
    names = [item.name for item in session.get_inputs()]
    chosen = [(_processed(data, params.input_processors), index) for data, index in bind(params.inputs, names)]
    folder = out / "outputs"
    folder.mkdir()
    for name, files in paired(samples):
        feed = {data.name: tensor_input(load_sample(files[index]), data) for data, index in chosen}
        outputs.save(folder, name, run(session, feed))


def _processed(data: InputData, processors: tuple[InputProcessor, ...]) -> InputData:
    """The data with the mean and std that are compiled in: those decide what the codes mean."""
    processor = processor_of(data.name, processors)
    return replace(data, mean=processor.mean, std=processor.std) if processor else data


def open_session(model: bytes, *, optimized: bool = False) -> Any:
    """An onnxruntime session on one thread; `optimized`: at its highest level, where the bits must be the same."""
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        raise ReferenceRunError(
            f"onnxruntime does not run the quantised model: {' '.join(str(error).split())}"
        ) from None


def run(session: Any, feed: dict[str, Array]) -> dict[str, Array]:
    """Every output by name."""
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


_STATE = ort.capi.onnxruntime_pybind11_state
_LOAD_ERRORS = (_STATE.Fail, _STATE.InvalidGraph, _STATE.InvalidProtobuf, _STATE.InvalidArgument, _STATE.NotImplemented)
