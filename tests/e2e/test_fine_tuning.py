"""Fine-tuning through the command line: what runs, what an edit runs again, and what is refused before it is slow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tune_net import residual_net, samples_with_an_outlier

from net_workspace import AXMODEL, CHECK, QUANT, net_workspace
from zoo_workspace import Outcome, Zoo

WHOLE = "enable_adaround = true\nfinetune_epochs = 40\n"
BUILD = f"{QUANT}{WHOLE}finetune_block_size = 1\n{AXMODEL}{CHECK}"
RESULT = "axbuild-out/m/quant/quant/quant_axmodel.onnx"


def workspace(root: Path, build: str = BUILD) -> Zoo:
    net = residual_net()
    return net_workspace(root, build, net.model("y"), samples_with_an_outlier(net))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    zoo = workspace(tmp_path_factory.mktemp("tuned") / "workspace")
    return zoo, zoo.build("//m:quant")


def of_blocks(executed: Sequence[str]) -> int:
    return executed.count("tune_block")


def test_each_block_is_an_action_and_the_log_says_what_it_came_to(tuned: tuple[Zoo, Outcome]) -> None:
    zoo, first = tuned
    assert of_blocks(first.executed) == 3
    log = (zoo.root / "axbuild-out/m/quant/quant/finetune.log").read_text().splitlines()
    assert log[0] == "AX Adaround Reconstruction Running ..."
    assert "Num of blocks:             3" in log
    assert "Learning Rate:             0.001" in log
    assert "Steps:                     40" in log
    assert "Batch Size:                1" in log
    assert "# Block [1 / 3]: [['first'] -> ['seen']]" in log
    assert sum(line.startswith("# Tuning Finished  : (") for line in log) == 3
    assert log[-1].startswith("Whole model: output error ")
    assert "chain/tune_2_of_3" in first.err + first.out
    assert "AX Adaround Reconstruction Running ..." in first.out
    assert zoo.build("//m:quant").executed == []


def test_what_is_compiled_is_the_tuned_model_to_the_last_bit(tuned: tuple[Zoo, Outcome]) -> None:
    assert of_blocks(tuned[0].build("//m:check").executed) == 0


def test_another_way_of_tuning_tunes_all_blocks_and_calibrates_nothing(tuned: tuple[Zoo, Outcome]) -> None:
    zoo = tuned[0]
    with zoo.edited("m/BUILD.toml", "enable_adaround", "enable_lsq"):
        executed = zoo.build("//m:quant").executed
    assert of_blocks(executed) == 3
    assert not {"observe", "calibrate", "cut", "begin"} & set(executed)


def test_other_ranges_tune_anew_from_the_first_block_that_they_change(tuned: tuple[Zoo, Outcome]) -> None:
    """MSE leaves the range of the input as it was."""
    zoo = tuned[0]
    with zoo.edited("m/BUILD.toml", WHOLE, f'method = "MSE"\n{WHOLE}'):
        done = zoo.build("//m:quant")
    tuning = [event["action"] for event in done.finished("executed") if event["stage"] == "tune_block"]
    assert tuning == ["chain/tune_2_of_3", "chain/tune_3_of_3"]
    assert "observe" not in done.executed


def test_a_layer_rule_for_the_last_block_tunes_that_one(tuned: tuple[Zoo, Outcome]) -> None:
    zoo = tuned[0]
    rule = 'layer_configs = [{ layer_name = "y", weight_data_type = "S16" }]\n'
    with zoo.edited("m/BUILD.toml", WHOLE, rule + WHOLE):
        executed = zoo.build("//m:quant").executed
    assert of_blocks(executed) == 1


def test_a_device_that_is_not_there_is_told_before_anything_slow(tmp_path: Path) -> None:
    zoo = workspace(tmp_path / "workspace", BUILD.replace(WHOLE, f'{WHOLE}device = "cuda:0"\n'))
    done = zoo.run("build", "//m:quant")
    assert done.code == 2
    assert 'device = "cuda:0" needs a CUDA GPU of that number' in done.err
    assert "sees no GPU on this machine" in done.err
    assert not {"observe", "optimize", "calibrate"} & set(done.executed)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('device = "cuda:8"', '"cuda:7", got "cuda:8"'),
        ('device = "cuda"', 'got "cuda"'),
        ("enable_lsq = true", "enable_adaround and enable_lsq are set, and a model is fine-tuned in one way"),
        ("finetune_epochs = 0", "finetune_epochs takes a whole number of at least 1, got 0"),
        ("finetune_lr = 0.0", "finetune_lr takes a number from 1e-09 to 1.0, got 0.0"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, line: str, said: str) -> None:
    name = line.partition(" ")[0]
    kept = "\n".join(row for row in BUILD.splitlines() if not row.startswith(name))
    build = kept.replace("finetune_block_size = 1", f"finetune_block_size = 1\n{line}")
    done = workspace(tmp_path / "workspace", build).run("build", "//m:quant")
    assert done.code == 2
    assert said in done.err


def test_a_killed_run_goes_on_with_the_next_block(tmp_path: Path) -> None:
    zoo = workspace(tmp_path / "workspace", BUILD.replace("epochs = 40", "epochs = 400"))
    events = tmp_path / "killed.jsonl"
    command = [sys.executable, "-m", "axbuild.cli.entry", "build", "//m:quant", "--events", str(events)]
    process = subprocess.Popen(
        command, cwd=zoo.root, env=zoo.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while '"stage":"tune_block"' not in (events.read_text().replace(" ", "") if events.exists() else ""):
        assert process.poll() is None
        time.sleep(0.02)
    while "action_finished" not in "".join(
        line for line in events.read_text().splitlines() if "tune_1_of_3" in line and "action_finished" in line
    ):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    done = zoo.build("//m:quant")
    left = [event["action"] for event in done.finished("executed") if event["stage"] == "tune_block"]
    assert "chain/tune_1_of_3" not in left
    assert "chain/tune_3_of_3" in left
    assert not {"observe", "calibrate", "cut", "begin", "chain"} & set(done.executed)


def test_the_same_inputs_give_the_same_bytes(tuned: tuple[Zoo, Outcome], tmp_path: Path) -> None:
    zoo = workspace(tmp_path / "workspace")
    zoo.build("//m:quant")
    tuned[0].build("//m:quant")
    assert (zoo.root / RESULT).read_bytes() == (tuned[0].root / RESULT).read_bytes()
