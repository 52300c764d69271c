"""A class name means one thing in the whole project, so that a search finds it."""

import ast
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
