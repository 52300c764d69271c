"""MobileNetV2 and digits in the vendor's precision table: python benchmarks/precision.py [--write PAGE].

After `make fetch`, in a copy of the example, so that nothing is left in it. Figures come out of the ordinary cache
where they are known; what the table costs is timed with a cache of its own, behind a built axmodel. With --write the
tables go into the page, between its marks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tables import markdown, put_into

ZOO = Path(__file__).resolve().parents[1] / "examples" / "zoo"
AXBUILD = Path(sys.executable).with_name("axbuild")
SEED = ("the seed's MobileNetV2", "PerLayer", 32, 65, 17, 4, "Add_89 0.97100", "0.99990")
"""as the vendor's guide prints it, for another MobileNetV2 on other pictures"""
QUANT = """
[[quant_model]]
name = "chosen"
model = ":float"
calibration = ":calib"
auto_precision = { min_cosine = 0.999 }

[[calibration_set]]
name = "as_the_seed"
src = "//:photographs"
format = "Image"
size = 32
tensor_format = "BGR"
mean = [103.939, 116.779, 123.68]
std = [58.0, 58.0, 58.0]

[[quant_model]]
name = "seed_quant"
model = ":float"
calibration = ":as_the_seed"
"""
ROWS = (
    ("MinMax", "//mobilenet:quant", "PerLayer", "calib"),
    ("MinMax", "//mobilenet:quant", "EndToEnd", "calib"),
    ("MinMax", "//mobilenet:quant", "EndToEnd", "others"),
    ("auto_precision", "//mobilenet:chosen", "EndToEnd", "calib"),
    ("auto_precision", "//mobilenet:chosen", "EndToEnd", "others"),
    ("MinMax", "//mobilenet:seed_quant", "PerLayer", "as_the_seed"),
    ("MinMax", "//mobilenet:seed_quant", "EndToEnd", "as_the_seed"),
    ("MinMax", "//digits:quant", "PerLayer", "calib"),
    ("MinMax", "//digits:quant", "EndToEnd", "calib"),
)
TIMED = (("Reference", "PerLayer"), ("NPUBackend", "PerLayer"), ("NPUBackend", "EndToEnd"))


def table(name: str, quant: str, method: str, samples: str, mode: str = "Reference", size: int = -1) -> str:
    package = quant.partition(":")[0]
    about = {"name": name, "quant": quant, "method": method, "samples": f"{package}:{samples}", "mode": mode}
    lines = [f"{key} = {json.dumps(value)}" for key, value in about.items()]
    return "\n".join(("", "[[precision_analysis]]", *lines, f"size = {size}", ""))


def build(root: Path, targets: Iterable[str], environment: dict[str, str]) -> float:
    """Wall seconds."""
    started = time.perf_counter()
    subprocess.run([AXBUILD, "build", *targets], cwd=root, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def figures(root: Path) -> str:
    """Builds every row of the table; a line each."""
    for number, (_, quant, method, samples) in enumerate(ROWS):
        with (root / quant[2:].partition(":")[0] / "BUILD.toml").open("a") as file:
            file.write(table(f"row_{number}", quant, method, samples))
    targets = [f"{quant.partition(':')[0]}:row_{number}" for number, (_, quant, _, _) in enumerate(ROWS)]
    build(root, targets, dict(os.environ))
    lines: list[Iterable[object]] = [SEED]
    for (scheme, _, method, samples), target in zip(ROWS, targets, strict=True):
        found = root / "axbuild-out" / target[2:].replace(":", "/") / "precision_analysis.json"
        lines.append(
            _line(f"{target[2:].partition(':')[0]}, {scheme}, {samples}", method, json.loads(found.read_text()))
        )
    heads = ("net, precision, samples", "method", "samples", "rows", "< 0.999", "< 0.99", "lowest", "final cosine")
    return markdown(heads, lines)


def _line(name: str, method: str, found: dict[str, Any]) -> tuple[object, ...]:
    cosines = [row["cosine"] for row in found["rows"]]
    lowest = min(found["rows"], key=lambda row: row["cosine"])
    below = [sum(cosine < limit for cosine in cosines) for limit in (0.999, 0.99)]
    (final,) = [row["cosine"] for row in found["rows"] if row["output"]]
    lowest_of = f"{lowest['operator']} {lowest['cosine']:.5f}"
    return (name, method, found["samples"], len(cosines), *below, lowest_of, f"{final:.5f}")


def costs(root: Path, cache: Path) -> str:
    """Seconds of an analysis of 8 samples behind a built axmodel."""
    environment = dict(os.environ) | {"AXBUILD_CACHE_DIR": str(cache)}
    with (root / "mobilenet" / "BUILD.toml").open("a") as file:
        for mode, method in TIMED:
            file.write(table(f"{mode}_{method}", "//mobilenet:axmodel", method, "calib", mode, 8))
    build(root, ["//mobilenet:axmodel"], environment)
    seconds = [build(root, [f"//mobilenet:{mode}_{method}"], environment) for mode, method in TIMED]
    rows = ((mode, method, f"{spent:.1f}") for (mode, method), spent in zip(TIMED, seconds, strict=True))
    return markdown(("mode", "method", "wall s"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="page to put the tables into")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        root = Path(room) / "zoo"
        shutil.copytree(ZOO, root, ignore=shutil.ignore_patterns("axbuild-out", "cache", "__pycache__"))
        with (root / "mobilenet" / "BUILD.toml").open("a") as file:
            file.write(QUANT)
        text = f"{figures(root)}\n\n{costs(root, Path(room) / 'cache')}"
    print(text)
    if asked.write:
        put_into(asked.write, Path(__file__).name, text)


if __name__ == "__main__":
    main()
