"""Stage: each NPU subgraph of a compiled model on the simulated NPU, behind what the reference found at its border.

Exactness ends behind a subgraph on the CPU, whose bits are those of one float platform. Between two of them it holds:
what the NPU makes of stored inputs is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axbuild.progress import tell
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.container import NpuSubgraph
from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.axmodel.runners import NpuRunner, Sample
from axbuild.toolchain.axmodel.session import in_batches
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
    the latter. Writes outputs/<sample>.npz.

    As many samples run at once as all compiled batches together hold, so that the program of each takes part.
    """
    container = read(axmodel.read_bytes())
    feeds = source_feeds(container, samples, params) if samples else [(n, {}) for n in outputs.samples(boundaries)]
    named = set(params.subgraphs)
    asked = [subgraph for subgraph in container.on_npu() if not named or subgraph.name in named]
    parts = [(subgraph, NpuRunner(container, subgraph)) for subgraph in asked]
    together = max(sum(subgraph.programs) for subgraph, _ in parts)
    folder = out / "outputs"
    folder.mkdir()
    for start in range(0, len(feeds), together):
        tell("sample", start + 1, len(feeds))
        chunk = feeds[start : start + together]
        known = [one | outputs.load(boundaries, name) for name, one in chunk]
        found: list[Sample] = [{} for _ in chunk]
        for subgraph, runner in parts:
            for made, answer in zip(found, _answers(subgraph, runner, known, layers=params.layers), strict=True):
                made |= answer
        for (name, _), made in zip(chunk, found, strict=True):
            outputs.save(folder, name, made)


def _answers(subgraph: NpuSubgraph, runner: NpuRunner, known: list[Sample], *, layers: bool) -> list[Sample]:
    """What a subgraph makes of each sample, without what it was given."""
    given = [{key: one[key] for key in subgraph.inputs} for one in known]
    for chunk, batch in in_batches(given, sorted(subgraph.programs)):
        runner.run(chunk, batch, layers=layers)
    return [{key: one[key] for key in one if key not in subgraph.inputs} for one in given]
