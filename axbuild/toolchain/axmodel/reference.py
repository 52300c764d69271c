"""Stage: the quantised model's own definition, run by onnxruntime behind the pre-processing of the compiled model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.progress import tell
from axbuild.toolchain import ort
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired
from axbuild.toolchain.data.processors import InputProcessor, processor_of, seen_input
from axbuild.toolchain.door import in_words
from axbuild.toolchain.graph import Array
from axbuild.toolchain.refused import refused_sample


class ReferenceRunError(AxError):
    """onnxruntime does not run a quantised model."""

    code = "AX483"


@dataclass(frozen=True)
class ReferenceParams:
    """inputs[i] says what the i-th tree of samples is; input_processors: the compiled model's, by tensor name."""

    inputs: tuple[InputData, ...]
    input_processors: tuple[InputProcessor, ...]


def reference(model: Path, samples: list[Path], out: Path, *, params: ReferenceParams) -> None:
    """`model`: quant_axmodel.onnx. Writes outputs/<sample>.npz."""
    session = open_session(model.read_bytes())
    folder = out / "outputs"
    folder.mkdir()
    for name, feed in feeds_of([item.name for item in session.get_inputs()], samples, params):
        with refused_sample(name):
            answers = run(session, feed)
        outputs.save(folder, name, answers)


def feeds_of(names: list[str], samples: list[Path], params: ReferenceParams) -> Iterator[tuple[str, dict[str, Array]]]:
    """(sample, what the float model takes in): each of its inputs `names`, behind the compiled model's processing."""
    chosen = bind(params.inputs, names)
    rows = paired(samples, params.inputs)
    for place, (name, files) in enumerate(rows):
        tell("sample", place + 1, len(rows))
        yield (
            name,
            {
                data.name: seen_input(load_sample(files[index]), data, processor_of(data.name, params.input_processors))
                for data, index in chosen
            },
        )


def open_session(model: bytes, *, optimized: bool = False) -> Any:
    """An onnxruntime session on one thread; `optimized`: at its highest level, where the bits must be the same."""
    try:
        return ort.open_session(model, level="all" if optimized else "off")
    except ort.FAILURES as error:
        raise ReferenceRunError(f"onnxruntime does not run the quantised model: {in_words(str(error))}") from None


def run(session: Any, feed: dict[str, Array]) -> dict[str, Array]:
    """Every output by name."""
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))
