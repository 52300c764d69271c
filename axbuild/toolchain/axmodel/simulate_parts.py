"""Stage: each NPU subgraph of a compiled model on the simulated NPU, behind what the reference found at its border.

Exactness ends behind a subgraph on the CPU, whose bits are those of one float platform. Between two of them it holds:
what the NPU makes of stored inputs is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axbuild.progress import tell
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.container import Container, NpuSubgraph
from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.axmodel.runners import NpuRunner, Sample
from axbuild.toolchain.axmodel.simulate import SimulateParams, source_feeds


@dataclass(frozen=True)
class SimulatePartsParams(SimulateParams):
    """layers, subgraphs: as in FollowParams."""

    layers: bool = False
    subgraphs: tuple[str, ...] = ()


def simulate_parts(
    axmodel: Path, boundaries: Path, samples: list[Path], out: Path, *, params: SimulatePartsParams
) -> None:
    """boundaries: those of `follow`, or of `given`, which hold the inputs too; `samples` as in `simulate`, none for
    the latter. Writes outputs/<sample>.npz, by the model's own names.

    As many samples run at once as all compiled batches of a subgraph together hold, so that the program of each takes
    part.
    """
    container = read(axmodel.read_bytes()).group(params.shape_group)
    feeds = source_feeds(container, samples, params) if samples else [(n, {}) for n in outputs.samples(boundaries)]
    named = set(params.subgraphs)
    asked = [one for one in container.on_npu() if not named or container.own_name(one.name) in named]
    parts = [(subgraph, NpuRunner(container, subgraph)) for subgraph in asked]
    together = max(sum(subgraph.programs) for subgraph, _ in parts)
    folder = out / "outputs"
    folder.mkdir()
    for start in range(0, len(feeds), together):
        tell("sample", start + 1, len(feeds))
        chunk = feeds[start : start + together]
        known = [_own(one, container) | outputs.load(boundaries, name) for name, one in chunk]
        found: list[Sample] = [{} for _ in chunk]
        for subgraph, runner in parts:
            given = [{name: one[container.own_name(name)] for name in subgraph.inputs} for one in known]
            for made, answer in zip(found, _answers(subgraph, runner, given, layers=params.layers), strict=True):
                made |= _own(answer, container)
        for (name, _), made in zip(chunk, found, strict=True):
            outputs.save(folder, name, made)


def _own(sample: Sample, container: Container) -> Sample:
    """Under the model's own names."""
    return {container.own_name(name): array for name, array in sample.items()}


def _answers(subgraph: NpuSubgraph, runner: NpuRunner, given: list[Sample], *, layers: bool) -> list[Sample]:
    """What a subgraph makes of each sample, without what it was given."""
    together = sum(subgraph.programs)
    for start in range(0, len(given), together):
        runner.run(given[start : start + together], layers=layers)
    return [{key: one[key] for key in one if key not in subgraph.inputs} for one in given]
