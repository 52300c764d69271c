"""The table of this workspace's models, from what `axbuild build //...` left in axbuild-out/ and wrote as events.

python report.py --events FILE [--write docs/guide/zoo.md]
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUT = HERE / "axbuild-out"

HEAD = """# The zoo of twelve models

Written by `examples/models/report.py` on {today}. `make zoo` fetches the models and real data for each (pinned by hash,
nothing is installed), builds all of it and tests it. Each is one package of `examples/models/`; its `BUILD.toml` says
where the model comes from and under which licence, and is there to be copied from.

Every model is compiled for two chips, and a `check` of level `equal` holds the simulated axmodel against the quantised
model bit for bit, on samples that calibrated nothing. The other figures are of the same samples:

- *float against float*: the largest difference of the optimised model from the file as it came, as a share of the
  output's largest value;
- *cosine* (the lowest of a sample) and *SNR* (of all samples): the quantised model against the float one, in the output
  that fares worst;
- *task*: what the model is for, in float and quantised. Samples are few (one of twenty is five points), and text,
  captchas and music are made by the scripts in `examples/models/tools/`: these figures compare float with quantised and
  rank no models.

Below each name stand the multiply-accumulates of one inference in millions, the bits of tensors (8/16: some have 16)
and, where they are not 8, those of weights. Why not 8 everywhere: in `minilm` and `layout` one step for a whole tensor
is too wide, and no operator is at fault: the float model with nothing but these steps put onto its tensors is no better
(0.9 dB, and 3.0 dB as quantised, on six sentences; 0.2 to 6.5 dB, and 0.7 to 9.4 dB, over eight outputs on two sheets).
In `ppocr_rec` each of some 60 layers loses a little: of 50 dB, 8 bits in tensors and weights leave 12 dB, in weights
alone 15 dB, in tensors alone 13 dB, on ten lines. In `silero_vad` the last two layers of the encoder lose most: 25 dB
before them and 5 dB behind.

**Cycles are estimates** of a reference NPU's cost model, one inference in mode NPU1, without what runs on the CPU. They
are no figures of a chip. Seconds are those of all the model's actions together, for both chips and on all samples, on
one machine with two cores, which other work may have shared; memory is that of the largest action.

"""


@dataclass(frozen=True)
class Chip:
    """A compiled model. parts: subgraphs, one after another; reasons: why operators run on the CPU -> how many."""

    name: str
    macs: int
    cycles: int
    on_npu: int
    on_cpu: int
    parts: int
    reasons: Counter[str]


@dataclass(frozen=True)
class Spent:
    """seconds of all actions; memory_bytes of the largest one."""

    seconds: float
    memory_bytes: int


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def chips_of(package: str) -> Iterator[Chip]:
    declared = tomllib.loads((HERE / package / "BUILD.toml").read_text(encoding="utf-8"))
    for target in declared["axmodel"]:
        yield chip_of(OUT / package / target["name"] / "compiler")


def chip_of(folder: Path) -> Chip:
    partition = read(folder / "partition.json")
    reports = [read(path) for path in folder.glob("*/b1/report.json")]
    placed = [(subgraph["place"], node) for subgraph in partition["subgraphs"] for node in subgraph["nodes"]]
    on_cpu = [node for place, node in placed if place == "CPU"]
    # A node between two others of the CPU stays with them and has no reason of its own.
    reasons = Counter(f"{node['op_type']}: {reason}" for node in on_cpu for reason in node["reasons"])
    macs, cycles = (sum(report[name] for report in reports) for name in ("macs", "max_cycle"))
    parts = len(partition["subgraphs"])
    return Chip(partition["chip"], macs, cycles, len(placed) - len(on_cpu), len(on_cpu), parts, reasons)


def bits_of(package: str) -> str:
    """Of all tensors, of those of some operators, and of weights that have not 8; and whether some stay reals."""
    declared = tomllib.loads((HERE / package / "BUILD.toml").read_text(encoding="utf-8"))
    rules = declared["quant_model"][0].get("layer_configs", [])
    whole: dict[str, Any] = next((rule for rule in rules if rule.get("start_tensor_names") == ["DEFAULT"]), {})
    tensors, weights = (whole.get(name, "8").lstrip("US") for name in ("data_type", "weight_data_type"))
    parts = {rule["data_type"] for rule in rules if rule is not whole}
    some = sorted(kind.lstrip("US") for kind in parts - {"FP32"})
    more = [f"weights {weights}"] * (weights != "8") + ["some FP32"] * ("FP32" in parts)
    return ", ".join([f"{'/'.join([tensors, *some])} bits", *more])


def spent(events: Path) -> dict[str, Spent]:
    """By package, of the actions that ran in that build."""
    found: dict[str, Spent] = {}
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "action_finished" and event["status"] == "executed":
            package = event["label"].removeprefix("//").partition(":")[0]
            before = found.get(package, Spent(0.0, 0))
            memory = max(before.memory_bytes, event.get("peak_memory_bytes", 0))
            found[package] = Spent(before.seconds + event["seconds"], memory)
    return found


def row(package: str, chips: list[Chip], cost: Spent | None) -> str:
    outputs = read(OUT / package / "precision" / "verdict.json")["outputs"].values()
    cosine, noise = min(output["cosine"] for output in outputs), min(output["snr_db"] for output in outputs)
    share = read(OUT / package / "front_end" / "verdict.json")["share"]
    task = OUT / package / "task" / "verdict.json"
    size = f"`{package}`<br>{chips[0].macs / 1e6:,.0f} MMAC<br>{bits_of(package)}"
    cells = [size, f"{share:.1e}", f"{cosine:.4f}", f"{noise:.1f} dB", task_of(task)]
    cells.append("<br>".join(f"{chip.name} {chip.cycles:,}" for chip in chips))
    cells.append("<br>".join(f"{chip.on_npu} / {chip.on_cpu}{in_parts(chip)}" for chip in chips))
    cells.append(f"{cost.seconds:.0f} s, {cost.memory_bytes / 1e9:.1f} GB" if cost else "not built now")
    return f"| {' | '.join(cells)} |"


def in_parts(chip: Chip) -> str:
    return f" in {chip.parts} parts" if chip.parts > 1 else ""


def task_of(verdict: Path) -> str:
    if not verdict.exists():
        return "no labels"
    found = read(verdict)
    words = found["figure"].replace("_", " ")
    return f"{words} {found['float']:.3f} → {found['quantised']:.3f} of {found['samples']}"


def packages() -> list[str]:
    return sorted(path.parent.name for path in HERE.glob("*/BUILD.toml"))


def table(events: Path) -> str:
    """The table, and below it why what runs on the CPU does so."""
    cost = spent(events)
    head = ["model", "float against float", "cosine", "SNR", "task", "cycles (estimated)", "operators on NPU / CPU"]
    lines = [f"| {' | '.join([*head, 'cost of the build'])} |", "|---" * 8 + "|"]
    why = ["", "What runs on the CPU, and why:", ""]
    for package in packages():
        chips = list(chips_of(package))
        lines.append(row(package, chips, cost.get(package)))
        alike: dict[str, list[str]] = {}
        for chip in chips:
            if chip.on_cpu:
                alike.setdefault(words(chip.reasons), []).append(chip.name)
        why += [f"- `{package}` on {' and '.join(names)}: {reasons}" for reasons, names in alike.items()]
    return "\n".join([*lines, *(why if len(why) > 3 else [])]) + "\n"


def words(reasons: Counter[str]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, required=True, help="what the build wrote with --events")
    parser.add_argument("--write", type=Path, help="the page to write; without it the table is printed")
    options = parser.parse_args()
    text = table(options.events)
    if options.write:
        options.write.write_text(HEAD.format(today=date.today().isoformat()) + text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
