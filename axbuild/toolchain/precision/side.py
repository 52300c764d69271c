"""A session of the float or of the quantised model, whose failures are told in the user's terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from axbuild.errors import AxError
from axbuild.toolchain import ort
from axbuild.toolchain.door import in_words
from axbuild.toolchain.graph import Array, model_file

Tensors = dict[str, Array]


class UnmeasuredError(AxError):
    """AX470: the float or the quantised model does not run, or their outputs are not the same ones."""

    code = "AX470"


class Side:
    """A session of the float or of the quantised model."""

    def __init__(self, which: str, content: bytes, level: str, data: Path | None = None) -> None:
        try:
            self.session = ort.open_session(content, level=level, data=data, arena=False)
        except ort.FAILURES as error:
            said = in_words(str(error))
            raise UnmeasuredError(f"onnxruntime does not open the {which} model: {said}") from None

    @staticmethod
    def of_float(model: Path) -> Side:
        """The front end's model as it is."""
        file = model_file(model)
        return Side("float", file.read_bytes(), "basic", file.parent)

    @property
    def inputs(self) -> list[str]:
        return [port.name for port in self.session.get_inputs()]

    @property
    def outputs(self) -> list[str]:
        return list(self.shapes())

    def shapes(self) -> dict[str, list[int | str | None]]:
        """Of the outputs; what is no number depends on data."""
        return {port.name: port.shape for port in self.session.get_outputs()}

    def run(self, names: list[str], feed: Mapping[str, Array]) -> Tensors:
        return dict(zip(names, self.session.run(names, feed), strict=True))
