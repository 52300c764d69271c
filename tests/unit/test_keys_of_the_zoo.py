"""What the keys of the example's actions hang on, and what not: sets of keys before and after an edit of the code."""

import json
import re
from collections.abc import Callable

import pytest

from key_world import KeyWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return KeyWorld(tmp_path_factory.mktemp("keys"))


def comment(text: str) -> str:
    return text + "# one more line\n"


def test_every_stage_has_a_key_and_no_two_actions_share_one(world):
    stages = {name.rpartition(" ")[2].rpartition(":")[2] for name in world.before}
    assert {
        "optimize",
        "decode",
        "spread",
        "observe",
        "merge",
        "quantize",
        "partition",
        "split",
        "compile_subgraph",
    } < stages
    assert {"fuse", "simulate", "reference", "compare", "preflight"} < stages
    assert len(set(world.before.values())) == len(world.before)


def test_a_new_error_code_moves_no_key(world):
    def add(text: str) -> str:
        return text.replace('    "AX500":', '    "AX499": (USER_ERROR, "something new"),\n    "AX500":')

    assert world.moved_by("axbuild/codes.py", add) == set()


def test_a_release_number_moves_no_key(world):
    assert world.moved_by("axbuild/version.py", lambda text: re.sub(r'"\d.*"', '"9.9.9"', text)) == set()


@pytest.mark.parametrize(
    "file",
    [
        "axbuild/cli/app.py",
        "axbuild/engine/build.py",
        "axbuild/engine/run/scheduler.py",
        "axbuild/engine/code/key.py",
        "axbuild/graph/plan.py",
        "axbuild/report/lines.py",
        "axbuild/store/store.py",
        "axbuild/workspace/rulepack.py",
        "axbuild/rules.py",
        "axbuild/toolchain/axmodel/inspect.py",
        "rules/quant_model.py",
        "rules/_nouns.py",
    ],
)
def test_code_that_no_stage_computes_with_moves_no_key(world, file):
    assert world.moved_by(file, comment) == set()


def test_what_nearly_all_stages_share_moves_their_keys(world):
    assert world.moved_by("axbuild/errors.py", comment) == world.before.keys()


def test_a_stage_of_its_own_moves_its_own_key_alone(world):
    assert world.moved_by("axbuild/toolchain/axmodel/compare.py", comment) == {"//digits:check compare"}


def test_a_changed_attribute_moves_the_key_of_the_stage_that_reads_it(world):
    def other_default(text: str) -> str:
        return text.replace('return {"level": level, ', 'return {"level": level, "more": 1, ')

    assert world.moved_by("rules/checking.py", other_default) == {"//digits:check compare"}


_QUANT = "axbuild.toolchain.quant"
OBSERVATION = {
    "//digits:quant decode",
    "//digits:quant spread",
    *(f"{_QUANT}.{stage}:{stage}" for stage in ("segment", "observe", "observe_on", "merge")),
}


TABLE = "axbuild/toolchain/ops/registry.json"
TUNING = {f"axbuild.toolchain.tune.{stage}:{stage}" for stage in ("cut", "tune_block", "carry", "finish")}
RAISING = {f"axbuild.toolchain.precision.{stage}:{stage}" for stage in ("sense", "raise_precision")}
SMOOTHING = {f"axbuild.toolchain.smooth.{stage}:{stage}" for stage in ("smooth", "equalize", "keep_pairs")}
SEARCHING = {f"axbuild.toolchain.search.{stage}:{stage}" for stage in ("cut_grids", "search_block", "finish_search")}
ADOPTING = {f"axbuild.toolchain.qdq.{stage}:{stage}" for stage in ("adopt", "adopt_observed", "export")}
KEEPING = {"axbuild.toolchain.quant.keep:keep", "axbuild.toolchain.quant.select:select"}
ROUNDING = {f"axbuild.toolchain.rounding.{stage}:{stage}" for stage in ("choose_ranges", "round_weights")}
RESHAPING = {"axbuild.toolchain.shapes.quantize_at:quantize_at"}
PLANNING = {"axbuild.toolchain.npu.plan.preflight_quantised:preflight_quantised"}
OTHERS = {*PLANNING, *RESHAPING, *ROUNDING, *TUNING, *RAISING, *SMOOTHING, *SEARCHING, *ADOPTING, *KEEPING}
READERS_OF_OPS = {"watch", "calibrate", "quantize", "preflight", "partition", *OTHERS}


def row(op_type: str, place: str) -> Callable[[str], str]:
    return lambda text: json.dumps(json.loads(text) | {op_type: f"axbuild.toolchain.ops.{place}"})


def test_a_new_operator_that_the_model_does_not_have_moves_no_key(world):
    assert world.moved_by(TABLE, row("Selu", "activation:SeluOp")) == set()
    assert world.moved_by("axbuild/toolchain/ops/activation.py", comment) == set()


def test_an_operator_that_the_model_was_waiting_for_observes_nothing_again_and_compiles_nothing(world):
    moved = world.moved_by(TABLE, row("NonMaxSuppression", "pool:MaxPoolOp"))
    assert {name.rpartition(" ")[2] for name in moved} == READERS_OF_OPS


@pytest.mark.parametrize("file", ["registry.py", "base.py", "conv.py", "clamp.py"])
def test_an_op_of_the_model_observes_nothing_again_and_compiles_nothing(world, file):
    moved = world.moved_by(f"axbuild/toolchain/ops/{file}", comment)
    assert {name.rpartition(" ")[2] for name in moved} == READERS_OF_OPS


def test_a_new_kind_observes_nothing_again(world):
    assert not OBSERVATION & world.moved_by("axbuild/toolchain/kinds/softmax.py", comment)


def test_a_calibrator_moves_only_what_chooses(world):
    raising = "axbuild.toolchain.precision.raise_precision:raise_precision"
    keeping = "axbuild.toolchain.smooth.keep_pairs:keep_pairs"
    adopting = "axbuild.toolchain.qdq.adopt_observed:adopt_observed"
    choosing = "axbuild.toolchain.rounding.choose_ranges:choose_ranges"
    moved = world.moved_by("axbuild/toolchain/quant/calibrators.py", comment)
    assert moved == {"//digits:quant calibrate", raising, keeping, adopting, choosing}


def test_a_figure_of_one_chip_moves_nothing_of_another(world):
    def faster(text: str) -> str:
        return text.replace("clock_mhz = 600", "clock_mhz = 700")

    assert world.moved_by("axbuild/toolchain/npu/chips/ax615.toml", faster) == set()


def test_a_figure_of_the_chip_moves_what_compiles_for_it(world):
    def slower(text: str) -> str:
        return text.replace("op_overhead = 1000", "op_overhead = 1001")

    moved = {name.rpartition(" ")[2] for name in world.moved_by("axbuild/toolchain/npu/chips/ax650.toml", slower)}
    assert moved == {"split"}
