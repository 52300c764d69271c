"""What one configuration sets over another: flags over a file, a sub-graph's options over the whole model's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from axbuild.toolchain.pulsar2.message import M, Nested, settings_of
from axbuild.toolchain.pulsar2.schema import CompilerConfig, CompilerSubConfig

_BATCHES = ("static_batch_sizes", "max_dynamic_batch_size")


def merged(over: M, under: M) -> M:
    """What `over` sets, and of the rest what `under` sets; lists are taken whole."""
    values: dict[str, Any] = {}
    for name, declared in settings_of(type(over)).items():
        own, other = getattr(over, name), getattr(under, name)
        if isinstance(declared.takes, Nested):
            values[name] = merged(own, other)
        elif own is None:
            values[name] = other
    return replace(over, **values, places={**under.places, **over.places})


def inherited(sub: CompilerSubConfig, whole: CompilerConfig) -> CompilerSubConfig:
    """A sub-graph's options with the whole model's where it sets none; one that lists its batches, or lets them be
    found, has not the other of the two from there."""
    shared = settings_of(CompilerSubConfig).keys() & settings_of(CompilerConfig).keys()
    said = [name for name in _BATCHES if getattr(sub, name)]
    values: dict[str, Any] = {name: getattr(whole, name) for name in shared if not (said and name in _BATCHES)}
    return merged(sub, CompilerSubConfig(**values, places=whole.places))
