"""What `axbuild pulsar2 build` runs: a configuration and flags become an ordinary build, and that the vendor's tree."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from axbuild.engine.records.events import BuildFinished, Event
from axbuild.errors import counted
from axbuild.report.pulsar2_screen import Screen
from axbuild.report.story import Line, Products, Story
from axbuild.toolchain.pulsar2.flags import help_text, parse_flags
from axbuild.toolchain.pulsar2.read import read_config
from axbuild.toolchain.pulsar2.settled import SettledConfig, settled

from ._pulsar2_paths import refuse_paths
from ._pulsar2_told import Retold
from ._pulsar2_tree import place
from ._pulsar2_workspace import EVENTS, prepared, written


def build(arguments: tuple[str, ...]) -> int:
    line = parse_flags(arguments)
    if line.help:
        print(help_text("pulsar2 build"), end="")
        return 0
    file = read_config(Path(line.config)) if line.config else None
    found = settled(file, line.settings)
    refuse_paths(found.config, line.config or "")
    return run_build(found)


def run_build(found: SettledConfig) -> int:
    from axbuild.cli.running import Options, run
    from axbuild.report.pulsar2_chapters import chapters  # which reads models: slow to load, not needed for a mistake

    began, workspace = time.perf_counter(), prepared(found.config)
    resolved = replace(found.resolved, work_dir=found.config.work_dir)  # so that it follows another output_dir
    screen, counts = Screen(), _Counts()
    for warning in found.warnings:
        screen.say(Line(f"{warning.code}: {warning.sentence}", "WARNING"))
    with written(workspace) as ended:
        story = Story(chapters(resolved), Products(workspace.store.read), screen.say, screen.progress)
        options = Options(workspace.labels, quiet=True, result=False, events=str(workspace.root / EVENTS))
        try:
            code = run(
                "build",
                options,
                start=workspace.root,
                overrides=workspace.around.overrides,
                listeners=(story, counts),
                retold=Retold(workspace),
            )
        finally:
            screen.close()
        if code == 0:
            place(resolved, workspace)
        ended.append(code)
    if code == 0:
        file = Path(str(resolved.output_dir)) / str(resolved.output_name)
        screen.say(Line(f"[{file}] is built: {counts.told()}, {time.perf_counter() - began:.1f} s"))
    return code


class _Counts:
    def __init__(self) -> None:
        self.ran = self.reused = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, BuildFinished):
            self.ran = event.counts["executed"]
            self.reused = event.counts["cached"] + event.counts["up_to_date"]

    def told(self) -> str:
        return f"{counted(self.ran, 'action')} ran, {self.reused} reused"
