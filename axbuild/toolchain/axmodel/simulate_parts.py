"""Stage: each NPU subgraph of a compiled model on the simulated NPU, behind what the reference found at its border.

Exactness ends behind a subgraph on the CPU, whose bits are those of one float platform. Between two of them it holds:
what the NPU makes of stored inputs is the same on every machine.
"""

from __future__ import annotations

from pathlib import Path

from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.axmodel.runners import NpuRunner, Sample
from axbuild.toolchain.axmodel.session import split
from axbuild.toolchain.axmodel.simulate import SimulateParams, source_feeds


def simulate_parts(axmodel: Path, boundaries: Path, samples: list[Path], out: Path, *, params: SimulateParams) -> None:
    """boundaries: those of `follow`; `samples` as in `simulate`. Writes outputs/<sample>.npz.

    As many samples run at once as all compiled batches together hold, so that the program of each takes part.
    """
    container = read(axmodel.read_bytes())
    feeds = source_feeds(container, samples, params)
    known = [(name, one | outputs.load(boundaries, name)) for name, one in feeds]
    found: dict[str, Sample] = {name: {} for name, _ in feeds}
    for subgraph in container.on_npu():
        runner = NpuRunner(container, subgraph)
        start = 0
        for batch in split(len(known), sorted(subgraph.programs)):
            chunk = [(name, {key: one[key] for key in subgraph.inputs}) for name, one in known[start : start + batch]]
            runner.run([one for _, one in chunk], batch)
            for name, one in chunk:
                found[name] |= {key: one[key] for key in subgraph.outputs}
            start += batch
    folder = out / "outputs"
    folder.mkdir()
    for name, tensors in found.items():
        outputs.save(folder, name, tensors)
