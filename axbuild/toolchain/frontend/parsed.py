"""The ONNX model that some bytes are, for readers with errors of their own."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from onnx import ModelProto

from axbuild.errors import lfs_hint
from axbuild.toolchain.frontend.text import broken_text


class NotOnnxError(ValueError):
    """Bytes that are no ONNX model, or a damaged one. hint: as an AxError has it."""

    def __init__(self, content: bytes, field: str = "") -> None:
        """field: what in the model is not text; "" where the bytes do not parse."""
        super().__init__(
            f"a {field} in it is not text" if field else f"its {len(content):,} bytes do not parse as ONNX"
        )
        self._field = field
        self.hint = "" if field else lfs_hint(content)

    def sentence(self, name: str, fault: str) -> str:
        """What is wrong with the file `name`. fault: what it is then, as "no model"."""
        return f"{name} is {'damaged' if self._field else fault}: {self}"


def parsed(content: bytes) -> ModelProto:
    """Raises NotOnnxError."""
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise NotOnnxError(content) from None
    if field := broken_text(model):
        raise NotOnnxError(content, field)
    return model
