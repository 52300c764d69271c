"""What is said of the cache fits the terminal."""

import io

from axbuild.report.cache import stats_text
from axbuild.report.style import Style
from axbuild.store.accounting import Share, Stats
from axbuild.store.gc import Limits


class Terminal(io.StringIO):
    def isatty(self):
        return True


FOUND = Stats(
    "/cache",
    Limits(20e9, 30 * 86400.0),
    blobs=202,
    blob_bytes=35_000_000,
    stages=[Share("axbuild.toolchain.frontend.optimize:optimize", 2, 9_080_000, 9_080_000)],
)


def test_a_pipe_gets_each_row_on_a_line():
    lines = stats_text(FOUND, Style(io.StringIO())).splitlines()
    assert lines[1] == "results in files         35 MB  202 files, limit 20 GB, kept 30 days unused"
    assert lines[2] == "  of earlier builds        0 B  no target has them now"
    assert lines[-3].split() == [
        "axbuild.toolchain.frontend.optimize:optimize",
        "2",
        "9.08",
        "MB",
        "9.08",
        "MB",
        "0",
        "B",
    ]


def test_a_narrow_terminal_gets_no_line_that_is_wider(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    text = stats_text(FOUND, Style(Terminal()))
    assert max(map(len, text.splitlines())) <= 60
    assert "35 MB  202 files, limit 20 GB, kept" in text
