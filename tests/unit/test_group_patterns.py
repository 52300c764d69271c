"""compiler_group_patterns: which operators a pattern finds, that they run as one chain, what is told of mistakes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from npu_world import CHIPS, preset_of, support_of

from axbuild.errors import AxWarning
from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.options import CompileOptions, OpGroup
from axbuild.toolchain.npu.plan.groups import OpPattern, OpPatternNode
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.npu.plan.split import SplitParams, split
from axbuild.toolchain.npu.plan.sub_configs import SubConfig
from axbuild.toolchain.npu.program.decode import decode
from chain_world import run_chain
from frontend_world import model, node, normal


def net():
    """Three convolutions with activations, an Add over the last, and a pool."""
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="c1", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["ar"], name="r1"),
        node("Conv", ["ar", "w2"], ["b"], name="c2", pads=[1, 1, 1, 1]),
        node("Relu", ["b"], ["br"], name="r2"),
        node("Conv", ["br", "w3"], ["c"], name="c3", pads=[1, 1, 1, 1], strides=[1, 1]),
        node("Add", ["c", "br"], ["s"], name="add"),
        node("MaxPool", ["s"], ["y"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    weights = {"w1": normal(16, 3, 3, 3) / 3, "w2": normal(16, 16, 3, 3) / 9, "w3": normal(16, 16, 3, 3) / 9}
    return model(nodes, weights, inputs=(("x", [1, 3, 32, 32]),))


SAMPLES = [np.random.default_rng(n).standard_normal((1, 3, 32, 32), dtype=np.float32) for n in range(2)]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return run_chain(net(), tmp_path_factory.mktemp("groups"), {"x": SAMPLES})


def path(*types, way="Slice"):
    return OpPattern(tuple(OpPatternNode((kind,) if kind else ()) for kind in types), way)


@pytest.fixture
def cut(chain, tmp_path):
    """patterns -> (folder of a partition, its groups: what makes them, what is told)."""

    def made(*patterns, **own):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        out.mkdir()
        params = PartitionParams(support_of(), (), group_patterns=patterns, **own)
        floats, quant = chain.folder / "float/out/optimized", chain.folder / "quant/quant_axmodel.onnx"
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            partition(quant, floats, out, params=params)
        said = [
            (w.message.code, w.message.sentence) for w in told if isinstance(w.message, AxWarning) and w.message.code
        ]
        return out, [group for one in Partition.read(out / "partition").subgraphs for group in one.groups], said

    return made


def words(groups):
    return [(group.type, group.word.partition(" ")[2]) for group in groups]


FOUND = {
    "operators in turn": ([path("Conv", "Relu", "Conv")], [("Slice", "('c1' to 'c2')")]),
    "wherever they are": ([path("Conv", "Relu", way="Tile")], [("Tile", "('c1' to 'c1')"), ("Tile", "('c2' to 'c2')")]),
    "of any type": ([path("Conv", "", "Conv", way="Tile")], [("Tile", "('c1' to 'c2')")]),
    "each once, the first pattern's first": (
        [path("Conv", "Relu", "Conv"), path("Conv", "Add"), path("Add", "MaxPool")],
        [("Slice", "('c1' to 'c2')"), ("Slice", "('c3' to 'add')")],
    ),
    "with attributes": (
        [OpPattern((OpPatternNode(("Conv",), properties={"strides": [1, 1], "pads": [1, 1, 1, 1]}), OpPatternNode()))],
        [("Tile", "('c3' to 'add')")],
    ),
    "over tensors of the model": (
        [OpPattern((OpPatternNode(inputs=("br",), outputs=("c",)), OpPatternNode(outputs=("s",))), "Slice", "Tensor")],
        [("Slice", "('c3' to 'add')")],
    ),
    "by what reads what": (
        [
            OpPattern(
                (
                    OpPatternNode(("Relu",), outputs=("r",)),
                    OpPatternNode(("Conv",), inputs=("r",), outputs=("m",)),
                    OpPatternNode(("Add",), inputs=("m", "r")),
                )
            )
        ],
        [("Tile", "('c2' to 'add')")],
    ),
}


@pytest.mark.parametrize("how", FOUND)
def test_a_pattern_finds_operators(cut, how):
    patterns, expected = FOUND[how]
    assert words(cut(*patterns)[1]) == expected


def test_a_pattern_that_matches_nothing_is_told(cut):
    _, groups, told = cut(path("Conv", "Conv"), path("Conv", "AxQuantizedConv"))
    assert groups == []
    assert told == [
        ("AX595", "compiler_group_patterns[0] matches no operators"),
        (
            "AX595",
            "compiler_group_patterns[1] matches no operators: the model has no AxQuantizedConv there, types are ONNX's",
        ),
    ]


def test_operators_of_two_subgraphs_are_no_group(cut):
    parts = (SubConfig(("ar",), ("s",)),)
    _, groups, told = cut(path("Conv", "Relu", "Conv"), sub_configs=parts)
    assert words(groups) == []
    assert told == [
        (
            "AX596",
            "compiler_group_patterns[0] ('c1' to 'c2'): they do not run in one subgraph on the NPU, so that nothing "
            "joins them",
        )
    ]


def test_a_part_has_patterns_of_its_own(cut):
    parts = (SubConfig(("ar",), ("s",)),)
    own = (path("Conv", "Add", way="Tile"), path("MaxPool", ""))
    _, groups, told = cut(path("Conv", "Relu"), sub_configs=parts, sub_group_patterns=(own,))
    assert [group.word for group in groups] == [
        "compiler_group_patterns[0] ('c1' to 'c1')",
        "sub_configs[0].compiler_group_patterns[0] ('c3' to 'add')",
    ]
    where = "sub_configs[0].compiler_group_patterns[1]"
    assert told == [("AX595", f"{where} matches no operators: the model has no MaxPool there, types are ONNX's")]


def compiled(folder, groups, out, **options):
    """report.json and what is told."""
    out.mkdir(parents=True)
    params = CompileParams(preset_of(), 1, CompileOptions(**options), tuple(groups))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        compile_subgraph(folder / "partition/subgraph_npu_0.onnx", out, params=params)
    return json.loads((out / "report.json").read_text()), [w.message.sentence for w in told]


def interleaved(folder):
    """Whether the last of the convolutions begins before the first of them has ended."""
    program = decode((folder / "subgraph_npu_0/b1/program.msgpack").read_bytes())
    works = [job.op for job in program.jobs if job.op.endswith("Conv") and not job.cname]
    return works.index(works[-1]) < len(works) - 1 - works[::-1].index(works[0])


@pytest.mark.parametrize("way", ["Slice", "Tile"])
@pytest.mark.parametrize("effort", ["fast", "normal"])
def test_what_is_found_runs_in_bands_and_answers_the_same(cut, chain, tmp_path, way, effort):
    folder, groups, told = cut(path("Conv", "Relu", "Conv", "Relu", "Conv", way=way))
    assert told == []
    plain, _ = compiled(folder, (), tmp_path / "plain/subgraph_npu_0/b1", effort=effort)
    done, said = compiled(folder, groups, tmp_path / "made/subgraph_npu_0/b1", effort=effort)
    assert said == []
    assert [step["name"] for step in done["schedule"]][:2] == ["start", "groups"]
    assert (interleaved(tmp_path / "plain"), interleaved(tmp_path / "made")) == (False, True)
    assert effort == "normal" or plain["schedule"][-1]["name"] == "start"
    (tmp_path / "fused").mkdir()
    nameplate = Nameplate("AX650", CHIPS["AX650"].container, "NPU1")
    fuse([folder / "partition"], [tmp_path / "made"], tmp_path / "fused", params=FuseParams(nameplate))
    session, before = (InferenceSession(file) for file in (tmp_path / "fused/compiled.axmodel", chain.axmodel))
    for sample in SAMPLES:
        assert np.array_equal(session.run(None, {"x": sample})[0], before.run(None, {"x": sample})[0])


def test_what_cannot_be_a_chain_is_told_and_compiled_as_without(cut, tmp_path):
    folder, groups, _ = cut(path("Conv", "Relu"))
    plain, _ = compiled(folder, (), tmp_path / "plain")
    done, told = compiled(folder, groups, tmp_path / "made")
    assert told == [
        f"compiler_group_patterns[0] ('{name}' to '{name}') cannot run as one chain: they are one operator of the NPU"
        for name in ("c1", "c2")
    ]
    assert done["max_cycle"] == plain["max_cycle"]
    assert (tmp_path / "made/program.msgpack").read_bytes() == (tmp_path / "plain/program.msgpack").read_bytes()


def test_groups_that_meet_are_told(cut, tmp_path):
    folder, (group,), _ = cut(path("Conv", "Relu", "Conv"))
    _, told = compiled(folder, (group, OpGroup("Slice", group.outputs, "the other")), tmp_path / "made")
    assert told == ["the other cannot run as one chain: they lie among those of another group"]


def test_a_compilation_is_told_of_the_groups_that_lie_in_it_and_others_of_nothing(cut, tmp_path):
    parts = (SubConfig(("ar",), ("s",)),)
    folder, (group,), _ = cut(path("Relu", "Conv", "Add"), sub_configs=parts)
    split(folder / "partition", [], tmp_path, params=SplitParams({}, {}, (1,)))
    children = json.loads((tmp_path / "expansion.json").read_text())["children"]
    assert ["groups" in child["params"] for child in children] == [False, True, False]
    assert children[1]["params"]["groups"] == [{"type": "Slice", "outputs": list(group.outputs), "word": group.word}]
