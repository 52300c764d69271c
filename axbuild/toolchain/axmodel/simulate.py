"""Stage: a compiled model on the simulated NPU, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TypeVar

from axbuild.progress import tell
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.container import Container
from axbuild.toolchain.axmodel.runners import Sample
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired
from axbuild.toolchain.data.processors import InputProcessor, processor_of, source_input
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor

T = TypeVar("T")


@dataclass(frozen=True)
class SimulateParams:
    """inputs[i] says what the i-th tree of samples is; input_processors: the compiled model's, by tensor name;
    shape_group: which set of input shapes runs."""

    inputs: tuple[InputData, ...]
    input_processors: tuple[InputProcessor, ...] = ()
    shape_group: int = 0


def simulate(axmodel: Path, samples: list[Path], out: Path, *, params: SimulateParams) -> None:
    """`samples`: `samples/` trees, paired by file name. Writes outputs/<sample>.npz under the model's own names.

    As many samples run at once as all compiled batches of a subgraph together hold, so that the program of each takes
    part; where subgraphs have different ones, by turns as many as those of each.
    """
    session = InferenceSession(axmodel.read_bytes())
    container = session.group(params.shape_group)
    feeds = source_feeds(container, samples, params)
    folder = out / "outputs"
    folder.mkdir()
    # What cannot be joined runs by itself: such a model is compiled for no larger batch.
    alone = any(tensor.batch_axis is None for tensor in container.outputs)
    for start, chunk in _chunks(feeds, (1,) if alone else container.rounds()):
        tell("sample", start + 1, len(feeds))
        feed = {tensor.name: tensor.joined([one[tensor.name] for _, one in chunk]) for tensor in container.inputs}
        results = session.run(None, feed, params.shape_group)
        for number, (name, _) in enumerate(chunk):
            found = zip(container.outputs, results, strict=True)
            own = {container.own_name(tensor.name): tensor.sample(array, number) for tensor, array in found}
            outputs.save(folder, name, own)


def _chunks(feeds: Sequence[T], sizes: Sequence[int]) -> Iterator[tuple[int, Sequence[T]]]:
    """(place of the first, those that run at once); sizes: of chunks, by turns."""
    start, turns = 0, cycle(sizes)
    while start < len(feeds):
        size = next(turns)
        yield start, feeds[start : start + size]
        start += size


def source_feeds(container: Container, samples: list[Path], params: SimulateParams) -> list[tuple[str, Sample]]:
    """(name, what a shape group takes in) of each sample; `samples`: a tree for each of the inputs."""
    chosen = bind(params.inputs, [container.own_name(tensor.name) for tensor in container.inputs])
    return [
        (
            name,
            {
                tensor.name: _source(load_sample(files[index]), data, tensor, params)
                for tensor, (data, index) in zip(container.inputs, chosen, strict=True)
            },
        )
        for name, files in paired(samples, params.inputs)
    ]


def _source(sample: Array, data: InputData, tensor: BoundaryTensor, params: SimulateParams) -> Array:
    processor = processor_of(data.name, params.input_processors)
    return source_input(sample, data, tensor.dtype, tensor.layout, processor)
