"""sub_configs: which operators a part takes, what it may not be, and what it is compiled and checked with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from npu_world import preset_of, support_of

from axbuild.errors import AxError, AxWarning
from axbuild.toolchain.axmodel.container import NpuSubgraph
from axbuild.toolchain.axmodel.facts import parts
from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.plan.flow import Flow, FlowNode
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.preflight import PreflightParams, preflight
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.npu.plan.sub_configs import SubConfig, parts_of
from axbuild.toolchain.npu.profile.profile import ProfileParams, profile
from chain_world import run_chain
from frontend_world import model, node, normal

MIDDLE = SubConfig(("ar",), ("s",))


def net():
    """c1 + Relu, c2 + HardSwish, c3, Add of c3's and c1's maps, c4, a MaxPool of it."""
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="c1", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["ar"], name="r1"),
        node("Conv", ["ar", "w2"], ["b"], name="c2", pads=[1, 1, 1, 1]),
        node("HardSwish", ["b"], ["br"], name="r2"),
        node("Conv", ["br", "w3"], ["c"], name="c3", pads=[1, 1, 1, 1]),
        node("Add", ["c", "ar"], ["s"], name="add"),
        node("Conv", ["s", "w4"], ["d"], name="c4"),
        node("MaxPool", ["d"], ["y"], name="pool", kernel_shape=[2, 2]),
    ]
    weights = {"w1": normal(4, 3, 3, 3) / 3, "w2": normal(4, 4, 3, 3) / 4, "w3": normal(4, 4, 3, 3) / 4}
    return model(nodes, weights | {"w4": normal(4, 4, 1, 1)}, inputs=(("x", [1, 3, 8, 8]),))


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The whole way of a model with one part, on two batches."""
    rng = np.random.default_rng(0)
    samples = {"x": [rng.standard_normal((1, 3, 8, 8), dtype=np.float32) for _ in range(3)]}
    return run_chain(net(), tmp_path_factory.mktemp("chain"), samples, batches=(1, 2), sub_configs=(MIDDLE,))


@pytest.fixture
def cut(chain, tmp_path):
    """sub_configs -> the subgraphs of a partition: (inputs, outputs, number of its sub_config)."""

    def made(*sub_configs, lacking=(), before=False):
        own = support_of()
        chip = type(own)(own.name, {name: v for name, v in own.operators.items() if name not in lacking}, own.memory)
        floats, quant = chain.folder / "float/out/optimized", chain.folder / "quant/quant_axmodel.onnx"
        if before:
            preflight(floats, tmp_path, params=PreflightParams(chip, sub_configs=sub_configs))
            return []
        processor = InputProcessor("x", "RGB", "RGB", "FP32", "NCHW", (), ())
        partition(quant, floats, tmp_path, params=PartitionParams(chip, (processor,), sub_configs=sub_configs))
        return [(one.inputs, one.outputs, one.sub_config) for one in Partition.read(tmp_path / "partition").subgraphs]

    return made


def test_a_part_in_the_middle_makes_three_subgraphs_that_meet_in_the_named_tensors(chain):
    subgraphs = read(chain.axmodel.read_bytes()).subgraphs
    assert all(isinstance(one, NpuSubgraph) for one in subgraphs)
    assert [(one.name, one.inputs, one.outputs) for one in subgraphs] == [
        ("subgraph_npu_0", ("x",), ("ar",)),
        ("subgraph_npu_1", ("ar",), ("s",)),
        ("subgraph_npu_2", ("s",), ("y",)),
    ]


def test_what_is_compiled_in_parts_answers_bit_for_bit(chain):
    assert chain.verdict("equal")["sentence"] == "588 elements of 1 output on 3 samples: equal bit for bit"


@pytest.mark.parametrize(
    ("sub_configs", "expected"),
    [
        ((), [("x", "y", None)]),
        ((SubConfig(("DEFAULT",), ("DEFAULT",)),), [("x", "y", 0)]),
        ((SubConfig(("DEFAULT",), ("ar",)),), [("x", "ar", 0), ("ar", "y", None)]),
        ((SubConfig(("x/codes",), ("ar",)),), [("x", "x/codes", None), ("x/codes", "ar", 0), ("ar", "y", None)]),
        ((SubConfig(("d",), ("y",)), SubConfig(("s",), ("d",))), [("x", "s", None), ("s", "d", 1), ("d", "y", 0)]),
        (
            (SubConfig(("ar",), ("br",)), SubConfig(("br", "ar"), ("s",))),
            [("x", "ar", None), ("ar", "br", 0), ("br ar", "s", 1), ("s", "y", None)],
        ),
    ],
)
def test_each_part_is_a_subgraph_of_its_own(cut, sub_configs, expected):
    assert [(" ".join(ins), " ".join(outs), own) for ins, outs, own in cut(*sub_configs)] == expected
    assert cut(*sub_configs, before=True) == []


NEAREST = "the nearest tensors are 'ar' before it and 'br' behind it"
FAULTS = {
    "an unknown name": ([("arr", "s")], "the model has no tensor 'arr'", "did you mean ar?"),
    "an operator's name": ([("c2", "s")], "'c2' is an operator and no tensor", "it writes 'br'"),
    "an end before its start": (
        [("s", "ar")],
        "no operator is between 's' and 'ar'",
        "start_tensor_names come before end_tensor_names",
    ),
    "an end inside a fused node": (
        [("ar", "b")],
        "'b' lies inside the fused node 'c2', which is compiled as one",
        NEAREST,
    ),
    "a start inside a fused node": (
        [("b", "s")],
        "'b' lies inside the fused node 'c2', which is compiled as one",
        NEAREST,
    ),
    "what enters": ([("br", "s")], "'ar' enters it too", "add 'ar' to start_tensor_names, or start before it"),
    "what leaves": ([("x", "br")], "'ar' leaves it too", "add 'ar' to end_tensor_names, or end behind it"),
    "a start too many": (
        [("ar x", "s")],
        "nothing of it reads its start 'x'",
        "leave it out of start_tensor_names",
    ),
    "an end too many": ([("s", "y ar")], "no way leads from its start to 'ar'", "leave it out of end_tensor_names"),
    "an end inside it": (
        [("ar", "s d")],
        "its end 's' is read inside it alone",
        "leave it out of end_tensor_names",
    ),
    "what comes back": (
        [("x c", "ar s")],
        "its start 'c' comes from what leaves it",
        "take what lies between, too",
    ),
    "two of one operator": (
        [("ar", "s"), ("c ar", "s")],
        "sub_configs[1] and sub_configs[0] both take 'add'",
        "let the one end at the tensor that the other starts at",
    ),
}


@pytest.mark.parametrize("before", [True, False], ids=["before it is quantised", "when it is cut"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_stand_alone_is_refused_with_a_way_out(cut, fault, before):
    parts, sentence, hint = FAULTS[fault]
    with pytest.raises(AxError) as caught:
        cut(*(SubConfig(tuple(a.split()), tuple(b.split())) for a, b in parts), before=before)
    assert caught.value.code == "AX413"
    assert caught.value.sentence == (sentence if " both " in sentence else f"sub_configs[0]: {sentence}")
    assert caught.value.hint == hint


@pytest.mark.parametrize("before", [True, False], ids=["before it is quantised", "when it is cut"])
def test_a_part_with_an_operator_on_the_cpu_is_refused(cut, before):
    with pytest.raises(AxError) as caught:
        cut(MIDDLE, lacking=("Add",), before=before)
    assert caught.value.sentence.startswith("sub_configs[0]: 'add' between its tensors runs on the CPU: ")


def test_a_part_stands_beside_what_runs_on_the_cpu(cut):
    with pytest.warns(AxWarning, match="1 of 8 operators on the CPU of AX650: 'pool'"):
        found = cut(MIDDLE, lacking=("MaxPool",))
    assert found == [
        (("x",), ("ar",), None),
        (("ar",), ("s",), 0),
        (("s",), ("d/real",), None),
        (("d/real",), ("y",), None),
    ]


def test_a_tensor_that_fusing_swallowed_is_told_with_its_fused_node(cut):
    with pytest.raises(AxError, match="'a' lies inside the fused node 'c1'") as caught:
        cut(SubConfig(("a",), ("s",)))
    assert caught.value.hint == "the nearest tensors are 'x/codes' before it and 'ar' behind it"


def test_parts_that_wait_for_each_other_are_refused():
    steps = [("a", "x", "p"), ("d", "x", "q"), ("c", "p", "u"), ("b", "q", "v")]
    nodes = tuple(FlowNode(name, (read,), (written,)) for name, read, written in steps)
    crossed = Flow(nodes, ("x",), ("u", "v"), {}, {})
    first, second = SubConfig(("x", "q"), ("p", "v")), SubConfig(("p", "x"), ("u", "q"))
    assert parts_of(crossed, (first,)) == ({"a", "b"},)
    assert parts_of(crossed, (second,)) == ({"c", "d"},)
    with pytest.raises(AxError) as caught:
        parts_of(crossed, (first, second))
    assert caught.value.sentence == "sub_configs[0] and sub_configs[1] wait for each other"


def test_the_record_says_which_part_a_subgraph_is(chain):
    record = json.loads((chain.folder / "cut/partition/partition.json").read_text())
    assert [one["sub_config"] for one in record["subgraphs"]] == [None, 0, None]


def test_the_time_of_one_part_can_be_profiled_alone(chain, tmp_path):
    params = ProfileParams(preset_of(), sub_options=(CompileOptions(),), sub_configs=(0,))
    profile(chain.folder / "cut/partition", chain.folder / "programs", tmp_path, params=params)
    assert [path.name for path in (tmp_path / "debug").iterdir()] == ["subgraph_npu_1"]


def test_a_build_tells_the_cycles_and_stages_of_each_subgraph(chain):
    planned = Partition.read(chain.folder / "cut/partition")
    batches = planned.compiled(chain.folder / "programs")
    lines = list(parts(planned, chain.folder / "programs", batches))
    reports = [json.loads((chain.folder / f"programs/subgraph_npu_{n}/b1/report.json").read_text()) for n in range(3)]
    first, middle, _ = (f"{report['max_cycle']:,} cycles at batch 1; " for report in reports)
    assert lines[0].startswith(f"subgraph_npu_0: {first}2 operators in ")
    assert lines[1].startswith(f"subgraph_npu_1 (sub_configs[0]): {middle}4 operators in ")
    assert [line.rpartition(" with DDR swap, ")[2] for line in lines] == [
        f"{report['jobs']} jobs" for report in reports
    ]
