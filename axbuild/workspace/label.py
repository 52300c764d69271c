"""Labels and label patterns.

A label is kept as its canonical text "//package:name" everywhere: thousands of them are dictionary
keys and cache rows, and a class would buy nothing but conversions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from axbuild.dataclass import dataclass
from axbuild.errors import AxError, Place

_PART = r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*"
_PACKAGE = rf"{_PART}(?:/{_PART})*"
_LABEL = re.compile(rf"//({_PACKAGE})?(?::({_PART}))?\Z")
_NAME = re.compile(rf"{_PART}\Z")
_RELATIVE = re.compile(rf"({_PACKAGE})?(?::({_PART}))?\Z")
_RECURSIVE = re.compile(rf"(//)?({_PACKAGE}/)?\.\.\.\Z")
_ALLOWED = "letters, digits and _ . + -"


class BadLabel(AxError):
    code = "AX200"

    def __init__(self, text: str, reason: str, hint: str = "", place: Place | None = None) -> None:
        super().__init__(f"'{text}' is not a label: {reason}", place=place, hint=hint)


def is_name(text: str) -> bool:
    """Whether `text` can be a target's name."""
    return bool(_NAME.match(text))


def canonical(text: str, package: str | None) -> str:
    """`text` as written in a BUILD file of `package` -> "//package:name"; BadLabel where it is none.

    package: None where a relative label has no meaning (axbuild.toml).
    """
    if text.startswith(":"):
        if package is None:
            raise BadLabel(text, "a label outside a package must begin with //")
        if _NAME.match(text, 1):
            return f"//{package}{text}"
    match = _LABEL.match(text)
    if match and (match[1] or match[2]):
        own = match[1] or ""
        return f"//{own}:{match[2] or own.rpartition('/')[2]}"
    raise BadLabel(text, *_reason(text))


def split(label: str) -> tuple[str, str]:
    """Canonical label -> (package, name)."""
    package, _, name = label[2:].partition(":")
    return package, name


def _reason(text: str) -> tuple[str, str]:
    if "@" in text:
        return "it names a variant, and targets have no variants", ""
    if text.endswith("...") or text.endswith(":all"):
        return "a pattern stands where one target is asked for", ""
    if text and not text.startswith(("//", ":")):
        return "it must begin with // or :", f"write ':{text}' for a target of this package" if is_name(text) else ""
    if ":" in text and not is_name(text.rpartition(":")[2]):
        return f"a target's name is made of {_ALLOWED}", ""
    return f"expected //package:name, //package or :name; names are made of {_ALLOWED}", ""


@dataclass(frozen=True)
class Pattern:
    """What a command line names: one target, or all of a package, or all below a folder."""

    text: str
    negative: bool
    package: str
    name: str
    """"" = every target of the package"""
    recursive: bool = False

    def matches(self, label: str) -> bool:
        package, name = split(label)
        if self.recursive:
            return not self.package or package == self.package or package.startswith(f"{self.package}/")
        return package == self.package and self.name in ("", name)


def parse_pattern(text: str, package: str = "") -> Pattern:
    """A command-line pattern, read from the folder `package`; a leading "-" subtracts.

    Forms: //pkg:name, //pkg, :name, pkg:name, pkg, //pkg:all, :all, //pkg/..., //..., ... .
    """
    negative = text.startswith("-")
    body = text[1:] if negative else text
    if match := _RECURSIVE.match(body):
        base = (match[2] or "").rstrip("/")
        return Pattern(text, negative, base if match[1] else _join(package, base), "", recursive=True)
    if not body.startswith("//"):
        match = _RELATIVE.match(body)
        if not match or not body:
            raise BadLabel(text, *_reason(body if body.startswith(":") else f"//{body}"))
        own, name = _join(package, match[1] or ""), match[2] or ""
        body = f"//{own}:{name}" if name else f"//{own}"
    if body.endswith(":all"):
        own = body[2:-4]
        if own:
            canonical(f"//{own}", None)
        return Pattern(text, negative, own, "")
    own, name = split(canonical(body, None))
    return Pattern(text, negative, own, name)


def parse_patterns(texts: Iterable[str], package: str = "") -> tuple[Pattern, ...]:
    return tuple(parse_pattern(text, package) for text in texts if text != "--")


def _join(package: str, relative: str) -> str:
    return f"{package}/{relative}" if package and relative else package or relative
