"""A release of axbuild that computes nothing otherwise runs nothing again."""

from __future__ import annotations

from pathlib import Path

from zoo_workspace import Zoo, copy_package, copy_zoo

ENTRY = '    "AX500": ('


def test_a_new_error_code_and_a_release_number_execute_nothing(tmp_path: Path) -> None:
    zoo = Zoo(copy_zoo(tmp_path / "workspace"), tmp_path / "cache", copy_package(tmp_path / "package"))
    zoo.build("//digits:check")
    codes, version = (tmp_path / "package/axbuild" / name for name in ("codes.py", "version.py"))
    assert ENTRY in codes.read_text()
    codes.write_text(codes.read_text().replace(ENTRY, f'    "AX499": (USER_ERROR, "news"),\n{ENTRY}'))
    version.write_text('__version__ = "99.0.0"\n')
    outcome = zoo.build("//digits:check")
    assert outcome.executed == []
    assert set(outcome.counts) == {"up_to_date"}
    assert zoo.run("explain", "AX499").out.startswith("AX499: news")
    assert zoo.run("version").out == "axbuild 99.0.0\n"
