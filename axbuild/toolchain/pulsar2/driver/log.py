"""What a real Pulsar2 prints, line by line: stages, figures, warnings and errors."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from axbuild.errors import visible

STAGES = {
    "data": ("extract [", "File(s) Loaded"),
    "optimising the float model": ("Building onnx", "save optimized onnx"),
    "quantisation": ("Quant Config Table", "Transformer optimize level", "AX "),
    "calibration": ("Calibration Progress",),
    "export of the quantised model": ("Network Quantization Finished", "quant.axmodel export success"),
    "building the NPU's graph": ("Building native", "QuantAxModel macs", "group 0 QuantAxModel macs"),
    "compilation": ("compile npu subgraph", "tiling op", "build op", "max_cycle"),
    "assembly": ("assemble model", "assembel model", "fuse "),
}
"""stage -> how a line begins that tells of it, but for a count, in the order in which the vendor passes through them"""

_COUNT = "0123456789 "
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_RECORD = re.compile(r"^[\d-]{10} [\d:.]{8,} \| (?P<level>[A-Z]+) +\| (?P<where>[^ ]+) - (?P<said>.*)$")
_RAISED = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception): .*")
_MACS = re.compile(r"(?:\bgroup (\d+) )?\bQuantAxModel macs: ([\d,]+)")
_CYCLES = re.compile(r"\bmax_cycle = ([\d,]+)")
_SHAPE = re.compile(r"\bextra input shape, index: (\d+), shape: (.*)$")
_CHECKED = re.compile(r"\bcheck npu graph .* successfully")
_COMPILED = re.compile(r"\bcompile npu subgraph \[(\d+)\]")
_BATCHES = re.compile(r"\bgraph \[(\w+)\] batchs \[([\d, ]*)\]")


@dataclass
class Log:
    """What was heard so far. macs: of the model at its own shape; cycles: by the subgraph they were told of; batches:
    by subgraph; extra_shapes: in the vendor's words, by the number of the group; compared: tensors that a check found
    right."""

    stages: list[str] = field(default_factory=list)
    macs: int | None = None
    cycles: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    batches: dict[str, list[int]] = field(default_factory=dict)
    extra_shapes: dict[str, str] = field(default_factory=dict)
    compared: int = 0
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    raised: str = ""
    """the last line that looks like what ended a Python program"""
    subgraph: str = "0"

    @property
    def stage(self) -> str:
        """The one that was begun last, "" before the first."""
        return self.stages[-1] if self.stages else ""

    def hear(self, line: str) -> None:
        """One line, as it was printed: with colours, and the steps of a progress bar behind each other."""
        text = _ANSI.sub("", line).rpartition("\r")[2].strip()
        record = _RECORD.match(text)
        said = record["said"] if record else text
        self._pass(said)
        self._count(said)
        level = record["level"] if record else ""
        if level == "WARNING" and not _BATCHES.search(said):  # which the vendor marks as one, and is good news
            _once(self.warnings, visible(said))
        elif level in ("ERROR", "CRITICAL"):
            _once(self.errors, visible(said))
        elif _RAISED.match(text):
            self.raised = visible(text)

    def _pass(self, said: str) -> None:
        for stage, beginnings in STAGES.items():
            if said.lstrip(_COUNT).startswith(beginnings) and stage not in self.stages:
                self.stages.append(stage)

    def _count(self, said: str) -> None:
        if found := _COMPILED.search(said):
            self.subgraph = found[1]
        if (found := _MACS.search(said)) and (found[1] or "0") == "0":
            self.macs = _number(found[2])
        if found := _CYCLES.search(said):
            self.cycles[self.subgraph].append(_number(found[1]))
        if found := _SHAPE.search(said):
            self.extra_shapes[found[1]] = visible(found[2])
        self.compared += bool(_CHECKED.search(said))
        if found := _BATCHES.search(said):
            self.batches[found[1]] = [int(batch) for batch in found[2].split(",") if batch.strip()]

    @property
    def reason(self) -> str:
        """Why it ended, in the vendor's words; "" where it did not say."""
        return self.errors[-1] if self.errors else self.raised

    def record(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "stages": self.stages,
            "macs": self.macs,
            "max_cycle": dict(self.cycles),
            "batches": self.batches,
            "extra_shapes": self.extra_shapes,
            "warnings": self.warnings,
        }


def _once(lines: list[str], line: str) -> None:
    if line not in lines:
        lines.append(line)


def _number(text: str) -> int:
    return int(text.replace(",", ""))
