"""The tuned blocks in the scheme, and the whole model as the last judge."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tune_net import residual_net

from axbuild.errors import AxNote, AxWarning
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.finish import FinishParams, finish
from axbuild.toolchain.tune.plan import REPORT, SCHEME
from axbuild.toolchain.tune.report import Outcome
from tune_world import TuneWorld

PARAMS = FinishParams("brecq", 7, 2, 0.01, "cuda")


@pytest.fixture
def world(tmp_path: Path) -> TuneWorld:
    net = residual_net()
    room = TuneWorld.of(tmp_path, net.model("y"), net.samples(4))
    room.cut(1)
    for number in range(3):
        folder = room.folder / f"result/{number}"
        folder.mkdir(parents=True)
        shutil.copy(room.folder / f"blocks/{number}" / SCHEME, folder / SCHEME)
        Outcome(0.02, 0.01).write(folder / REPORT)
    return room


def shift(file: Path, nodes: tuple[str, ...]) -> None:
    """Ruin the biases of these fused nodes in a scheme file."""
    scheme = Scheme.read(file)
    sites = []
    for site in scheme.sites:
        if site.weight is not None and site.nodes[0] in nodes:
            site = replace(site, weight=replace(site.weight, bias=site.weight.bias + np.int32(1_000_000)))
        sites.append(site)
    Scheme(tuple(sites), scheme.owners).write(file)


def finished(room: TuneWorld) -> Scheme:
    folder = room.folder
    out = room.out("finished")
    finish(
        folder / "optimized.onnx",
        folder / SCHEME,
        folder / "blocks",
        folder / "result",
        room.begin(),
        out,
        params=PARAMS,
    )
    return Scheme.read(out / SCHEME)


def test_blocks_take_their_places_in_the_scheme(world: TuneWorld) -> None:
    """Here the calibrated scheme is the ruined one, and the tuned blocks are good."""
    shift(world.folder / SCHEME, ("wide", "y"))
    finished(world).write(world.folder / "again.msgpack")
    world.scheme.write(world.folder / "good.msgpack")
    assert (world.folder / "again.msgpack").read_bytes() == (world.folder / "good.msgpack").read_bytes()


def test_where_the_whole_model_lost_the_scheme_stays_as_it_was(world: TuneWorld) -> None:
    shift(world.folder / "result/0" / SCHEME, ("first",))
    with pytest.warns(AxWarning, match="the blocks came nearer to the float model and the whole did not") as said:
        scheme = finished(world)
    assert [one.message.code for one in said if not isinstance(one.message, AxNote)] == ["AX372"]
    scheme.write(world.folder / "again.msgpack")
    assert (world.folder / "again.msgpack").read_bytes() == (world.folder / SCHEME).read_bytes()


def test_the_log_reads_as_the_vendors(world: TuneWorld) -> None:
    Outcome(0.02, 0.03, "nothing was gained").write(world.folder / "result/2" / REPORT)
    finished(world)
    log = (world.folder / "finished/finetune.log").read_text()
    assert log.startswith(
        "AX BRECQ Reconstruction Running ...\n\nCheck following parameters:\n"
        "Is Scale Trainable:        True\n"
        "Interested Layers:         []\n"
        "Collecting Device:         cuda\n"
        "Num of blocks:             3\n"
        "Learning Rate:             0.01\n"
        "Steps:                     7\n"
        "Batch Size:                2\n\n"
        "# Block [1 / 3]: [['first'] -> ['seen']]\n"
        "# Tuning Finished  : (0.02 -> 0.01) [Block Loss]\n"
    )
    assert "# Tuning Finished  : (0.02 -> 0.03) [Block Loss], left as it was: nothing was gained\n" in log
