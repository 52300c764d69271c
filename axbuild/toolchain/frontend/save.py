"""An optimised model on disk: optimized.onnx alone, or with a data file beside it where protobuf's 2 GB end."""

from __future__ import annotations

from pathlib import Path

from onnx import TensorProto, ValueInfoProto

from axbuild.toolchain.frontend import wire
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.graph import DATA_FILE, MODEL_FILE, Array

SIZE_LIMIT = 2**31 - 2**20
"""bytes of a single file; some room below protobuf's limit for what readers add"""

ALIGNMENT = 4096
"""bytes; a tensor that begins on a page can be mapped"""


def save(model: LightModel, folder: Path, *, limit: int = SIZE_LIMIT) -> None:
    """Write the model into the new `folder`, the same bytes each time.

    Weights are initialisers again: inside the file, or above `limit` bytes in one data file, in the same order.
    """
    folder.mkdir()
    proto, weights = model.proto, model.weights
    inputs = list(model.inputs)
    stated = {value.name: value for value in proto.graph.input}
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    stubs = [(_stub(stated[name], array), array) for name, array in weights.items()]
    if proto.ByteSize() + sum(array.nbytes for array in weights.values()) > limit:
        _write_data(stubs, folder / DATA_FILE)
        proto.graph.initializer.extend(stub for stub, _ in stubs)
        stubs = []
    with (folder / MODEL_FILE).open("wb") as file:
        wire.write(file, proto, stubs)


def _stub(value: ValueInfoProto, array: Array) -> TensorProto:
    kind = value.type.tensor_type.elem_type
    return TensorProto(name=value.name, data_type=kind, dims=array.shape, metadata_props=value.metadata_props)


def _write_data(tensors: list[tuple[TensorProto, Array]], path: Path) -> None:
    with path.open("wb") as file:
        for stub, array in tensors:
            file.write(bytes(-file.tell() % ALIGNMENT))
            entries = {"location": path.name, "offset": file.tell(), "length": array.nbytes}
            stub.data_location = TensorProto.EXTERNAL
            for key, value in entries.items():
                stub.external_data.add(key=key, value=str(value))
            file.write(wire.elements(array))
