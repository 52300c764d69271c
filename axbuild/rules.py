"""What the standard rules hand to rules of a workspace's own: `from axbuild.rules import FloatModel, QuantModel`.

Rule files are loaded by path, the standard ones too. The names here are those of the loaded files, so that what a
standard target gives is an instance of the class that another rule asks for.
"""

from __future__ import annotations

from typing import Any

from axbuild.workspace.rulepack import standard_module

_FILES = ("_nouns", "_evaluation")


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for file in _FILES:
            if (found := getattr(standard_module(file), name, None)) is not None:
                return found
    raise AttributeError(f"the standard rules give nothing called '{name}'")
