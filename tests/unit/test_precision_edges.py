"""Every quantised edge beside its float tensor: in the whole model, and by its own layer alone."""

import numpy as np
import onnx
import pytest
from bodies import session
from quantised import Net
from tune_net import residual_net

from axbuild.toolchain.graph import model_file
from axbuild.toolchain.kinds.codes import FP32, U8, Grid
from axbuild.toolchain.precision.effects import Effects, EffectsParams, effects
from axbuild.toolchain.precision.error_sums import BLOCK, Clipped, ErrorMeter, reals
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams, measure_edges
from axbuild.toolchain.precision.measured_edges import MeasuredEdges
from axbuild.toolchain.quant.node_model import node_model
from axbuild.toolchain.quant.precision import LayerConfig
from precision_world import INPUTS, WIDE, PrecisionWorld

SAMPLES = 8


@pytest.fixture
def world(tmp_path):
    net = residual_net()
    return PrecisionWorld.of(tmp_path, net.model("y"), net.samples(10))


def measured(world):
    params = MeasureEdgesParams(INPUTS, SAMPLES)
    measure_edges(world.float_file, world.quantised_file, world.samples, world.folder, params=params)
    return MeasuredEdges.read(world.folder / "edges.json")


def effects_of(world):
    effects(world.float_file, world.quantised_file, world.samples, world.folder, params=EffectsParams(INPUTS))
    return Effects.read(world.folder / "effects.json")


def total(pairs):
    """(signal, noise) of float64 arrays"""
    exact, found = (
        np.concatenate([np.ravel(one).astype(np.float64) for one in side]) for side in zip(*pairs, strict=True)
    )
    return float((exact**2).sum()), float(((found - exact) ** 2).sum())


def test_every_code_between_operators_is_an_edge_with_the_users_names(world):
    found = measured(world)
    assert [edge.tensor for edge in found.edges] == ["x", "seen", "inner", "narrow", "sum", "y"]
    edge = {one.tensor: one for one in found.edges}
    assert (edge["seen"].site, edge["seen"].ops, edge["seen"].nodes) == ("first", ("Conv", "Relu"), ("first", "seen"))
    assert (edge["x"].site, edge["x"].ops) == ("", ())
    assert {one.type for one in found.edges} == {"U8"}
    assert edge["seen"].origins == ("seen",)


def test_the_accumulated_error_is_that_of_the_model_run_whole(world):
    found = {edge.tensor: edge for edge in measured(world).edges}
    grids = world.quantised.edges()
    for name in ("seen", "narrow", "sum"):
        pairs = []
        for feed in world.feeds[:SAMPLES]:
            exact = world.exposed(world.model, [name], feed)[name]
            codes = world.exposed(world.quantised.model, [found[name].name], feed)[found[name].name]
            pairs.append((exact, reals(codes, grids[found[name].name])))
        signal, noise = total(pairs)
        assert found[name].accumulated.signal == pytest.approx(signal, rel=1e-5)
        assert found[name].accumulated.noise == pytest.approx(noise, rel=1e-4)
        assert found[name].accumulated.largest == max(float(abs(b - a).max()) for a, b in pairs)


def test_the_local_error_is_that_of_the_operator_on_the_float_models_values(world):
    found = {edge.tensor: edge for edge in measured(world).edges}
    grids = world.quantised.edges()
    alone = node_model(world.quantised.model, "narrow")
    x, y = found["inner"].name, found["narrow"].name
    pairs = []
    for feed in world.feeds[:SAMPLES]:
        exact = world.exposed(world.model, ["inner", "narrow"], feed)
        codes = np.floor(exact["inner"].astype(np.float64) / grids[x].scale + 0.5) + grids[x].zero
        (made,) = session(alone, "optimisation off").run(None, {x: np.clip(codes, 0, 255).astype(np.uint8)})
        pairs.append((exact["narrow"], reals(made, grids[y])))
    signal, noise = total(pairs)
    assert found["narrow"].local.signal == pytest.approx(signal, rel=1e-5)
    assert found["narrow"].local.noise == pytest.approx(noise, rel=1e-4)
    assert found["narrow"].local.snr_db > found["narrow"].accumulated.snr_db
    assert found["seen"].local == found["seen"].accumulated, "nothing comes before the first layer"


def test_edges_are_compared_on_the_first_samples(world):
    found = measured(world)
    assert (len(world.feeds), found.samples) == (10, SAMPLES)
    assert found.edges[0].local.count == SAMPLES * 3 * 8 * 8


def test_a_rule_for_16_bits_shows_in_the_layers_own_error(tmp_path):
    net = residual_net()
    rule = LayerConfig(layer_name="narrow", data_type="U16", weight_data_type="S16")
    found = []
    for name, rules in (("plain", ()), ("raised", (rule,))):
        (tmp_path / name).mkdir()
        world = PrecisionWorld.of(tmp_path / name, net.model("y"), net.samples(4), rules)
        found.append({edge.tensor: edge for edge in measured(world).edges})
    plain, raised = found
    assert (plain["inner"].type, raised["inner"].type) == ("U8", "U16")
    assert raised["inner"].local.snr_db > plain["inner"].local.snr_db
    assert raised["narrow"].local.snr_db > plain["narrow"].local.snr_db


def test_sums_over_blocks_are_those_of_all_elements():
    rng = np.random.default_rng(3)
    grid = Grid(0.25, 12, U8)
    x = rng.normal(0, 8, 2 * BLOCK + 5).astype(np.float32)
    codes = rng.integers(0, 256, x.size).astype(np.uint8)
    meter = ErrorMeter()
    meter.add(x, codes, grid)
    found, error = meter.total(), 0.25 * (codes.astype(np.float64) - 12) - x
    assert (found.count, found.largest) == (x.size, pytest.approx(abs(error).max(), rel=1e-6))
    assert found.noise == pytest.approx((error**2).sum(), rel=1e-5)
    y = x + error
    assert found.cosine == pytest.approx(x @ y / np.sqrt((x @ x) * (y @ y)), abs=1e-5)
    assert found.mse == pytest.approx((error**2).mean(), rel=1e-5)


def test_what_is_not_finite_or_empty_has_no_figures():
    meter = ErrorMeter()
    assert meter.total() is None
    meter.add(np.array([1.0, np.inf], np.float32), np.array([1.0, 2.0], np.float32), FP32)
    assert meter.total() is None


def test_values_more_than_half_a_step_beyond_the_ends_are_clipped():
    clipped = Clipped(Grid(1.0, 0, U8))
    clipped.add(np.array([-0.6, -0.4, 0.0, 255.4, 255.6], np.float32))
    assert clipped.share == 0.4


def test_the_effect_of_a_layer_is_its_error_carried_to_the_outputs(world):
    found = effects_of(world)
    assert set(found.layers) == {"first", "wide", "narrow", "sum", "y"}
    grids, edges = world.quantised.edges(), {edge.site: edge for edge in measured(world).edges}
    tail = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(world.model)).extract_model(["sum"], ["y"])
    alone = node_model(world.quantised.model, "sum")
    pairs = []
    for feed in world.feeds[: found.samples]:
        exact = world.exposed(world.model, ["narrow", "seen", "sum", "y"], feed)
        codes = {}
        for port in alone.graph.input:
            tensor = next(edge.tensor for edge in edges.values() if edge.name == port.name)
            real = np.floor(exact[tensor].astype(np.float64) / grids[port.name].scale + 0.5) + grids[port.name].zero
            codes[port.name] = np.clip(real, 0, 255).astype(np.uint8)
        (made,) = session(alone, "optimisation off").run(None, codes)
        wrong = reals(made, grids[edges["sum"].name])
        pairs.append((exact["y"], session(tail, "optimisation off").run(None, {"sum": wrong})[0]))
    signal, noise = total(pairs)
    assert found.layers["sum"].worst == pytest.approx(noise / signal, rel=1e-3)


def test_a_layers_error_is_taken_apart_into_what_it_reads_its_weight_and_what_it_writes(tmp_path):
    net = residual_net()
    fine = tmp_path / "fine"
    fine.mkdir()
    found = effects_of(PrecisionWorld.of(fine, net.model("y"), net.samples(4), (WIDE,))).layers
    assert found["narrow"].parts.weight > 0.95, "its values have 16 bits"
    plain = tmp_path / "plain"
    plain.mkdir()
    found = effects_of(PrecisionWorld.of(plain, net.model("y"), net.samples(4))).layers
    assert found["sum"].parts.weight == 0.0, "it has no weight"
    for layer in found.values():
        assert sum(vars(layer.parts).values()) == pytest.approx(1.0, abs=0.15)
    assert found["first"].readers == ("wide", "sum")


def test_a_layer_that_only_moves_codes_is_none_that_hurts(tmp_path):
    net = Net(1, 3, 8, 8)
    net.conv("x", "first", 4, 3, 1)
    net.add("Transpose", ["first"], "turned", perm=[0, 2, 3, 1])
    world = PrecisionWorld.of(tmp_path, net.model("turned"), net.samples(2))
    assert set(effects_of(world).layers) == {"first"}
    assert {edge.site for edge in measured(world).edges} >= {"first", "turned"}


def test_the_front_ends_folder_is_taken_as_well(world):
    assert model_file(world.folder) == world.float_file
    params = MeasureEdgesParams(INPUTS, SAMPLES)
    measure_edges(world.folder, world.quantised_file, world.samples, world.folder, params=params)
    assert len(MeasuredEdges.read(world.folder / "edges.json").edges) == 6
