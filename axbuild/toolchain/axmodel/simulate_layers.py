"""Stage: a compiled model on the simulated NPU, run through, with every tensor inside its programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axbuild.progress import tell
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.axmodel.simulate import SimulateParams, source_feeds


@dataclass(frozen=True)
class SimulateLayersParams(SimulateParams):
    """size: how many samples run, the first ones by name, -1 for all."""

    size: int = -1


def simulate_layers(axmodel: Path, samples: list[Path], out: Path, *, params: SimulateLayersParams) -> None:
    """`samples`: as in `simulate`. Writes outputs/<sample>.npz by the quantised model's own names: what the model
    gives, and codes as the NPU holds them."""
    session = InferenceSession(axmodel.read_bytes())
    container = session.group(params.shape_group)
    feeds = source_feeds(container, samples, params)
    chosen = feeds if params.size < 0 else feeds[: params.size]
    for number, (name, feed) in enumerate(chosen, 1):
        tell("sample", number, len(chosen))
        (made,) = session.answers([feed], params.shape_group, layers=True)
        given = {container.own_name(tensor): array for tensor, array in made.items() if tensor not in feed}
        outputs.save(out / "outputs", name, given)
