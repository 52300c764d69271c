"""Every case of every noun; importing it registers every oracle."""

from importlib import import_module
from pathlib import Path

SHARED = ("all", "base", "window")
"""files that nouns draw on, and this one"""
NOUNS = [
    import_module(f"witness.{path.stem}")
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))
    if path.stem not in SHARED
]
CASES = [case for noun in NOUNS for case in noun.CASES]
