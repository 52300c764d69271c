"""What comes to axbuild from outside: a whole example of each kind, and where it is read.

A reader raises an error of axbuild's for what it refuses, and WrongAnswer where it takes what it should not have taken.
"""

from __future__ import annotations

import io
import json
import random
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import onnx
from mutants import mutated, mutated_model
from npu_world import CHIPS
from onnx import helper

from axbuild.store.faults import RefusedRow
from axbuild.store.result import ActionResult, result_of
from axbuild.store.rows import value_of
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.feed import Feed, files_in
from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.axmodel.given import GivenParams, given
from axbuild.toolchain.axmodel.inspect import inspect
from axbuild.toolchain.axmodel.random_samples import RandomSamplesParams, random_samples
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.data.archives import members
from axbuild.toolchain.data.arrays import decode_array
from axbuild.toolchain.frontend.model_check import ModelCheckParams, model_check
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import MODEL_FILE
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.preflight import PreflightParams
from axbuild.toolchain.npu.plan.preflight_quantised import preflight_quantised
from axbuild.toolchain.quant.read_quantised import ReadQuantisedParams, read_quantised
from axbuild.workspace.disk import MemoryDisk
from axbuild.workspace.ignore import Ignore
from axbuild.workspace.packages import Packages
from axbuild.workspace.rulepack import load_rules, standard_module
from chain_world import compiled_programs, place, run_chain
from frontend_world import model, node, normal

SHAPE = (1, 3, 4, 4)
BUILD = b"""
[[float_model]]
name = "float"
src = "net.onnx"
input_shapes = { x = [1, 3, 4, 4] }

[[calibration_set]]
name = "calib"
src = "set.tar"
size = 4
mean = [1.5, 2.5, 3.5]

[[quant_model]]
name = "quant"
model = ":float"
calibration = { x = ":calib" }
layer_configs = [{ op_types = ["Add"], data_type = "U16" }]
"""

Reader = Callable[[bytes, Path], None]
"""takes the bytes, and a folder that is its own"""


class WrongAnswer(Exception):
    """Damaged bytes were taken, and what came of them is wrong."""


def array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(48, dtype=np.float32).reshape(SHAPE))
    return out.getvalue()


def read_array(data: bytes, _folder: Path) -> None:
    decode_array(data, "a.npy", SHAPE, "float32", "x")


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(3):
            made.writestr(f"deep/{number}.npy", array())
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for number in range(3):
            info = tarfile.TarInfo(f"deep/{number}{'é' * 60}.npy")
            info.size = len(array())
            made.addfile(info, io.BytesIO(array()))
    return out.getvalue()


def reader_of_archives(suffix: str) -> Reader:
    def read(data: bytes, folder: Path) -> None:
        (folder / f"set{suffix}").write_bytes(data)
        with members(folder) as found:
            for member in found:
                member.read()

    return read


def reader_of_build_files() -> Reader:
    rules = load_rules(None).rules

    def read(data: bytes, _folder: Path) -> None:
        disk = MemoryDisk({"m/BUILD.toml": data, "m/net.onnx": b"", "m/set.tar": b""})
        Packages(disk, Ignore(), rules, {}).targets("m")

    return read


def row() -> bytes:
    key = {
        "code": "c" * 64,
        "inputs": {"a": "1" * 64},
        "params": {},
        "platform": None,
        "stage": "s:f",
        "tools": {"n": "1"},
    }
    result = ActionResult(key, {"o": "2" * 64, "tree/": {"a/b": "3" * 64}}, ({"code": "AX1", "sentence": "s"},), 1.5)
    return json.dumps(["result/x", vars(result)]).encode()


def read_row(data: bytes, _folder: Path) -> None:
    # As the database would: what is no UTF-8 never comes so far.
    with suppress(RefusedRow):
        result_of(value_of("result/x", data.decode("utf-8", "surrogateescape")))


@cache
def network() -> onnx.ModelProto:
    """An old opset, weights large and small, one node on the CPU, a shape that is a constant."""
    weights = {"w": normal(16, 3, 3, 3), "b": normal(16), "v": normal(4, 144), "flat": np.array([1, -1])}
    return model(
        [
            node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["r"], "relu"),
            node("Erf", ["r"], ["e"], "erf"),
            node("MaxPool", ["e"], ["p"], "pool", kernel_shape=[3, 3], strides=[2, 2]),
            node("Reshape", ["p", "flat"], ["f"], "flatten"),
            node("Gemm", ["f", "v"], ["y"], "head", transB=1),
        ],
        weights,
        inputs=(("x", [1, 3, 8, 8]),),
        opset=11,
    )


SAMPLES = [normal(1, 3, 8, 8) / 2, normal(1, 3, 8, 8)]
DATA = "net.data"
"""where the network's last weight stands"""


@cache
def float_model() -> tuple[bytes, bytes]:
    """(the file, its external data)"""
    proto = onnx.ModelProto.FromString(network().SerializeToString())
    last = next(tensor for tensor in proto.graph.initializer if tensor.name == "v")
    content = last.raw_data
    onnx.external_data_helper.set_external_data(last, DATA)
    last.ClearField("raw_data")
    return proto.SerializeToString(), content


def reader_of_float_models() -> Reader:
    """As a build: the client finds the data files, the front end reads the model, which is compared with what it made
    of it, compiled, and checked."""
    external_data_files, weights = standard_module("_external_data").external_data_files, float_model()[1]

    def read(data: bytes, folder: Path) -> None:
        disk = MemoryDisk({"net.onnx": data, DATA: weights})
        source = folder / "source"
        source.mkdir()
        (source / "model.onnx").write_bytes(data)
        for name in external_data_files(disk, "net.onnx"):
            (source / name).write_bytes(weights)
        optimize(source, folder, params=OptimizeParams())
        model_check(source, folder / "optimized", folder, params=ModelCheckParams())
        _require_passed(folder / "verdict.json")
        proto = onnx.load(folder / "optimized" / MODEL_FILE)
        rng = np.random.default_rng(0)
        samples = {port.name: [_random(rng, port)] for port in proto.graph.input}
        _require_passed(run_chain(proto, folder / "chain", samples).folder / "equal/verdict.json")

    return read


def _random(rng: np.random.Generator, port: onnx.ValueInfoProto) -> np.ndarray:
    tensor = port.type.tensor_type
    return rng.normal(0, 2, [dim.dim_value for dim in tensor.shape.dim]).astype(
        helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    )


def _require_passed(verdict: Path) -> None:
    content = json.loads(verdict.read_text())
    if not content["passed"]:
        raise WrongAnswer(content["sentence"])


@cache
def compiled() -> bytes:
    """The network compiled: on the NPU, the CPU and the NPU again."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run_chain(network(), Path(folder), {"x": SAMPLES}).axmodel.read_bytes()


def reader_of_compiled_models() -> Reader:
    """Whoever takes a changed file must say and answer what the whole one does."""
    with TemporaryDirectory() as folder:
        (whole := Path(folder, "compiled.axmodel")).write_bytes(compiled())
        expected = answers(whole)

    def read(data: bytes, folder: Path) -> None:
        (file := folder / "compiled.axmodel").write_bytes(data)
        if answers(file) != expected:
            raise WrongAnswer("a session or `axbuild inspect` gives another answer")

    return read


def answers(file: Path) -> tuple[dict[str, Any], list[bytes]]:
    """(what `axbuild inspect` says, the outputs of a session)"""
    facts, _ = inspect(file, {})
    outputs = InferenceSession(file).run(None, {"x": SAMPLES[0]})
    of_the_file = ("bytes", "sha256")
    return {key: fact for key, fact in facts.items() if key not in of_the_file}, [one.tobytes() for one in outputs]


@cache
def quantised() -> tuple[bytes, bytes]:
    """The network quantised, and the records of how."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = run_chain(network(), Path(folder), {"x": SAMPLES}).folder / "quant"
        return (made / "quant_axmodel.onnx").read_bytes(), (made / "quant_axmodel.json").read_bytes()


def reader_of_quantised_models() -> Reader:
    """As a build with model_type QuantAxModel: looked over, compiled, and checked on random samples."""
    records, chip = quantised()[1], CHIPS["AX650"]

    def read(data: bytes, folder: Path) -> None:
        source = place(folder, "given")
        (source / "quant_axmodel.onnx").write_bytes(data)
        (source / "quant_axmodel.json").write_bytes(records)
        read_quantised(source, place(folder, "quant"), params=ReadQuantisedParams())
        quant, outline = folder / "quant/quant_axmodel.onnx", folder / "quant/outline"
        support = chip.support_in("NPU1")
        preflight_quantised(quant, outline, folder, params=PreflightParams(support))
        partition(quant, outline, place(folder, "cut"), params=PartitionParams(support, ()))
        cut = folder / "cut/partition"
        programs = compiled_programs(folder, (1,), chip.preset("NPU1"))
        nameplate = FuseParams(Nameplate(chip.name, chip.container, "NPU1"))
        fuse([cut], [programs], place(folder, "fused"), params=nameplate)
        random_samples(quant, cut, folder, params=RandomSamplesParams(2))
        given(cut, folder / "samples", place(folder, "reference"), params=GivenParams())
        session = InferenceSession(folder / "fused/compiled.axmodel")
        for name, sample in Feed(files_in(folder / "samples", session.source.inputs)):
            expected = outputs.load(folder / "reference/boundaries", name)
            for tensor, array in zip(session.source.outputs, session.run(None, sample), strict=True):
                if not np.array_equal(array, expected[tensor.name], equal_nan=True):
                    raise WrongAnswer(f"the simulated NPU gives another '{tensor.name}' than the bodies")

    return read


@dataclass(frozen=True)
class Foreign:
    """make: a whole one; reader: what reads it, once set up; mutant: how it is damaged."""

    make: Callable[[], bytes]
    reader: Callable[[], Reader]
    mutant: Callable[[random.Random, bytes], bytes] = mutated


KINDS = {
    "npy": Foreign(array, lambda: read_array),
    "zip": Foreign(zipped, lambda: reader_of_archives(".zip")),
    "tar": Foreign(tarred, lambda: reader_of_archives(".tar")),
    "BUILD.toml": Foreign(lambda: BUILD, reader_of_build_files),
    "result row": Foreign(row, lambda: read_row),
    "onnx": Foreign(lambda: float_model()[0], reader_of_float_models, mutated_model),
    "quant_axmodel": Foreign(lambda: quantised()[0], reader_of_quantised_models, mutated_model),
    "axmodel": Foreign(compiled, reader_of_compiled_models, mutated_model),
}
