"""Constants of a QDQ model while it is taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx
from onnx import TensorProto

from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.light import LightModel, array_of, is_large
from axbuild.toolchain.graph import Array
from axbuild.toolchain.qdq.linear import QdqError


@dataclass
class ModelConstants:
    """Initialisers and weights of a model, by name."""

    model: LightModel
    small: dict[str, TensorProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.small = {tensor.name: tensor for tensor in self.model.proto.graph.initializer}

    def __contains__(self, name: str) -> bool:
        return name in self.small or name in self.model.weights

    def read(self, name: str) -> Array | None:
        """None where there is no such constant; raises QdqError where it cannot be read."""
        if name in self.small:
            with door(lambda said: QdqError(f"constant '{name}' cannot be read: {said}")):
                return array_of(self.small[name])
        return self.model.weights.get(name)

    def put(self, name: str, array: Array) -> str:
        """A new constant; its name."""
        if is_large(array.nbytes):
            self.model.move_out(name, array, onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
        else:
            self.small[name] = onnx.numpy_helper.from_array(array, name)
            self.model.proto.graph.initializer.append(self.small[name])
        return name
