"""EasyQuant's stages: blocks by grid, a search that never ends worse than it began, the whole model as the judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised import Net, quantised, write_samples
from tune_net import residual_net

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.search.cut_grids import CutGridsParams, cut_grids
from axbuild.toolchain.search.finish_search import FinishSearchParams, finish_search
from axbuild.toolchain.search.record import RecordParams, record
from axbuild.toolchain.search.search_block import SearchBlockParams, search_block
from axbuild.toolchain.tune.plan import PLAN, SCHEME, read_plan
from axbuild.toolchain.tune.rebake import together
from axbuild.toolchain.tune.report import Outcome

INPUTS = (InputData("x", "Numpy"),)


class SearchWorld:
    """A net calibrated by MinMax, cut by its grids and recorded, in `folder`."""

    def __init__(self, folder: Path, net: Net) -> None:
        self.folder, feeds = folder, net.samples(6)
        model = net.model("y")
        onnx.save(model, folder / "optimized.onnx")
        self.scheme = quantised(model, feeds).scheme
        self.scheme.write(folder / SCHEME)
        self.samples = write_samples(folder / "samples", [feed["x"] for feed in feeds])
        cut_grids(folder / "optimized.onnx", folder / SCHEME, folder, params=CutGridsParams())
        record(folder / "optimized.onnx", folder / "blocks", [self.samples], folder, params=RecordParams(INPUTS))
        self.count = len(read_plan(folder / "blocks" / PLAN))

    def part(self, number: int) -> Scheme:
        return Scheme.read(self.folder / "blocks" / str(number) / SCHEME)

    def search(self) -> list[Outcome]:
        outcomes = []
        for number in range(self.count):
            (out := self.folder / "found" / str(number)).mkdir(parents=True)
            block, tensors = (self.folder / name / str(number) for name in ("blocks", "tensors"))
            search_block(block, tensors, out, params=SearchBlockParams())
            outcomes.append(Outcome.read(out / "report.json"))
        return outcomes

    def finish(self) -> tuple[Scheme, list[str]]:
        (out := self.folder / "finished").mkdir()
        model, scheme, blocks, found = (self.folder / name for name in ("optimized.onnx", SCHEME, "blocks", "found"))
        finish_search(model, scheme, blocks, found, [self.samples], out, params=FinishSearchParams(INPUTS))
        return Scheme.read(out / SCHEME), (out / "easy_quant.log").read_text().splitlines()


@pytest.fixture
def world(tmp_path: Path) -> SearchWorld:
    return SearchWorld(tmp_path, residual_net())


def test_every_weight_is_in_the_block_of_the_grid_it_is_multiplied_with(world: SearchWorld) -> None:
    weighted = [[s.nodes[0] for s in world.part(n).sites if s.weight is not None] for n in range(world.count)]
    assert weighted == [["first"], ["wide"], ["narrow"], ["y"]]
    assert [site.nodes[0] for site in world.part(1).sites] == ["wide", "sum"]  # the residual reads that grid too
    owners = [set(world.part(number).owners.values()) for number in range(world.count)]
    assert all(len(each) == 1 for each in owners)
    assert len(set.union(*owners)) == world.count


def test_no_block_ends_worse_than_it_began(world: SearchWorld) -> None:
    outcomes = world.search()
    assert all(outcome.after <= outcome.before for outcome in outcomes)
    assert any(outcome.after < outcome.before for outcome in outcomes)
    assert all(bool(outcome.refusal) == (outcome.after == outcome.before) for outcome in outcomes)


def test_a_proposal_that_harms_the_whole_model_is_refused(world: SearchWorld) -> None:
    world.search()
    ruined = world.part(3)
    (site,) = ruined.sites
    assert site.weight is not None
    bias = site.weight.bias + np.int32(100_000)
    path = world.folder / "found/3"
    Scheme((replace(site, weight=replace(site.weight, bias=bias)),), ruined.owners).write(path / SCHEME)
    Outcome(0.5, 0.001).write(path / "report.json")
    scheme, log = world.finish()
    kept = next(one for one in scheme.sites if one.nodes == site.nodes)
    assert kept.weight is not None
    assert np.array_equal(kept.weight.bias, site.weight.bias)
    assert any(line.endswith("left as it was: the whole model does not gain") for line in log)


def test_a_moved_grid_is_moved_for_its_writer_as_well(world: SearchWorld) -> None:
    part = world.part(2)
    ((name, grid),) = part.sites[0].reads.items()
    assert isinstance(grid, Grid)
    moved = replace(grid, scale=float(np.float32(grid.scale * 2)))
    sites = (replace(part.sites[0], reads={name: moved}), *part.sites[1:])
    done = together(world.scheme, [Scheme(sites, part.owners)])
    edges = {edge for site in done.sites for edge in (site.reads.get(name), site.writes.get(name)) if edge is not None}
    assert edges == {moved}
