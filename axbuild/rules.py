"""What the standard rules hand to rules of a workspace's own: `from axbuild.rules import FloatModel, QuantModel`.

Rule files are loaded by path, the standard ones too. The names here are those of the loaded files, so that what a
standard target gives is an instance of the class that another rule asks for.
"""

from __future__ import annotations

from typing import Any

from axbuild.workspace.rulepack import standard_module


def __getattr__(name: str) -> Any:
    found = None if name.startswith("_") else getattr(standard_module("_nouns"), name, None)
    if found is None:
        raise AttributeError(f"the standard rules give nothing called '{name}'")
    return found
