"""What modes and effort make of schedules: python benchmarks/schedule.py [MODEL.onnx ...] [--nets NAMES] [--write FILE]

Each network on each chip with the compiler's defaults, with enable_slice_mode, with enable_tile_mode, with both, and
with effort normal and high: estimated cycles, bytes that move to ddr_swap and back, all bytes of the DDR, and CPU
seconds of the layout. `same` says that the simulated outputs are, bit for bit, those of the operators one after
another. Networks of the script's own have published sizes and random weights; files are quantised with MinMax on
random samples, since cycles hang on shapes alone, and their largest NPU subgraph is taken. Open dimensions are those
of --shape, or 1.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
import published_nets
import tables
from nets import mobilenet_v2
from npu_world import chip_of, support_of
from yolo import yolo

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.compile import assemble, laid_out
from axbuild.toolchain.npu.layout.choices import Choices
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.search import Chosen, Workbench
from axbuild.toolchain.npu.net import Net, net_of, read_model
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import NPU, Partition
from axbuild.toolchain.npu.program.figures import ddr_traffic
from axbuild.toolchain.npu.program.form import Program
from axbuild.toolchain.npu.simulator.machine import simulate
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.merge import MergeParams, merge
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.watch import WatchParams, watch

NETS = {"mobilenet_v2": mobilenet_v2, "resnet50": published_nets.resnet50, "yolo": yolo}
OPTIONS = {
    "default": CompileOptions(),
    "slice": CompileOptions(enable_slice_mode=True),
    "tile": CompileOptions(enable_tile_mode=True),
    "slice, tile": CompileOptions(enable_slice_mode=True, enable_tile_mode=True),
    "normal": CompileOptions(effort="normal"),
    "high": CompileOptions(effort="high"),
}
SWAPPING = ("ld:ddr_swap", "st:ddr_swap")


@dataclass(frozen=True)
class Row:
    """One way to lay a network out. bytes: MB of 10^6."""

    network: str
    chip: str
    options: str
    cycles: int
    swapped: float
    ddr: float
    seconds: float
    same: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--nets", default="", help="of the script's own: " + ", ".join(NETS))
    parser.add_argument("--chips", default="AX650:NPU1", help="CHIP:MODE, ..")
    parser.add_argument("--options", default=";".join(OPTIONS), help="separated by semicolons")
    parser.add_argument("--shape", action="append", default=[], help="INPUT=1x3x224x224 for what a file leaves open")
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    shapes = {name: tuple(map(int, shape.split("x"))) for name, shape in (item.split("=") for item in asked.shape)}
    nets = {name: net_of(NETS[name]()) for name in asked.nets.split(",") if name}
    nets |= {file.stem: net_of_file(file, shapes) for file in asked.files}
    rows = []
    for name, net in nets.items():
        for place in asked.chips.split(","):
            for row in measured(name, net, chip_of(*place.split(":")), asked.options.split(";")):
                print(" | ".join(map(str, vars(row).values())), flush=True)
                rows.append(row)
    heads = ("network", "chip", "options", "cycles", "MB swapped", "MB of the DDR", "CPU s", "same")
    text = tables.markdown(heads, [[_shown(value) for value in vars(row).values()] for row in rows])
    if asked.write:
        tables.put_into(asked.write, "schedule.py", text)


def measured(name: str, net: Net, chip: Chip, options: list[str]) -> Iterator[Row]:
    """The operators one after another first, and what they give, by which the others are judged."""
    began = time.process_time()
    alone = Chosen(net, Workbench(net, Material(chip)).lay(Choices()), ())
    yield (first := _row(name, "one by one", chip, alone, time.process_time() - began, ""))
    for title in options:
        began = time.process_time()
        found = laid_out(net, net, chip, 1, OPTIONS[title])
        yield _row(name, title, chip, found, time.process_time() - began, first.same)


def _row(name: str, title: str, chip: Chip, found: Chosen, seconds: float, expected: str) -> Row:
    program, params = assemble(found.net, found.layout, chip, 1)
    outputs = _digest(program, params)
    traffic = ddr_traffic(program)
    swapped = sum(traffic.get(name, 0) for name in SWAPPING) / 1e6
    total = sum(traffic.values()) / 1e6
    same = ("yes" if outputs == expected else "NO") if expected else outputs
    place = f"{chip.name} {chip.npu_mode}"
    return Row(name, place, title, program.max_cycle, round(swapped, 2), round(total, 2), round(seconds, 2), same)


def _digest(program: Program, params: bytes) -> str:
    """Of all outputs on seeded random inputs."""
    rng = np.random.default_rng(0)
    feeds = {port.name: _values(rng, port.dtype, port.shape) for port in program.inputs}
    found = simulate(program, params, feeds)
    return hashlib.sha256(b"".join(found[name].tobytes() for name in sorted(found))).hexdigest()[:12]


def _values(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 100, shape).astype(dtype)


def net_of_file(file: Path, shapes: dict[str, tuple[int, ...]]) -> Net:
    """The largest NPU subgraph of a model, on AX650."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (source := work / "source").mkdir()
        (source / "model.onnx").write_bytes(file.read_bytes())
        optimize(source, work, params=OptimizeParams(input_shapes=_settled(source / "model.onnx", shapes)))
        _quantised(work)
        partition(
            work / "quant_axmodel.onnx", work / "optimized", work, params=PartitionParams(support_of("AX650"), ())
        )
        planned = Partition.read(work / "partition").at(NPU)
        return max((net_of(read_model(work / "partition" / one.file)) for one in planned), key=lambda net: net.macs())


def _settled(model: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    ports = ort.open_session(model).get_inputs()
    return {
        port.name: shapes.get(port.name, tuple(size if isinstance(size, int) else 1 for size in port.shape))
        for port in ports
    }


def _quantised(work: Path) -> None:
    """`optimized` -> `quant_axmodel.onnx`."""
    rng, ports = np.random.default_rng(0), ort.open_session(model_file(work / "optimized")).get_inputs()
    for port in ports:
        (folder := work / "samples" / port.name).mkdir(parents=True)
        np.save(folder / "0.npy", rng.normal(size=port.shape).astype(np.float32))
    inputs = tuple(InputData(port.name, "Numpy") for port in ports)
    watch(work / "optimized", work, params=WatchParams())
    samples = [work / "samples" / port.name for port in ports]
    observe(work / "optimized", work / "watch.json", samples, work, params=ObserveParams(inputs))
    merge([work / "statistics.msgpack"], work, params=MergeParams())
    calibrate(work / "optimized", work / "statistics.msgpack", work, params=CalibrateParams("MinMax"))
    quantize(work / "optimized", work / "scheme.msgpack", work, params=QuantizeParams())


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
