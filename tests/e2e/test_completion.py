"""Completion in a real bash: what a user has typed is kept, whether or not bash breaks words at colons."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tiny_workspace import Tiny

PRESS_TAB = """
axbuild() {{ "{python}" -m axbuild.cli.entry "$@"; }}
export -f axbuild
eval "$(axbuild completion bash)"
compopt() {{ :; }}
COMP_WORDBREAKS=$'{breaks}'
COMP_LINE='{line}'
COMP_POINT=${{#COMP_LINE}}
COMPREPLY=()
_axbuild_completion axbuild
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def press_tab(tiny: Tiny, line: str, breaks: str) -> list[str]:
    script = PRESS_TAB.format(python=sys.executable, line=line, breaks=breaks)
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run([bash, "--norc", "-c", script], cwd=tiny.root, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "with_colons", "without"),
    [
        ("axbuild build //p:bo", ["both"], ["//p:both"]),
        ("axbuild build //p:s", ["short"], ["//p:short"]),
        ("axbuild build -k //p", ["//p", "//p:"], ["//p", "//p:"]),
        ("axbuild build //p:", ["a", "b", "both", "loud", "short", "words"], None),
        ("axbuild build //p:a //p:lo", ["loud"], ["//p:loud"]),
        ("axbuild com", ["completion"], ["completion"]),
        ("axbuild build //p:x", [], []),
    ],
)
def test_a_label_is_completed_and_never_shortened(tmp_path, line, with_colons, without) -> None:
    tiny = Tiny(tmp_path / "w")
    expected = without if without is not None else [f"//p:{name}" for name in with_colons]
    assert press_tab(tiny, line, r" \t\n\":") == with_colons
    assert press_tab(tiny, line, r" \t\n\"") == expected
