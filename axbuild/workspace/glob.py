"""Globs over paths as regular expressions that no pattern can make slow.

`*`, `?` and `[...]` stay within a name, `**/` stands for any folders, `**` for anything. Tried naively, every star of a
pattern may end anywhere, and twenty of them take longer than anybody waits. But what a star is followed by may be taken
where it comes first, for good (an atomic group), as long as a star behind it can take up what is then left over:
between two `*` of one name, and between two of the stars that cross folders. So only the last star of each is tried in
more than one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_DIRS, _ANY, _NAME = "**/", "**", "*"
_LAZY = {_DIRS: "(?:[^/]+/)*?", _ANY: ".*?"}


def glob_regex(pattern: str) -> str:
    """For `re.fullmatch` on a path relative to the root."""
    groups: list[tuple[str, list[str]]] = [("", [])]
    for token in _tokens(pattern):
        if token in _LAZY:
            groups.append((token, []))
        else:
            groups[-1][1].append(token)
    *before, (star, last) = groups
    taken = "".join(f"(?>{_LAZY.get(crossing, '')}{_names(tokens)})" for crossing, tokens in before)
    return f"(?s:{taken}{_LAZY.get(star, '')}{_names(last)})"


def _tokens(pattern: str) -> Iterator[str]:
    """Stars, and between them the regular expressions of single letters; `**/` begins a name."""
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if pattern.startswith(_DIRS, position) and pattern[:position][-1:] in ("", "/"):
            yield _DIRS
            position += 3
        elif pattern.startswith(_ANY, position):
            yield _ANY
            position += 2
        elif char == "[" and (end := pattern.find("]", position + 2)) > 0:
            inside = pattern[position + 1 : end].replace("\\", "\\\\")
            yield f"(?!/)[{'^' + inside[1:] if inside[0] in '!^' else inside}]"
            position = end + 1
        else:
            yield char if char == _NAME else "[^/]" if char == "?" else re.escape(char)
            position += 1


def _names(tokens: list[str]) -> str:
    """The stars within names, each with the letters that follow it."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == _NAME:
            parts.append([])
        else:
            parts[-1].append(token)
    first, *starred = ("".join(part) for part in parts)
    out = [first]
    for number, fixed in enumerate(starred):
        more_of_this_name = number + 1 < len(starred) and "/" not in parts[number + 1]
        out.append(f"(?>[^/]*?{fixed})" if more_of_this_name else f"[^/]*?{fixed}")
    return "".join(out)
