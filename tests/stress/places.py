"""The zoo on several chips and modes, at several batches: the simulated chip beside the quantised models, bit for bit.

    python tests/stress/places.py WORK [--packages NAMES] [--places CHIP:MODE[:modes],...] [--samples 7] [--write FILE]

WORK becomes a copy of the workspaces examples/zoo and examples/models, whose files must have been fetched. In every
package that has an axmodel, `axbuild build` compiles its quantised model for each place with batches 1, 2 and 4, and a
check of level equal runs samples that calibrated nothing: 7 of them run as 4 + 2 + 1. Of a model with CPU subgraphs
each NPU subgraph is compared by itself, from the same tensors. Every program is verified when it is compiled. `modes`
stands for slice mode and tile mode. Prints a row for every place and exits 1 where an element differs or a build fails.
--write puts the table between FILE's marks `<!-- places.py -->` and `<!-- end of places.py -->`. WORK may be used
again: what is built stays built.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomlkit
from equal import HEADS, outcome
from tables import markdown, put_into

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WORKSPACES = ("zoo", "models")
PLACES = "AX650:NPU1,AX650:NPU3,AX620E:NPU2,AX620E:NPU2:modes,M57:NPU1"
MODES = ("enable_slice_mode", "enable_tile_mode")
BATCHES = [1, 2, 4]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--packages", default="", help="names; all by default")
    parser.add_argument("--places", default=PLACES, help="CHIP:MODE, or CHIP:MODE:modes, ...")
    parser.add_argument("--samples", type=int, default=sum(BATCHES))
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    places = {place: place_of(place) for place in options.places.split(",")}
    wanted = [name for name in options.packages.split(",") if name]
    rows: list[tuple[object, ...]] = []
    for workspace in WORKSPACES:
        root = options.work / workspace
        shutil.copytree(EXAMPLES / workspace, root, ignore=shutil.ignore_patterns("axbuild-out"), dirs_exist_ok=True)
        for package in packages(root):
            if not wanted or package.name in wanted:
                widen(package / "BUILD.toml", list(places.values()), options.samples)
                for row in outcome(root, package.name, places):
                    rows.append(row)
                    print(" | ".join(map(str, row)), flush=True)
    if options.write:
        put_into(options.write, "places.py", markdown(HEADS, rows))
    return 0 if all(row[-1] == 0 for row in rows) else 1


def place_of(text: str) -> dict[str, Any]:
    chip, mode, *modes = text.split(":")
    return {"target_hardware": chip, "npu_mode": mode} | dict.fromkeys(MODES if modes else (), True)


def packages(root: Path) -> Iterator[Path]:
    for file in sorted(root.glob("*/BUILD.toml")):
        if "axmodel" in tomllib.loads(file.read_text(encoding="utf-8")):
            yield file.parent


def widen(file: Path, places: list[dict[str, Any]], samples: int) -> None:
    """Add the first axmodel and a check of it, once for each place."""
    held = tomllib.loads(file.read_text(encoding="utf-8"))
    model = next(iter(held["axmodel"]))
    check = next(check for check in held["check"] if check["level"] == "equal")
    sets = {found["name"]: found for found in held["calibration_set"]}
    given = check.get("samples") or next(
        q["calibration"] for q in held["quant_model"] if f":{q['name']}" == model["quant"]
    )
    ports = given if isinstance(given, dict) else {"DEFAULT": given}
    few = [
        sets[label.removeprefix(":")] | {"name": f"few_{n}", "size": samples} for n, label in enumerate(ports.values())
    ]
    blocks: dict[str, list[dict[str, Any]]] = {"calibration_set": few, "axmodel": [], "check": []}
    for number, place in enumerate(places):
        named = {"name": f"axmodel_{number}", "static_batch_sizes": BATCHES, **place}
        blocks["axmodel"].append(model | named)
        chosen = {port: f":few_{n}" for n, port in enumerate(ports)} if isinstance(given, dict) else ":few_0"
        equal = {"name": f"equal_{number}", "axmodel": f":axmodel_{number}", "level": "equal", "samples": chosen}
        blocks["check"].append(equal)
    with file.open("a", encoding="utf-8") as build:
        build.write("\n" + tomlkit.dumps(blocks))


if __name__ == "__main__":
    sys.exit(main())
