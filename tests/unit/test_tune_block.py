"""One block tuned: what is learnt, what is kept, and what is restored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quantised import Net
from tune_net import residual_net

from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune import tune_block as stage
from axbuild.toolchain.tune.learn import LearntLayer, LearntRounding
from axbuild.toolchain.tune.plan import SCHEME
from axbuild.toolchain.tune.rebake import held_bias
from axbuild.toolchain.tune.tune_block import TuneParams
from tune_world import TuneWorld

METHODS = ("adaround", "lsq", "brecq")
BLOCK = 1
"""of the residual net in blocks of one weight: two convolutions and an Add"""


FINE = LayerConfig(op_types=("Conv", "Add"), data_type="U16")
"""so that the error is that of the weights"""


@pytest.fixture
def world(tmp_path: Path) -> tuple[TuneWorld, Path]:
    return cut_world(tmp_path, (FINE,))


def cut_world(folder: Path, rules: tuple[LayerConfig, ...]) -> tuple[TuneWorld, Path]:
    """The world, and the boundary of the block."""
    net = residual_net()
    room = TuneWorld.of(folder, net.model("y"), net.samples(8), rules)
    first = room.cut(1)[0]
    return room, room.carry(0, folder / "blocks/0" / SCHEME, room.begin(), first.goes_on)


def params(method: str, steps: int = 100, batch: int = 1, rate: float = 1e-3) -> TuneParams:
    return TuneParams(method, steps, batch, rate)


def given(world: TuneWorld) -> Scheme:
    return Scheme.read(world.folder / f"blocks/{BLOCK}" / SCHEME)


def weights(scheme: Scheme) -> list[np.ndarray]:
    return [site.weight.codes.astype(int) for site in scheme.sites if site.weight is not None]


def scales(scheme: Scheme) -> list[np.ndarray]:
    return [site.weight.scale for site in scheme.sites if site.weight is not None]


def grids(scheme: Scheme) -> dict[str, float]:
    return {n: edge.scale for site in scheme.sites for n, edge in site.writes.items() if isinstance(edge, Grid)}


@pytest.mark.parametrize("method", METHODS)
def test_the_exact_integers_come_nearer_to_the_float_model(world: tuple[TuneWorld, Path], method: str) -> None:
    room, boundary = world
    folder, outcome = room.tune(BLOCK, boundary, params(method))
    assert outcome.refusal == ""
    assert outcome.after < outcome.before
    assert (folder / SCHEME).read_bytes() != (room.folder / f"blocks/{BLOCK}" / SCHEME).read_bytes()


def test_adaround_rounds_each_weight_up_or_down_and_touches_no_step(world: tuple[TuneWorld, Path]) -> None:
    room, boundary = world
    tuned, before = Scheme.read(room.tune(BLOCK, boundary, params("adaround"))[0] / SCHEME), given(room)
    moved = [after - codes for after, codes in zip(weights(tuned), weights(before), strict=True)]
    assert {int(value) for part in moved for value in np.unique(part)} == {-1, 0, 1}
    assert grids(tuned) == grids(before)
    assert all(np.array_equal(a, b) for a, b in zip(scales(tuned), scales(before), strict=True))


def test_lsq_learns_the_steps_of_weights_and_of_the_activations_that_are_the_blocks_own(tmp_path: Path) -> None:
    room, boundary = cut_world(tmp_path, ())
    tuned, before = Scheme.read(room.tune(BLOCK, boundary, params("lsq"))[0] / SCHEME), given(room)
    assert {name for name, scale in grids(tuned).items() if scale != grids(before)[name]} == {"inner", "narrow"}
    assert all(not np.array_equal(a, b) for a, b in zip(scales(tuned), scales(before), strict=True))
    reads = {n: edge for site in tuned.sites for n, edge in site.reads.items()}
    writes = {n: edge for site in tuned.sites for n, edge in site.writes.items()}
    assert all(reads[name] == writes[name] for name in ("inner", "narrow"))


@pytest.mark.parametrize("method", METHODS)
def test_a_block_that_gains_nothing_is_restored_whole(world: tuple[TuneWorld, Path], method: str) -> None:
    """At a rate that ruins it: weights, biases, steps of weights and of activations are the bytes they were."""
    room, boundary = world
    folder, outcome = room.tune(BLOCK, boundary, params(method, rate=1.0))
    assert outcome.refusal in ("nothing was gained", "The bias of channel 1 does not fit 32 bits.")
    assert outcome.after >= outcome.before
    assert (folder / SCHEME).read_bytes() == (room.folder / f"blocks/{BLOCK}" / SCHEME).read_bytes()


def test_what_no_integers_can_compute_is_restored_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room, boundary = cut_world(tmp_path, ())
    monkeypatch.setattr(stage, "settled", lambda scheme, sites, learnt, steps: _huge(scheme))
    folder, outcome = room.tune(BLOCK, boundary, params("lsq", steps=1))
    assert "cannot be quantised" in outcome.refusal
    assert (folder / SCHEME).read_bytes() == (room.folder / f"blocks/{BLOCK}" / SCHEME).read_bytes()


def _huge(scheme: Scheme) -> Scheme:
    """With steps of weights that no requantisation has a shift for."""
    first, *rest = scheme.sites
    assert first.weight is not None
    weight = replace(first.weight, scale=first.weight.scale * np.float32(1e12))
    return Scheme((replace(first, weight=weight), *rest), scheme.owners)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_inputs_give_the_same_bytes(world: tuple[TuneWorld, Path], method: str) -> None:
    room, boundary = world
    folders = [room.tune(BLOCK, boundary, params(method, 30, batch=2), name)[0] for name in ("one", "two")]
    assert (folders[0] / SCHEME).read_bytes() == (folders[1] / SCHEME).read_bytes()


def test_a_batch_that_runs_as_one_learns_what_its_samples_teach_one_by_one(
    world: tuple[TuneWorld, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, boundary = world
    as_one, first = room.tune(BLOCK, boundary, params("adaround", batch=4), "as_one")
    real = stage.mismatch
    monkeypatch.setattr(stage, "mismatch", lambda *given: real(*given) if len(given[-1]) == 1 else np.inf)
    one_by_one, second = room.tune(BLOCK, boundary, params("adaround", batch=4), "one_by_one")
    pairs = zip(weights(Scheme.read(as_one / SCHEME)), weights(Scheme.read(one_by_one / SCHEME)), strict=True)
    assert max((a != b).mean() for a, b in pairs) < 0.02
    assert second.after == pytest.approx(first.after, rel=0.05)


def test_numbers_in_front_of_a_table_and_in_it_are_computed_once_each(tmp_path: Path) -> None:
    """The one in front is the layer's bias; the float block must agree with onnxruntime before anything is learnt."""
    net = Net(1, 4, 6, 6)
    net.conv("x", "sum", 8, 4)
    net.add("Add", ["sum", net.constant("front", np.full((8, 1, 1), 0.7))], "shifted")
    net.add("HardSwish", ["shifted"], "active")
    net.add("Mul", ["active", net.constant("factor", np.full((1,), 0.5))], "product")
    net.add("Add", ["product", net.constant("behind", np.full((1,), -0.6))], "y")
    room = TuneWorld.of(tmp_path, net.model("y"), net.samples(4))
    (site,) = room.scheme.sites
    assert len(site.nodes) == 5
    room.cut(1)
    _, outcome = room.tune(0, room.begin(), params("adaround", steps=20))
    assert outcome.before < 1e-3
    assert outcome.refusal in ("", "nothing was gained")


def test_samples_are_not_joined_where_the_batch_moves_away(tmp_path: Path) -> None:
    net = Net(1, 4, 6, 6)
    net.conv("x", "a", 4, 4)
    net.add("Transpose", ["a"], "b", perm=[3, 0, 1, 2])
    net.conv("b", "y", 5, 1, 1)
    room = TuneWorld.of(tmp_path, net.model("y"), net.samples(8))
    room.cut(4)
    boundary = room.begin()
    folders = [room.tune(0, boundary, params("lsq", 20, batch), f"batch_{batch}")[0] for batch in (1, 4)]
    assert all((folder / SCHEME).exists() for folder in folders)


def test_sixteen_bit_weights_are_tuned_in_their_own_codes(tmp_path: Path) -> None:
    net = residual_net()
    rule = LayerConfig(op_types=("Conv",), weight_data_type="S16")
    room = TuneWorld.of(tmp_path, net.model("y"), net.samples(8), (rule,))
    room.cut(4)
    tuned = weights(Scheme.read(room.tune(0, room.begin(), params("adaround"))[0] / SCHEME))
    before = weights(Scheme.read(tmp_path / "blocks/0" / SCHEME))
    assert tuned[0].max() > 30000
    assert max(np.abs(after - codes).max() for after, codes in zip(tuned, before, strict=True)) <= 1


@pytest.mark.parametrize("method", METHODS)
def test_four_bit_weights_are_tuned_to_codes_of_four_bits_and_gain_more_than_eight_bits(method, tmp_path: Path) -> None:
    gains = {}
    for width in ("S4", "S8"):
        rule = LayerConfig(op_types=("Conv",), data_type="U16", weight_data_type=width)
        net = residual_net()
        (tmp_path / width).mkdir()
        room = TuneWorld.of(tmp_path / width, net.model("y"), net.samples(8), (rule,))
        room.cut(4)
        folder, outcome = room.tune(0, room.begin(), params(method))
        gains[width] = outcome.before - outcome.after
        tuned = weights(Scheme.read(folder / SCHEME))
        limit = 7 if width == "S4" else 127
        assert max(np.abs(codes).max() for codes in tuned) <= limit
    assert gains["S4"] > max(gains["S8"], 0.0)


def test_a_share_that_is_learnt_begins_where_the_weight_stands() -> None:
    class Layers:
        weight = torch.tensor([-2.75, 0.0, 0.25, 126.5])
        scale = torch.tensor([0.5])
        channel = torch.zeros(4, dtype=torch.long)
        highest = torch.full((4,), 127.0)

    rounding = LearntRounding(Layers())
    torch.testing.assert_close(rounding.reals(rounding.start), Layers.weight * 0.5, atol=1e-5, rtol=0)
    codes, _ = rounding.settled(rounding.start)
    assert codes.tolist() in ([-3.0, 0.0, 0.0, 127.0], [-3.0, 0.0, 0.0, 126.0])


def test_learning_begins_from_the_bias_that_the_scheme_holds(
    world: tuple[TuneWorld, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, boundary = world
    file, scheme = room.folder / f"blocks/{BLOCK}" / SCHEME, given(room)
    corrected = [
        replace(site, weight=replace(site.weight, bias=site.weight.bias + 1_000_000)) if site.weight else site
        for site in scheme.sites
    ]
    Scheme(tuple(corrected), scheme.owners).write(file)
    seen: list[LearntLayer] = []
    monkeypatch.setattr(stage, "settled", lambda scheme, sites, learnt, steps: seen.extend(learnt) or scheme)
    room.tune(BLOCK, boundary, params("lsq", steps=1, rate=1e-9))
    for learnt, site in zip(seen, (site for site in corrected if site.weight is not None), strict=True):
        assert learnt.bias == pytest.approx(held_bias(site), rel=1e-4)
