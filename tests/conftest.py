"""What every test may count on."""

from __future__ import annotations

import os
import signal

import pytest
from seed import checklist

# Before any test imports onnxruntime, which would queue what it sees of this machine below the user's home.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# A script's background job ignores Ctrl-C, and so would each command that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--checklist", action="store_true", help="write docs/seed-checklist.md from how the tests end")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--checklist") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Checklist(), "checklist")


class _Checklist:
    """How each test function ended: one that failed with any of its parameters failed."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, *_, name = report.nodeid.partition("[")[0].split("::")
        test = f"{file}::{name}"
        if report.outcome != "passed" or (report.when == "call" and test not in self.outcomes):
            self.outcomes[test] = report.outcome

    def pytest_sessionfinish(self) -> None:
        checklist.PAGE.write_text(checklist.page(self.outcomes), encoding="utf-8")
