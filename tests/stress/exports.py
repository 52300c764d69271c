"""Networks as torch's exporters write them, built on a chip: which build, how long each stage takes, what the CPU runs.

    python tests/stress/exports.py --torch VENV/bin/python --folder FOLDER [--chip AX650:NPU1] [--again] [NET ...]

VENV is an environment of its own with torch, timm, torchvision, onnx and onnxscript (`python -m venv VENV;
VENV/bin/pip install torch torchvision timm onnx onnxscript`). Every network is exported once, exporter and opset in
turn, and the first ten by all of them. FOLDER keeps the exported files and a result each, so that a run that was
interrupted goes on; --again builds anew. A check of level equal runs on two seeded random samples.
Prints a table in Markdown, kept as FOLDER/table.md; exits 1 where an export did not build or its check did not pass.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import models

EXPORTERS = ("ts.17", "dynamo.18", "ts.13", "dynamo.20")
IN_ALL = (
    "resnet18", "mobilenetv3_small_100", "efficientnet_b0", "convnext_atto", "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224", "mobilevit_xxs", "levit_128s", "yolo_head", "unet",
)  # fmt: skip
ONCE = (
    "mobilenetv1_100", "mobilenetv2_100", "mobilenetv4_conv_small", "ghostnet_100", "mnasnet_small", "repvgg_a0",
    "mobileone_s0", "resnext50_32x4d", "seresnet18", "regnety_002", "densenet121", "tv_vgg11", "inception_v3",
    "darknet53", "hrnet_w18_small", "dla34", "fastvit_t8", "efficientformer_l1", "efficientvit_b0",
    "deit_tiny_patch16_224", "mixer_s32_224", "cait_xxs24_224", "xcit_nano_12_p16_224", "edgenext_xx_small",
    "poolformer_s12", "tv_shufflenet_v2_x0_5", "tv_squeezenet1_1", "lstm_tagger", "keywords", "upscaler",
    "swinv2_tiny_window8_256", "coat_lite_tiny", "tiny_vit_5m_224", "repvit_m1", "eva02_tiny_patch14_224",
    "vit_small_patch16_dinov3",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", help="some of the networks; all by default")
    parser.add_argument("--torch", type=Path, required=True, help="python of the environment with torch")
    parser.add_argument("--folder", type=Path, required=True, help="keeps exports and results")
    parser.add_argument("--chip", default="AX650:NPU1", help="CHIP:MODE")
    parser.add_argument("--again", action="store_true", help="build what has a result as well")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    jobs = [job for job in every_job() if not args.nets or job.split(".")[0] in args.nets]
    for job in jobs:
        result = args.folder / f"{job}.json"
        if args.again or not result.exists():
            found = tried(job, args.folder, args.torch, args.chip)
            result.write_text(json.dumps(found, indent=1) + "\n")
            print(job, found["verdict"], f"{found['seconds']:.1f} s", flush=True)
    results = {job: json.loads((args.folder / f"{job}.json").read_text()) for job in jobs}
    text = table(results)
    (args.folder / "table.md").write_text(text)
    print(text)
    return any(found["verdict"] != "equal" for found in results.values())


def every_job() -> list[str]:
    """NET.EXPORTER.OPSET of every export."""
    turns = itertools.cycle(EXPORTERS)
    return [f"{net}.{how}" for net in IN_ALL for how in EXPORTERS] + [f"{net}.{next(turns)}" for net in ONCE]


def tried(job: str, folder: Path, torch: Path, chip: str) -> dict[str, Any]:
    """What became of one export."""
    file = folder / f"{job}.onnx"
    exporting = [str(torch), str(Path(__file__).with_name("exporting.py")), str(folder), job]
    if not file.exists() and (done := subprocess.run(exporting, capture_output=True, text=True)).returncode:
        return row("not exported", why=(done.stdout + done.stderr)[-600:])
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "axbuild.toml").touch()
        models.lay_out(root, file, [(chip.split(":")[0], chip.split(":")[1])], {}, 0)
        done = models.build(root, job)
        lines = (root / f"{job}.jsonl").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        verdict = "equal" if done.returncode == 0 else "FAILED"
        why = "" if done.returncode == 0 else (done.stdout + done.stderr)[-1500:]
        return {"verdict": verdict, "why": why, **figures(events, root / "axbuild-out" / job)}


def row(verdict: str, *, why: str) -> dict[str, Any]:
    """An export without a build."""
    return {"verdict": verdict, "seconds": 0.0, "stages": {}, "mib": 0, "cycles": 0, "macs": 0, "cpu": [], "why": why}


def figures(events: list[dict[str, Any]], outputs: Path) -> dict[str, Any]:
    """seconds: of the build; stages: name -> seconds of its slowest action; mib: the largest peak of one."""
    finished = [event for event in events if event["event"] == "action_finished"]
    stages: dict[str, float] = {}
    for event in finished:
        stages[event["stage"]] = round(max(stages.get(event["stage"], 0.0), event["seconds"]), 2)
    reports = [json.loads(path.read_text()) for path in outputs.glob("*/compiler/*/b1/report.json")]
    return {
        "seconds": round(next((event["seconds"] for event in events if event["event"] == "build_finished"), 0.0), 1),
        "stages": stages,
        "mib": max((event["peak_memory_bytes"] >> 20 for event in finished), default=0),
        "cycles": sum(report["max_cycle"] for report in reports),
        "macs": sum(report["macs"] for report in reports),
        "cpu": on_cpu(outputs),
    }


def on_cpu(outputs: Path) -> list[str]:
    """What the CPU runs and why: one entry a reason, with the number of its operators."""
    reasons: Counter[str] = Counter()
    for path in outputs.glob("*/compiler/partition.json"):
        for subgraph in json.loads(path.read_text())["subgraphs"]:
            if subgraph["place"] == "CPU":
                reasons.update(f"{node['op_type']}: {'; '.join(node['reasons'])}" for node in subgraph["nodes"])
    return [f"{count} {reason}" for reason, count in reasons.most_common()]


def table(results: dict[str, dict[str, Any]]) -> str:
    """One line an export; the stages are those that took the longest."""
    lines = [
        "| net | exporter | opset | result | MMAC | cycles | s | slowest stages, s | MiB | CPU |",
        "|" + "---|" * 10,
    ]
    for job, found in results.items():
        slowest = sorted(found["stages"].items(), key=lambda item: -item[1])[:3]
        cells = [
            *job.split("."),
            found["verdict"],
            f"{found['macs'] / 1e6:.0f}",
            f"{found['cycles']:,.0f}",
            f"{found['seconds']:.1f}",
            ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest),
            str(found["mib"]),
            "; ".join(found["cpu"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    equal = sum(found["verdict"] == "equal" for found in results.values())
    return "\n".join([*lines, "", f"{equal} of {len(results)} exports build and are equal."]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
