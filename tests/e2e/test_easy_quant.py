"""EasyQuant through the command line: a search for each grid, side by side, and the whole model as the judge."""

from __future__ import annotations

import numpy as np
import pytest
from quantised import Net

from net_workspace import AXMODEL, CHECK, QUANT, net_workspace
from zoo_workspace import Outcome, Zoo

BUILD = f"{QUANT}enable_easy_quant = true\n{AXMODEL}{CHECK}"
GRIDS = 3
"""inputs of the three convolutions of the net, each on a grid of its own"""


def net_with_an_idle_channel() -> Net:
    """Three convolutions; the first one's loudest channel means nothing to the second."""
    net = Net(1, 3, 8, 8)
    first, second, third = (net.rng.normal(size=(8, inputs, 3, 3)) for inputs in (3, 8, 8))
    first[2] *= 12.0
    second[:, 2] *= 1e-3
    for name, source, weight in (("first", "x", first), ("second", "first", second), ("y", "second", third)):
        net.constant(f"w_{name}", weight.astype(np.float32))
        net.add("Conv", [source, f"w_{name}"], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return net


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    root = tmp_path_factory.mktemp("searched") / "workspace"
    net = net_with_an_idle_channel()
    zoo = net_workspace(root, BUILD, net.model("y"), (sample["x"] for sample in net.samples(8)))
    return zoo, zoo.build("//m:quant")


def log_of(zoo: Zoo) -> list[str]:
    return (zoo.root / "axbuild-out/m/quant/quant/easy_quant.log").read_text().splitlines()


def decibels(line: str) -> tuple[float, float]:
    before, after = line.removeprefix("Whole model: output error ").split(" -> ")
    return float(before.split()[0]), float(after.split()[0])


def test_each_grid_is_an_action_and_the_whole_model_gains(searched: tuple[Zoo, Outcome]) -> None:
    zoo, first = searched
    assert list(first.executed).count("search_block") == GRIDS
    log = log_of(zoo)
    assert log[0] == "AX EasyQuant Reconstruction Running ..."
    assert f"Num of blocks:             {GRIDS}" in log
    before, after = decibels(log[-1])
    assert after > before + 1.0
    assert zoo.build("//m:quant").executed == []


def test_what_is_compiled_is_the_searched_model_to_the_last_bit(searched: tuple[Zoo, Outcome]) -> None:
    assert "search_block" not in searched[0].build("//m:check").executed


def test_a_layer_rule_searches_only_where_it_changes_something(searched: tuple[Zoo, Outcome]) -> None:
    zoo = searched[0]
    rule = 'layer_configs = [{ layer_name = "y", weight_data_type = "S16" }]\n'
    with zoo.edited("m/BUILD.toml", "enable_easy_quant", f"{rule}enable_easy_quant"):
        executed = list(zoo.build("//m:quant").executed)
    assert executed.count("search_block") == 1
    assert "observe" not in executed


def test_fine_tuning_goes_on_from_what_was_found(searched: tuple[Zoo, Outcome]) -> None:
    zoo = searched[0]
    with zoo.edited("m/BUILD.toml", "enable_easy_quant", "enable_lsq = true\nfinetune_epochs = 5\nenable_easy_quant"):
        executed = zoo.build("//m:quant").executed
        tuned = (zoo.root / "axbuild-out/m/quant/quant/finetune.log").read_text().splitlines()
    assert "search_block" not in executed
    assert decibels(tuned[-1])[0] == pytest.approx(decibels(log_of(zoo)[-1])[1], abs=0.1)
