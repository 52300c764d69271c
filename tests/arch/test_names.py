"""A class name means one thing in the whole project, so that a search finds it; and what pages name is there."""

import ast
import re
from collections import Counter
from pathlib import Path

TOP = Path(__file__).parents[2]


def test_no_class_name_stands_twice():
    names = Counter(
        node.name
        for folder in ("axbuild", "rules")
        for path in (TOP / folder).rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} == set()


def test_the_page_of_the_vendors_guide_names_tests_that_there_are():
    page = (TOP / "docs/reference/vendor-guide.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    missing = [f"{file}::{test}" for file, test in named if f"\ndef {test}(" not in (TOP / file).read_text()]
    assert len(named) > 40
    assert missing == []
