"""Stands in for the vendor's `pulsar2`: `build --config FILE` and `version`, printing what the vendor prints.

    python pulsar2_standin.py [--says VERSION] [--light] [--mute] [--fails STAGE] [--waits FILE] build | version ...

It computes by our own stages. --light: files of the right names alone. --mute: says nothing of further shapes and of
checks. --fails: ends with an error at the line that begins the stage. --waits: writes its process's number to FILE and
sleeps. STANDIN_MOUNTS, as JSON, says where a path inside a container is outside, for a docker that contains nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tarfile
import time
import zipfile
from datetime import datetime
from pathlib import Path

STAGES = ("data", "calibration", "compilation")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--says", default="5.1")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--mute", action="store_true")
    parser.add_argument("--fails", choices=STAGES)
    parser.add_argument("--waits", type=Path)
    parser.add_argument("command", choices=("build", "version"))
    parser.add_argument("--config", type=Path)
    asked = parser.parse_args()
    if asked.command == "version":
        print(f"version: {asked.says}\ncommit: 0123abcd")
        return 0
    if asked.waits:
        asked.waits.write_text(str(os.getpid()))
        time.sleep(300)
    try:
        Build(asked.fails, asked.light, asked.mute).run(here(asked.config))
    except Failed as failed:
        log("ERROR", f"{failed}")
        return 1
    return 0


class Failed(Exception):
    pass


def log(level: str, said: str) -> None:
    now = datetime.now().isoformat(" ", "milliseconds")
    print(f"\x1b[32m{now}\x1b[0m | \x1b[1m{level:<8}\x1b[0m | yamain.command.build:step:1 - {said}", flush=True)


def here(path: Path | str) -> Path:
    """Where a path of the container is."""
    for inside, outside in json.loads(os.environ.get("STANDIN_MOUNTS", "{}")).items():
        if Path(path).is_relative_to(inside):
            return outside / Path(path).relative_to(inside)
    return Path(path)


class Build:
    def __init__(self, fails: str | None, light: bool, mute: bool) -> None:
        self._fails, self._light, self._mute = fails, light, mute

    def run(self, file: Path) -> None:
        self.config = json.loads(file.read_text())
        self.out = here(self.config["output_dir"])
        self.name = self.config.get("output_name", "compiled.axmodel")
        if self.config.get("model_type", "ONNX") != "QuantAxModel":
            self.quantise(here(self.config["input"]))
            self.compile(self.out / "quant/quant_axmodel.onnx")
        else:
            self.compile(here(self.config["input"]))

    @property
    def order(self) -> str:
        """Of channels, in calibration as at run time."""
        return next(iter(self.config.get("input_processors", ())), {}).get("tensor_format", "BGR")

    def stage(self, name: str) -> None:
        if name == self._fails:
            raise Failed(f"\x1b[31mop [conv_1] of type Conv\x1b[0m is not supported in {name}")

    def quantise(self, model: Path) -> None:
        entries = self.config["quant"]["input_configs"]
        archives = [here(entry["calibration_dataset"]) for entry in entries]
        for entry, archive in zip(entries, archives, strict=True):
            log("INFO", f"extract [{archive.name}] to [{self.out / 'quant/dataset' / entry['tensor_name']}]...")
            with tarfile.open(archive) as held:
                print(f"{len(held.getnames())} File(s) Loaded.")
        self.stage("data")
        print("Building onnx ━━━━━━━━━━ 100% 0:00:00")
        log("WARNING", "apply default output processor configuration to ['y']")
        print("Calibration Progress(Phase 1):  50%|█████\rCalibration Progress(Phase 1): 100%|██████████|")
        self.stage("calibration")
        (self.out / "quant").mkdir()
        (self.out / "frontend").mkdir()
        if self._light:
            for name in ("quant/quant_axmodel.onnx", "quant/quant_axmodel.json", "frontend/optimized.onnx"):
                (self.out / name).write_text(f"{name} {datetime.now()}")
        else:
            self._quantise(model, entries[0], archives[0])
        if self.config["quant"].get("precision_analysis"):
            (self.out / "quant/debug").mkdir()
            for name in ("precision_analysis_table.txt", "precision_analysis.mmd"):
                (self.out / "quant/debug" / name).write_text("Quant Precision")
        log("INFO", "Network Quantization Finished.")
        log("INFO", "quant.axmodel export success:")

    def compile(self, quant: Path) -> None:
        print("Building native ━━━━━━━━━━ 100% 0:00:00")
        asked = self.config.get("compiler", {}).get("static_batch_sizes") or [1]
        self._shapes()
        log("INFO", "compile npu subgraph [0]")
        print("tiling op...   ━━━━━━━━━━ 8/8 0:00:00")
        self.stage("compilation")
        if self._light:
            (self.out / self.name).write_text(f"{quant.read_text()} {asked}")
            report = {"macs": 1234567, "max_cycle": 4321}
        else:
            report = self._compile(quant, asked)
        log("INFO", f"QuantAxModel macs: {report['macs']:,}")
        if self.config.get("compiler", {}).get("check") and not self._mute:
            log("SUCCESS", "check npu graph [subgraph_npu_0_b1] [y], (1, 4, 8, 8), uint8 successfully!")
        log("INFO", f"max_cycle = {report['max_cycle']:,}")
        log("WARNING", f"graph [subgraph_npu_0] batchs {asked}")
        log("INFO", "fuse 1 subgraph(s)")

    def _shapes(self) -> None:
        """As the vendor tells of them; nothing is compiled at any."""
        entries = self.config.get("input_processors", ())
        counts = {len(entry.get("src_extra_shapes", ())) for entry in entries}
        for index in range(max(counts, default=0)) if not self._mute else ():
            shapes = {entry["tensor_name"]: tuple(entry["src_extra_shapes"][index]["shape"]) for entry in entries}
            log("INFO", f"extra input shape, index: {index + 1}, shape: {shapes}")

    def _quantise(self, model: Path, entry: dict, archive: Path) -> None:
        from axbuild.toolchain.data.decode import DecodeParams, decode
        from axbuild.toolchain.data.inputs import InputData
        from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
        from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
        from axbuild.toolchain.quant.observe import ObserveParams, observe
        from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
        from axbuild.toolchain.quant.watch import WatchParams, watch

        mean, std = (tuple(entry.get(f"calibration_{name}", ())) for name in ("mean", "std"))
        optimize(model.parent, self.room("float"), params=OptimizeParams())
        graph, data = self.out / "float/optimized", self.room("data")
        data.joinpath(archive.name).symlink_to(archive.resolve())
        how = DecodeParams("", entry["calibration_format"], entry["calibration_size"], self.order, mean, std)
        decode(data, self.out / "float/interface.json", self.room("decoded"), params=how)
        watch(graph, self.room("watched"), params=WatchParams())
        inputs = ObserveParams((InputData("", entry["calibration_format"], mean, std),))
        samples = [self.out / "decoded/samples"]
        observe(graph, self.out / "watched/watch.json", samples, self.room("observed"), params=inputs)
        method = CalibrateParams(self.config["quant"].get("calibration_method", "MinMax"))
        calibrate(graph, self.out / "observed/statistics.msgpack", self.room("scheme"), params=method)
        quantize(graph, self.out / "scheme/scheme.msgpack", self.out / "quant", params=QuantizeParams())
        # What the vendor keeps in that file is its own affair; here it is the graph that the compiler needs beside it.
        with zipfile.ZipFile(self.out / "quant/quant_axmodel.data", "w") as kept:
            for path in graph.iterdir():
                kept.write(path, path.name)
        (self.out / "frontend/optimized.onnx").write_bytes(next(graph.glob("*.onnx")).read_bytes())

    def _compile(self, quant: Path, batches: list[int]) -> dict:
        from npu_world import CHIPS

        from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
        from axbuild.toolchain.data.processors import InputProcessor
        from axbuild.toolchain.npu.chips.records import Nameplate
        from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
        from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
        from axbuild.toolchain.npu.plan.record import NPU, Partition

        chip, mode = CHIPS[self.config["target_hardware"]], self.config.get("npu_mode", "NPU1")
        graph = self.room("unpacked")
        with zipfile.ZipFile(quant.with_suffix(".data")) as kept:
            kept.extractall(graph)
        one = next(iter(self.config.get("input_processors", ())), {})
        plain = InputProcessor(
            one.get("tensor_name", "DEFAULT"), self.order, self.order, one.get("src_dtype", "FP32"),
            one.get("src_layout", "NCHW"), tuple(one.get("mean", ())), tuple(one.get("std", ())),
        )  # fmt: skip
        partition(quant, graph, self.room("cut"), params=PartitionParams(chip.support_in(mode), (plain,)))
        cut, programs = self.out / "cut/partition", self.room("programs")
        for subgraph in Partition.read(cut).at(NPU):
            for batch in batches:
                out = programs / subgraph.name / f"b{batch}"
                out.mkdir(parents=True)
                params = CompileParams(chip.preset(mode), subgraph.batch_of(batch))
                compile_subgraph(cut / subgraph.file, out, params=params)
        fuse([cut], [programs], self.room("fused"), params=FuseParams(Nameplate(chip.name, chip.container, mode)))
        (self.out / "fused/compiled.axmodel").rename(self.out / self.name)
        return json.loads(next(programs.glob("subgraph_npu_0/*/report.json")).read_text())

    def room(self, name: str) -> Path:
        (self.out / name).mkdir()
        return self.out / name


if __name__ == "__main__":
    sys.exit(main())
