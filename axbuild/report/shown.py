"""Events as renderers may print them.

Names and sentences in events come from models, archives and file names. Every renderer of lines takes its events
through `shown`, in which no string can end a line or move the cursor; whatever else is printed passes `stream`.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from axbuild.dataclass import replace
from axbuild.engine.records.events import Event
from axbuild.errors import HIDDEN, visible

Said = TypeVar("Said", bound=Event)
Value = TypeVar("Value")


def shown(event: Said) -> Said:
    """The event with all of its text visible."""
    # Python writes out what cannot be printed, with a backslash; that shows the clean ones, of any size, at once.
    if "\\" not in repr(vars(event)) or not any(_hides(value) for value in vars(event).values()):
        return event
    return replace(event, **{name: _clean(value) for name, value in vars(event).items()})


def _hides(value: Any) -> bool:
    if isinstance(value, str):
        return HIDDEN.search(value) is not None
    if isinstance(value, dict):
        return any(_hides(part) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple) and any(_hides(part) for part in value)


def _clean(value: Value) -> Value:
    cleaned: Any = value
    if isinstance(value, str):
        cleaned = visible(value)
    elif isinstance(value, dict):
        cleaned = {_clean(name): _clean(part) for name, part in value.items()}
    elif isinstance(value, list | tuple):
        cleaned = type(value)(_clean(part) for part in value)
    return cast("Value", cleaned)
