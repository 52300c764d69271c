"""What was built for these tests, and a page that is open."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from axbuild.toolchain.npu.program.form import Program

LONG = "backbone/stages.2/blocks.3/" + "pointwise_projection/" * 5 + "output"
"""as exporters name tensors"""


@dataclass(frozen=True)
class Built:
    """debug: the folder of trace.json and profile.html; report: precision_report.html; program: what was traced."""

    debug: Path
    report: Path
    program: Program

    def json(self, name: str) -> Any:
        return json.loads((self.debug / name).read_text())


@dataclass
class Opened:
    """A page with what its console said and what it asked for, itself left out."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.page.inner_text("body")
