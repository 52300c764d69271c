"""auto_precision: the search over what each source of error costs, and the stages around it."""

import re
import tomllib

import numpy as np
import pytest
from quantised import float_run, sqnr
from tune_net import residual_net

from axbuild.errors import AxError, AxNote
from axbuild.toolchain.kinds.codes import U8, U16
from axbuild.toolchain.npu.chips.preset import chip_of
from axbuild.toolchain.npu.chips.table import FOLDER, by_name, chips_of
from axbuild.toolchain.precision.cycles import ModelCycles, part_cycles
from axbuild.toolchain.precision.raise_precision import (
    RULES,
    RaiseParams,
    layer_rules,
    raise_precision,
)
from axbuild.toolchain.precision.search import Decision, PrecisionSearch
from axbuild.toolchain.precision.sense import SensedSource, SenseParams, read_sources, sense
from axbuild.toolchain.precision.sources import ErrorSource
from axbuild.toolchain.precision.target import PrecisionTarget
from axbuild.toolchain.precision.trial import Tried
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrated
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.lowered import lowered
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.statistics import Statistics
from precision_world import INPUTS, WIDE, PrecisionWorld


def values(*names, share):
    return SensedSource(ErrorSource(names, tuple(names)), (share,))


def weight(name, share):
    return SensedSource(ErrorSource((name,), (), name), (share,))


def decisions(*names):
    return frozenset(Decision(name.removesuffix("!"), name.endswith("!")) for name in names)


def searched(sources, cost, factor=1.0, floor=0.0, groups=()):
    """A search in a world where errors do add up, `factor` times as large as they are sensed."""

    def cycles(choice):
        return float(sum(cost[decision] for decision in choice))

    search = PrecisionSearch(sources, frozenset(cost), groups, cycles, 0.001, lambda choice: measure(choice))

    def measure(choice):
        return (floor + factor * float(np.sum(search.estimate(choice))),)

    return search


def costs(**cycles):
    """name -> cycles of its data; "_weight" behind a name: of its weight."""
    return {Decision(name.removesuffix("_weight"), name.endswith("_weight")): c for name, c in cycles.items()}


def test_a_model_that_reaches_its_target_is_left_alone():
    search = searched([values("a", share=0.5)], costs(a=10))
    assert search.run().choice == frozenset()
    assert len(search.tried) == 1


def test_what_takes_away_most_noise_a_cycle_comes_first():
    sources = [values("dear", share=1.0), values("cheap", share=1.0), weight("w", 1.0)]
    found = searched(sources, costs(dear=1000, cheap=10, w_weight=1)).run()
    assert found.choice == decisions("cheap", "w!")
    assert found.noise == (1.0,)


def test_a_tensor_with_two_readers_needs_both_in_16_bits():
    sources = [values("a", "b", share=1.5), values("b", share=0.2)]
    found = searched(sources, costs(a=10, b=10)).run()
    assert found.choice == decisions("a", "b")


def test_operators_that_may_not_be_decided_stay_as_they_are():
    sources = [values("mine", share=5.0), values("free", share=1.0)]
    found = searched(sources, costs(free=10)).run()
    assert not found.reached
    assert found.choice == decisions("free")


def test_a_measured_error_above_the_estimate_raises_more():
    sources = [values(name, share=0.4) for name in "abcd"]
    found = searched(sources, costs(a=1, b=2, c=3, d=4), factor=2.0).run()
    assert found.reached
    assert found.choice == decisions("a", "b", "c")


def test_what_is_not_needed_after_all_is_dropped_again_the_dearest_first():
    sources = [values("big", share=3.0), values("small", share=0.3)]
    search = searched(sources, costs(big=100, small=1), floor=0.6)
    found = search.run()
    assert found.choice == decisions("big")
    assert list(search.tried)[-1] == decisions("big")


def test_the_rules_are_toml_that_a_quant_model_takes():
    rules = layer_rules(decisions("a", "b!", "c", "c!", "d!", 'odd "name"'), {"a": U8, "d": U16})
    assert [(rule.layer_names, rule.data_type, rule.weight_data_type) for rule in rules] == [
        (("b",), "", "S16"),
        (("a", 'odd "name"'), "U16", ""),
        (("c", "d"), "U16", "S16"),
    ]


@pytest.fixture
def world(tmp_path):
    net = residual_net()
    return PrecisionWorld.of(tmp_path, net.model("y"), net.samples(6))


def chip():
    return by_name(chips_of({file.name: tomllib.loads(file.read_text()) for file in FOLDER.glob("*.toml")}))["AX650"]


def raised(world, target, rules=(), metric=()):
    out = world.folder
    world.wide(rules).write(out / "wide.msgpack")
    scheme, wide = out / "scheme.msgpack", out / "wide.msgpack"
    sense(world.float_file, scheme, wide, world.samples, out, params=SenseParams(INPUTS))
    params = RaiseParams(CalibrateParams(layer_configs=tuple(rules)), target, chip().preset("NPU1"), INPUTS)
    made = out / "raised"
    made.mkdir(exist_ok=True)
    statistics, sources = out / "statistics.msgpack", out / "sources.json"
    raise_precision(world.float_file, statistics, scheme, sources, world.samples, list(metric), made, params=params)
    return Scheme.read(made / "scheme.msgpack"), tomllib.loads((made / RULES).read_text())["layer_configs"]


def snr_of(world, scheme):
    from quantised import loaded, session

    graph = loaded(world.model).graph
    model = model_with(graph, lowered(graph, scheme))
    exact = np.concatenate([float_run(world.model, feed)[0] for feed in world.feeds])
    coded = np.concatenate([session(model, "optimisation off").run(None, feed)[0] for feed in world.feeds])
    return sqnr(exact.astype(np.float64), coded.astype(np.float64))


def test_the_sources_are_every_rounded_tensor_and_weight(world):
    world.wide().write(world.folder / "wide.msgpack")
    schemes = (world.folder / "scheme.msgpack", world.folder / "wide.msgpack")
    sense(world.float_file, *schemes, world.samples, world.folder, params=SenseParams(INPUTS))
    found = read_sources(world.folder / "sources.json")
    assert [one.source.tensors for one in found if not one.source.weight] == [
        ("x",),
        ("seen",),
        ("inner",),
        ("narrow",),
        ("sum",),
        ("y",),
    ]
    assert [one.source.values for one in found][:2] == [("first",), ("wide", "sum")]
    assert [one.source.weight for one in found if one.source.weight] == ["first", "wide", "narrow", "y"]
    noise = sum(one.shares[0] for one in found)
    assert -10 * np.log10(noise) == pytest.approx(snr_of(world, world.quantised.scheme), abs=3)


def test_a_target_in_decibels_is_reached_with_few_rules(world):
    before = snr_of(world, world.quantised.scheme)
    said = (
        rf"{before:.1f} dB -> .* dB on 3 samples to choose by, .* dB on 3 to verify \({before + 3:g} dB was asked for"
    )
    with pytest.warns(AxNote, match=f"auto_precision: {said}"):
        scheme, rules = raised(world, PrecisionTarget(min_snr_db=before + 3))
    assert before + 3 <= snr_of(world, scheme) < snr_of(world, world.wide())
    assert rules
    assert set(rules[0]) <= {"layer_names", "data_type", "weight_data_type"}


def test_rules_that_are_written_out_give_the_same_model(world):
    from quantised import quantised

    with pytest.warns(AxNote):
        scheme, rules = raised(world, PrecisionTarget(min_cosine=0.9999))
    configs = [LayerConfig(**rule | {"layer_names": tuple(rule["layer_names"])}) for rule in rules]
    again = quantised(world.model, world.feeds, rules=configs).scheme
    scheme.write(world.folder / "one")
    again.write(world.folder / "two")
    assert (world.folder / "one").read_bytes() == (world.folder / "two").read_bytes()


def test_a_users_rule_is_never_overridden(tmp_path):
    net = residual_net()
    kept = LayerConfig(layer_name="y", data_type="U8")
    world = PrecisionWorld.of(tmp_path, net.model("y"), net.samples(6), (kept,))
    with pytest.warns(AxNote):
        _, rules = raised(world, PrecisionTarget(min_snr_db=snr_of(world, world.quantised.scheme) + 1), (kept,))
    assert "y" not in {name for rule in rules for name in rule["layer_names"]}


def test_a_target_that_cannot_be_reached_says_how_far_it_came_and_what_is_left(tmp_path):
    net = residual_net()
    kept = LayerConfig(layer_name="y", data_type="U8")
    world = PrecisionWorld.of(tmp_path, net.model("y"), net.samples(6), (kept,))
    with pytest.raises(AxError, match="AX474") as caught:
        raised(world, PrecisionTarget(min_snr_db=90.0), (kept,))
    assert re.search(
        r"auto_precision comes to \d\d\.\d dB with everything in 16 bits that may be, and 90 dB is asked for, "
        r"with a margin for other samples: what is left comes from '\w+', '\w+', '\w+', which layer_configs keeps",
        str(caught.value),
    )


def test_the_cost_of_16_bits_is_counted_in_the_chips_cycles(world):
    from quantised import loaded

    graph = loaded(world.model).graph
    statistics = Statistics.read(world.folder / "statistics.msgpack")
    preset = chip_of(chip().preset("NPU1"))
    counted = ModelCycles(graph, statistics, preset)

    def cycles(*rules):
        return counted.of(CalibrateParams(layer_configs=rules))

    narrow, wide = cycles(), cycles(WIDE)
    assert wide > narrow > 5 * preset.op_overhead
    fine = cycles(LayerConfig(layer_name="narrow", weight_data_type="S16"))
    parts = lowered(graph, calibrated(graph, statistics, CalibrateParams()))
    own = next(part_cycles(part, preset) for part in parts if part.fused.name == "narrow")
    assert fine - narrow == pytest.approx(own - preset.op_overhead), "twice the products, twice the bytes"
    assert cycles() == narrow


def test_an_edge_between_8_and_16_bits_costs_its_conversion(world):
    from quantised import loaded

    graph = loaded(world.model).graph
    preset = chip_of(chip().preset("NPU1"))
    counted = ModelCycles(graph, Statistics.read(world.folder / "statistics.msgpack"), preset)
    alone = counted.of(CalibrateParams(layer_configs=(LayerConfig(layer_name="sum", data_type="U16"),)))
    assert alone - counted.of(CalibrateParams()) > preset.op_overhead, "'wide' reads what 'sum' reads, in 8 bits"


def test_a_group_is_raised_together_where_that_is_cheaper():
    """Each step between 8 and 16 bits costs a conversion."""
    sources = [values("a", share=1.0), values("b", share=1.0), values("c", share=0.9)]
    chain = decisions("a", "b")

    def cycles(choice):
        conversions = 50 * (len(choice & chain) == 1)
        return 10.0 * len(choice & chain) + conversions + 100.0 * (decisions("c") <= choice)

    def measure(choice):
        return (float(np.sum(search.estimate(choice))),)

    search = PrecisionSearch(sources, decisions("a", "b", "c"), [chain], cycles, 0.001, measure)
    assert search.run().choice == chain


def test_what_costs_nothing_to_take_back_goes_first_even_where_all_together_are_too_many():
    """The estimate sees half of the noise: the way down halves its steps in place of giving up the best."""
    sources = [values(name, share=0.1) for name in "pqrstuvw"] + [values("dear", share=0.2)]
    found = searched(sources, costs(dear=1000, **dict.fromkeys("pqrstuvw", 10)), factor=2.0).run()
    assert found.reached
    assert Decision("dear", weight=False) not in found.choice


def test_a_margin_is_two_standard_errors_of_the_ratio():
    noise, signal = np.array([[1.0], [3.0]]), np.array([[10.0], [10.0]])
    tried = Tried(signal, np.zeros((2, 1)), noise)
    assert tried.shares() == [0.2]
    assert tried.safe_shares()[0] == pytest.approx(0.2 + 2 * np.sqrt(2) * np.sqrt(1 + 1) / 20)
    even, odd = tried.halves()
    assert (even.shares(), odd.shares()) == ([0.1], [0.3])
    assert even.safe_shares() == [0.1], "one sample has no spread"
    assert even.halves()[1].shares() == [0.1]


def test_a_cosine_of_other_samples_may_be_lower_than_any_that_was_seen():
    e = np.array([[0.0], [0.02], [0.04]])
    tried = Tried(np.ones((3, 1)), np.zeros((3, 1)), e)
    cosines = 1 / np.sqrt(1 + e[:, 0])
    assert tried.cosines()[0] == pytest.approx(cosines[2])
    assert tried.safe_cosines()[0] == pytest.approx(cosines.mean() - 2 * cosines.std())
