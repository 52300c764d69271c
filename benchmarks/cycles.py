"""Estimated cycles beside every published figure whose network can be built: a table with a ratio a row.

    python benchmarks/cycles.py [--rows REGEX] [--pages]

published_cycles.csv holds the figures: cycles that the vendor's compiler printed, and times on boards, which are
compared with the estimate over the chip's clock. The presets were fitted to some of them (see FITTED); only the other
rows test the model. A row takes at most seconds; all of them together some minutes.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import onnx
import published_nets
import tables
from nets import mobilenet_v2, resnet18d, stack
from npu_world import chip_of, compiled

from axbuild.toolchain.npu.chips.preset import Chip

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs/benchmarks.md"
CSV = HERE / "published_cycles.csv"
NETS: dict[str, Callable[..., onnx.ModelProto]] = {"mobilenet_v2": mobilenet_v2, "resnet18d": resnet18d, "stack": stack}
FITTED = re.compile(r"AX650 NPU[13] (?!product)|AX620E NPU1 mobilenet_v2 u8 cycles|AX620E NPU2|M57|AX615")
"""what the presets' figures were chosen with: nearly all networks; not the products, nor what has two cores"""


@dataclass(frozen=True)
class Published:
    """One figure. unit: "cycles", or "ms" on a board; sizes: what the net is built with."""

    chip: str
    mode: str
    net: str
    sizes: tuple[int, ...]
    dtype: str
    unit: str
    value: float
    toolchain: str

    @property
    def name(self) -> str:
        sizes = " ".join(map(str, self.sizes))
        return f"{self.chip} {self.mode} {self.net} {sizes} {self.dtype} {self.unit} ({self.toolchain})".replace(
            "  ", " "
        )

    @property
    def fitted(self) -> bool:
        return bool(FITTED.match(self.name))

    def estimate(self) -> float:
        preset = chip_of(self.chip, self.mode)
        cycles = _cycles(self.net, self.sizes, self.dtype, preset)
        return cycles if self.unit == "cycles" else cycles / preset.clock_mhz / 1e3


@cache
def _cycles(net: str, sizes: tuple[int, ...], dtype: str, preset: Chip) -> int:
    if net == "product":
        model = published_nets.product(sizes[0], sizes[1], sizes[2], wide=dtype == "s16")
    else:
        model = (NETS.get(net) or getattr(published_nets, net))(*sizes)
    return compiled(model, preset)[0].max_cycle


def published() -> list[Published]:
    with CSV.open(encoding="utf-8", newline="") as file:
        return [
            Published(
                row["target_hardware"],
                row["npu_mode"],
                row["net"],
                tuple(map(int, row["sizes"].split())),
                row["dtype"],
                row["unit"],
                float(row["value"]),
                row["toolchain"],
            )
            for row in csv.DictReader(file)
        ]


def summary(ratios: Iterable[float]) -> str:
    """Geometric mean, root mean square of the relative error, and the extremes."""
    found = list(ratios)
    if not found:
        return "none"
    mean = math.exp(sum(map(math.log, found)) / len(found))
    rms = math.sqrt(sum((ratio - 1) ** 2 for ratio in found) / len(found))
    return (
        f"{len(found)} rows: geometric mean {mean:.3f}, rms error {rms:.1%}, from {min(found):.2f} to {max(found):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help="only figures whose name this regular expression is found in")
    parser.add_argument("--pages", action="store_true", help="write the table into docs/benchmarks.md")
    asked = parser.parse_args()
    figures = [figure for figure in published() if re.search(asked.rows, figure.name)]
    rows: list[tuple[object, ...]] = []
    ratios: dict[str, float] = {}
    for figure in figures:
        estimate = figure.estimate()
        ratios[figure.name] = estimate / figure.value
        digits = 0 if figure.unit == "cycles" else 3
        numbers = (f"{figure.value:,.{digits}f}", f"{estimate:,.{digits}f}", f"{ratios[figure.name]:.2f}")
        rows.append((figure.name, *numbers, "yes" if figure.fitted else ""))
        print(" | ".join(map(str, rows[-1])), flush=True)
    own = {figure.name: figure for figure in figures}
    groups = {
        "fitted": [name for name in own if own[name].fitted],
        "not fitted, networks": [n for n in own if not own[n].fitted and own[n].net != "product"],
        "not fitted, products in 8 bits": [n for n in own if own[n].net == "product" and own[n].dtype == "s8"],
        "not fitted, products in 16 bits": [n for n in own if own[n].net == "product" and own[n].dtype == "s16"],
        "AX650 boards, NPU1 and NPU3": [n for n in own if re.match(r"AX650 NPU[13] .* ms", n) and "3.2" in n],
    }
    said = [f"- {group}: {summary(ratios[name] for name in names)}" for group, names in groups.items() if names]
    text = tables.markdown(("figure", "published", "estimate", "ratio", "fitted"), rows) + "\n\n" + "\n".join(said)
    print("\n" + "\n".join(said))
    if asked.pages:
        tables.put_into(PAGE, "cycles.py", text)


if __name__ == "__main__":
    main()
