"""Stage: a float model as onnxslim makes it, for the front end to go on with: `enable_onnxsim`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from axbuild.errors import AxError
from axbuild.toolchain.door import door
from axbuild.toolchain.frontend import check
from axbuild.toolchain.frontend.ends import WHOLE, Ends
from axbuild.toolchain.frontend.input_shapes import tell_other_shapes
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.load import SIZE_LIMIT, load
from axbuild.toolchain.frontend.prepare import prepared, settled

SKIPPED = ["graph_fusion"]
"""of onnxslim's passes: what it fuses gets names of its own, which no layer rule knows; our fusions keep the user's"""


class SlimError(AxError):
    """onnxslim is not installed, does not take a model, or changes what it computes."""

    code = "AX312"


def slim(model: Path, out: Path, *, params: Ends) -> None:
    """`model`: as `optimize` takes it. Writes slimmed/ with one .onnx file, which has its ends already."""
    tell_other_shapes(load(model, params), params.input_shapes)
    (out / "slimmed").mkdir()
    write_slimmed(model, params, out / "slimmed")


def write_slimmed(model: Path, params: Ends, folder: Path) -> None:
    """One .onnx file in `folder`."""
    given = load(model, params)
    settled(given, params)
    (folder / "model.onnx").write_bytes(_slimmed(given).SerializeToString(deterministic=True))
    _require_same(prepared(load(model, params), params)[0], prepared(load(folder), WHOLE)[0].model)


def _slimmed(model: LightModel) -> ModelProto:
    run = _onnxslim()
    with door(lambda said: SlimError(f"onnxslim does not take the model: {said}", hint="leave out enable_onnxsim")):
        made: ModelProto = run(_whole(model), skip_optimizations=SKIPPED)
    return made


def _onnxslim() -> Any:
    try:
        from onnxslim import slim as run
    except ImportError:
        raise SlimError(
            "enable_onnxsim needs onnxslim, which is not installed",
            hint="`pip install onnxslim` adds it to this environment, and `pip install 'axbuild[slim]'` to a new one",
        ) from None
    return run


def _whole(model: LightModel) -> ModelProto:
    """With its weights inside."""
    size = model.proto.ByteSize() + sum(array.nbytes for array in model.weights.values())
    if size > SIZE_LIMIT:
        raise SlimError(f"onnxslim is given models of at most {SIZE_LIMIT} bytes, and this one has {size}")
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.input[:]
    proto.graph.input.extend(model.inputs)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in model.weights.items())
    return proto


def _require_same(trial: check.Trial, slimmed: LightModel) -> None:
    given = {value.name: trial.inputs[value.name] for value in slimmed.inputs}
    found = check.whole(trial, check.run(slimmed, given))
    if found:
        raise SlimError(f"onnxslim {found}", hint="leave out enable_onnxsim, and report it there with the model")
