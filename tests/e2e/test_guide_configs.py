"""Every configuration that the vendor's build guide prints, built on a small net that has the names it uses."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.pulsar2.message import Message
from axbuild.toolchain.pulsar2.read import parse_config
from command_mould import mould
from guide_standins import CONFIGS, STANDINS, place, text_of
from zoo_workspace import Outcome


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, Outcome]]]:
    """name -> the folder that it was built in, and what the command said."""
    room = tmp_path_factory.mktemp("guide")
    environment = dict(os.environ) | {"AXBUILD_CACHE_DIR": str(room / "cache")}
    found = {}
    with mould(room, environment) as commands:
        for name in STANDINS:
            root = room / name
            root.mkdir()
            found[name] = (root, commands.run(root, *place(name, root)))
    yield found
    shutil.rmtree(room, ignore_errors=True)


def test_every_configuration_of_the_guide_has_a_stand_in() -> None:
    assert sorted(STANDINS) == sorted(path.stem for path in CONFIGS.glob("*.json"))


@pytest.mark.parametrize("name", STANDINS)
def test_the_configuration_builds_and_every_setting_of_it_is_in_what_was_built(
    built: dict[str, tuple[Path, Outcome]], name: str
) -> None:
    root, outcome = built[name]
    assert outcome.code == 0, outcome.out + outcome.err
    context = (root / "out/build_context.json").read_text(encoding="utf-8")
    settled = parse_config(context, "build_context.json")
    flags = {"device"} if name == "1683_adaround" else set()
    assert differing(parse_config(text_of(name), "c.json"), settled, "", flags) == []


LINES = {
    "0606_two_cores": (
        "Network Quantization Finished.",
        "compile npu subgraph [0]",
        "max_cycle = ",
        "fuse 1 subgraph(s)",
    ),
    "0732_precision_analysis": ("Quant Precision Table【PerLayer Reference】",),
    "1312_input_shapes": ("change input shape to {'data': (1, 3, 384, 384)}",),
    "1344_extra_sizes": ("extra input shape, index: 1, shape: {'data': (1, 3, 384, 384)}",),
    "1394_op_processors": ("set op [pool6] attr [ceil_mode] to 1",),
    "1421_const_processors": ("update data of const tensor [reshape_0_shape], (-1, 96, 48), S64",),
    "1460_sub_configs": (
        *(f"subgraph [{number}], group: 0, type: GraphType.NPU" for number in range(3)),
        "compile npu subgraph [1]",
        "SUCCESS | check npu graph [subgraph_npu_1] [op_5:AxQuantizedConv_out]",
    ),
    "1520_transformer": ("Transformer optimize level: 2",),
    "1683_adaround": (
        "AX Adaround Reconstruction Running ...",
        "Check following parameters:",
        "Is Scale Trainable:",
        "Learning Rate:             0.0001",
    ),
}
"""what the guide prints of a configuration's log"""


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in LINES.items() for line in lines])
def test_the_log_says_what_the_guide_prints(built: dict[str, tuple[Path, Outcome]], name: str, line: str) -> None:
    assert line in built[name][1].out


def differing(said: Message, settled: Message, path: str, but: set[str]) -> list[str]:
    """Fields that the guide sets and that the build was done with otherwise; data may lie elsewhere."""
    found = []
    for field, _, value in said.given():
        own = getattr(settled, field)
        if isinstance(value, Message):
            found += differing(value, own, f"{path}{field}.", but)
        elif isinstance(value, tuple) and value and isinstance(value[0], Message):
            for one, other in zip(value, own, strict=True):
                found += differing(one, other, f"{path}{field}[].", but)
        elif value != own and field not in but and not str(value).startswith("s3://"):
            found.append(f"{path}{field}")
    return found


def compiled(built: dict[str, tuple[Path, Outcome]], name: str):
    return read((built[name][0] / "out/compiled.axmodel").read_bytes())


def test_input_shapes_are_those_of_the_compiled_model(built: dict[str, tuple[Path, Outcome]]) -> None:
    assert [tuple(one.shape) for one in compiled(built, "1312_input_shapes").inputs] == [(1, 3, 384, 384)]


def test_a_further_size_is_a_group(built: dict[str, tuple[Path, Outcome]]) -> None:
    assert compiled(built, "1344_extra_sizes").shape_groups() == (0, 1)


def test_a_patched_pool_rounds_up(built: dict[str, tuple[Path, Outcome]]) -> None:
    assert [tuple(one.shape) for one in compiled(built, "1394_op_processors").outputs] == [(1, 4, 4, 4)]
    assert "set op [pool6] attr [ceil_mode] to 1" in built["1394_op_processors"][1].out


def test_a_patched_constant_is_the_shape(built: dict[str, tuple[Path, Outcome]]) -> None:
    assert [tuple(one.shape) for one in compiled(built, "1421_const_processors").outputs] == [(1, 96, 48)]


def test_a_part_is_one_of_three_subgraphs(built: dict[str, tuple[Path, Outcome]]) -> None:
    reports = (built["1460_sub_configs"][0] / "out/compiler/debug").glob("subgraph_npu_*/b1/report.json")
    assert len(list(reports)) == 3


def test_a_camera_s_picture_is_one_plane_and_a_half(built: dict[str, tuple[Path, Outcome]]) -> None:
    (one,) = compiled(built, "1652_yuv").inputs
    assert (one.dtype, tuple(one.shape)) == ("uint8", (1, 48, 32, 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1181_whole_model_u16", {"first": ("U16", "U16"), "sum": ("U16", "U16"), "y": ("U16", "U16")}),
        ("1195_conv_output_fp32", {"first": ("U8", "FP32"), "sum": ("U8", "U8"), "y": ("U8", "FP32")}),
        ("1209_fp32_but_conv", {"first": ("U8", "FP32"), "sum": ("FP32", "FP32"), "y": ("U8", "FP32")}),
    ],
)
def test_operators_read_and_give_what_the_guide_sets(
    built: dict[str, tuple[Path, Outcome]], name: str, expected: dict[str, tuple[str, str]]
) -> None:
    """Two Conv and the Add between them, in the records that the quantised model is described by."""
    records = json.loads((built[name][0] / "out/quant/quant_axmodel.json").read_text())
    types = {operator: [tensor["data_type"] for tensor in records[operator].values()] for operator in expected}
    assert {operator: (found[0], found[-1]) for operator, found in types.items()} == expected


def test_the_activation_of_a_qdq_model_reads_16_bits(built: dict[str, tuple[Path, Outcome]]) -> None:
    layers = built["1610_qdq_yolov5s"][1].out.partition("Layer Config Table")[2]
    assert re.search(r"Silu\s+\S?\s*U16", layers)
