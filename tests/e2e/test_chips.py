"""Every chip and mode builds; an edit of one chip's file reaches what is built for that chip, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from npu_world import CHIPS
from stress.edits import network, picture

from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.program.verify import verify
from zoo_workspace import Outcome, Zoo, copy_package

MODEL = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "pictures/*.png"
mean = [127.5]
std = [64.0]

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"
"""
TARGET = """
[[axmodel]]
name = "{name}"
quant = ":quant"
target_hardware = "{chip}"
npu_mode = "{mode}"
static_batch_sizes = [1, 2]
input_processors = [{{ src_dtype = "U8", src_layout = "NHWC" }}]

[[check]]
name = "{name}_equal"
axmodel = ":{name}"
level = "equal"
"""
EVERY = [(chip.name, mode) for name, chip in CHIPS.items() if name == chip.name for mode in chip.modes]
AX615_FILE = "axbuild/toolchain/npu/chips/ax615.toml"


def target(chip: str, mode: str) -> str:
    return TARGET.format(name=f"{chip}_{mode}".lower(), chip=chip, mode=mode)


def workspace(root: Path) -> Path:
    (root / "m/pictures").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "m/net.onnx").write_bytes(network(0))
    for seed in range(4):
        (root / f"m/pictures/p{seed}.png").write_bytes(picture(seed))
    (root / "m/BUILD.toml").write_text(MODEL + "".join(target(*one) for one in EVERY))
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    room = tmp_path_factory.mktemp("chips")
    zoo = Zoo(workspace(room / "workspace"), room / "cache", copy_package(room / "package"))
    return zoo, zoo.build("//m:all")


@pytest.fixture
def zoo(built: tuple[Zoo, Outcome], tmp_path: Path) -> Iterator[Zoo]:
    """A copy of the package to be edited; workspace and cache are those of all tests here."""
    shared = built[0]
    before = (shared.root / "m/BUILD.toml").read_text()
    package = shutil.copytree(shared.package, tmp_path / "package")
    yield Zoo(shared.root, Path(shared.environment["AXBUILD_CACHE_DIR"]), package)
    (shared.root / "m/BUILD.toml").write_text(before)


def edit(zoo: Zoo, old: str, new: str) -> None:
    path = zoo.package / AX615_FILE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def keys(outcome: Outcome) -> dict[tuple[str, str], str]:
    return {(e["label"], e["action"]): e["key"] for e in outcome.events if e["event"] == "action_finished"}


def of_ax615(names: set[tuple[str, str]]) -> bool:
    return all(label.startswith("//m:ax615_") for label, _ in names)


@pytest.mark.parametrize(("chip", "mode"), EVERY, ids="-".join)
def test_every_chip_and_mode_is_built_and_equal(built: tuple[Zoo, Outcome], chip: str, mode: str) -> None:
    folder = built[0].root / "axbuild-out/m"
    name = f"{chip}_{mode}".lower()
    assert '"passed": true' in (folder / f"{name}_equal/verdict.json").read_text()
    container = read((folder / name / "compiled.axmodel").read_bytes())
    said = (container.target_hardware, container.chip_number, container.npu_mode)
    assert said == (chip, CHIPS[chip].container, mode)
    for subgraph in container.subgraphs:
        assert sorted(subgraph.programs) == [1, 2]
        for content in subgraph.programs.values():
            program = decode(content)
            verify(program)
            assert (program.chip, program.npu_mode) == (chip, mode)
            assert program.max_cycle > 0


def test_all_chips_share_one_quantisation(built: tuple[Zoo, Outcome]) -> None:
    executed = built[1].executed
    assert [executed.count(stage) for stage in ("observe", "quantize", "reference")] == [1, 1, 1]
    assert executed.count("compile_subgraph") == 2 * len(EVERY)


def test_an_alias_runs_nothing_and_is_written_under_the_chips_own_name(zoo: Zoo) -> None:
    build = zoo.root / "m/BUILD.toml"
    build.write_text(build.read_text() + target("M76H", "NPU2"))
    assert zoo.build("//m:m76h_npu2_equal", "//m:m76h_npu2").executed == []
    mine, ax650 = (zoo.root / f"axbuild-out/m/{name}_npu2/compiled.axmodel" for name in ("m76h", "ax650"))
    assert mine.read_bytes() == ax650.read_bytes()
    assert read(mine.read_bytes()).target_hardware == "AX650"


def test_a_figure_of_a_chip_changes_only_keys_of_what_is_compiled_for_it(zoo: Zoo, built: tuple[Zoo, Outcome]) -> None:
    before = keys(built[1])
    edit(zoo, "op_overhead = 6000", "op_overhead = 6001")
    outcome = zoo.build("//m:all")
    after = keys(outcome)
    changed = {name for name in before if before[name] != after[name]}
    assert changed
    assert of_ax615(changed)
    assert {action for _, action in changed} == {
        "split",
        "split/compile_0_b1",
        "split/compile_0_b2",
        "fuse",
        "answers",
        "answers/simulate",
    }
    assert set(outcome.executed) == {"split", "compile_subgraph", "fuse", "answers", "simulate"}


def test_an_operator_of_a_chip_partitions_for_that_chip_again_and_compiles_nothing(zoo: Zoo) -> None:
    edit(zoo, "Neg = []", 'Neg = ["size:small"]')
    outcome = zoo.build("//m:all")
    ran = {(e["label"], e["action"]) for e in outcome.finished("executed")}
    assert {action for _, action in ran} == {"preflight", "partition"}
    assert of_ax615(ran)


def test_a_comment_in_a_chips_file_runs_nothing(zoo: Zoo) -> None:
    edit(zoo, "[figures]", "# a comment\n[figures]")
    assert zoo.build("//m:all").executed == []


def test_an_edit_of_a_chips_file_is_seen_by_a_build_that_had_nothing_to_do(zoo: Zoo) -> None:
    assert [zoo.build("//m:ax615_npu1").executed for _ in range(2)] == [[], []]
    edit(zoo, "NPU1 = { groups = 1", "NPU3 = { groups = 1")
    refused = zoo.run("build", "//m:ax615_npu1")
    assert refused.code == 2
    assert "m/BUILD.toml" in refused.err
    assert "AX615 has no npu_mode 'NPU1'" in refused.err


def test_a_chip_is_added_by_a_file(zoo: Zoo) -> None:
    folder = (zoo.package / AX615_FILE).parent
    text = (folder / "m57.toml").read_text()
    for old, new in (('"M57"', '"NEW1"'), ("container = 4", "container = 2001"), ("aliases = []", 'aliases = ["NEW"]')):
        assert old in text
        text = text.replace(old, new)
    (folder / "new1.toml").write_text(text)
    build = zoo.root / "m/BUILD.toml"
    build.write_text(build.read_text() + target("NEW", "NPU1"))
    outcome = zoo.build("//m:new_npu1", "//m:new_npu1_equal")
    assert "compile_subgraph" in outcome.executed
    made = read((zoo.root / "axbuild-out/m/new_npu1/compiled.axmodel").read_bytes())
    assert (made.target_hardware, made.chip_number) == ("NEW1", 2001)
