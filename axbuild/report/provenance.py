"""How a file came to be, as text: the sources it was made from, and the actions on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from axbuild.errors import visible
from axbuild.store.ancestry import Ancestor

MOST = 8
"""sources of one role that are listed"""
WIDEST = 100
"""characters of an action's settings that are shown"""


def provenance_lines(found: Sequence[Ancestor]) -> Iterator[str]:
    if not found:
        yield "provenance  no cache of a workspace around here remembers how this file was made"
        return
    lines = [line for one in found for line in _sources(one)]
    for number, line in enumerate(lines):
        yield f"{'' if number else 'sources':<11} {visible(line)}"
    tools = {name: version for one in found for name, version in one.tools.items()}
    yield f"{'tools':<11} {', '.join(f'{name} {version}' for name, version in sorted(tools.items()))}"
    for number, one in enumerate(found):
        # A chip's figures would be all that is seen, and its name stands above.
        settings = json.dumps({key: value for key, value in one.params.items() if key != "chip"}, sort_keys=True)
        settings = settings if len(settings) <= WIDEST else f"{settings[: WIDEST - 3]}..."
        yield visible(f"{'' if number else 'made by':<11} {_name(one)}, code {one.code[:12]}, {settings}")


def provenance_record(found: Sequence[Ancestor]) -> list[dict[str, Any]]:
    """The same for programs, with everything: settings, versions of tools, digests of sources."""
    return [
        {
            "label": one.label,
            "action": one.action,
            "stage": one.stage,
            "code": one.code,
            "params": one.params,
            "tools": one.tools,
            "platform": one.platform,
            "sources": dict(one.sources),
        }
        for one in found
    ]


def _sources(one: Ancestor) -> Iterator[str]:
    for name, digest in one.sources[:MOST]:
        yield f"{name} of {_name(one)}: {digest}"
    if (more := len(one.sources) - MOST) > 0:
        yield f"and {more:,} more of {_name(one)}"


def _name(one: Ancestor) -> str:
    """Whose it is now, or its stage's function where it is nobody's any more."""
    return f"{one.label} {one.action}" if one.label else one.stage.rpartition(":")[2]
