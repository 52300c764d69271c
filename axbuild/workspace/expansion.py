"""Tables of a BUILD file that stand for others, which a rule makes of the text of a file beside it (decision 056)."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_digest

from axbuild.dataclass import dataclass, field
from axbuild.errors import AxError, AxWarning, Place
from axbuild.workspace.confined import Unwatched, confined
from axbuild.workspace.disk import Disk
from axbuild.workspace.ignore import Ignore
from axbuild.workspace.rule import BuildTable, Rule
from axbuild.workspace.rulepack import RuleFileFailed, raised_in
from axbuild.workspace.settled import Settled
from axbuild.workspace.sources import find_sources
from axbuild.workspace.toml_text import place_at, read_text


@dataclass(frozen=True)
class Texts:
    """The files that the tables of one package are made of; seen: path from the root -> digest of its bytes."""

    disk: Disk
    ignore: Ignore
    package: str
    seen: dict[str, bytes] = field(default_factory=dict)

    def find(self, item: str) -> str:
        """The path from the workspace's root of a file as a BUILD file names it."""
        return find_sources(self.disk, self.ignore, self.package, [item], True, None).files[0][1]

    def read(self, path: str) -> str:
        text = read_text(self.disk, path)
        self.seen[path] = digest_of(text.encode())
        return text


def digest_of(content: bytes) -> bytes:
    return xxh3_128_digest(content)


def found_text(rule: Rule, values: dict[str, object], texts: Texts, place: Place) -> tuple[str, str]:
    """(path, text) of the file that a target's tables are made of. place: where the target names it."""
    assert rule.expansion is not None
    try:
        path = texts.find(str(values[rule.expansion.text]))
        return path, texts.read(path)
    except AxError as error:
        error.place = place
        raise


Told = list[list[str]]
"""code and sentence of each warning"""


def expand(rule: Rule, t: Settled, text: str, place: Place) -> tuple[list[BuildTable], Told]:
    """The tables that a target stands for, and what the rule warns of. place: of the target, which an error in the text
    names beside its own."""
    assert rule.expansion is not None
    file = Path(str(sys.modules[rule.module].__file__))
    try:
        with confined(file.parent), _heard() as told:
            return rule.expansion.tables(t, text), told
    except AxError as error:
        if error.place is None:
            error.place = place
        elif error.place.file != place.file:
            mention(error, place)
        raise
    except (Exception, Unwatched) as error:  # whatever a rule file raises is its author's to read
        what = f"it {error}" if isinstance(error, Unwatched) else f"{type(error).__name__}: {error}"
        raise RuleFileFailed(f"rule {rule.name} failed for {t.label}: {what}", place=raised_in(file, error)) from error


@contextmanager
def _heard() -> Iterator[Told]:
    """Takes in what is passed to `warnings.warn` as an AxWarning; others go where they would."""
    told: Told = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", AxWarning)
        others = warnings.showwarning

        def hear(message: Warning | str, *about: Any, **more: Any) -> None:
            if isinstance(message, AxWarning):
                told.append([message.code, message.sentence])
            else:
                others(message, *about, **more)

        warnings.showwarning = hear
        yield told


def mention(error: AxError, place: Place) -> None:
    """Have an error in a text, or about what was made of it, name the table in the BUILD file, too."""
    error.hint = "; ".join(filter(None, (error.hint, f"it is asked for at {place}")))


def line_of(lines: Mapping[str, int], attribute: str) -> int:
    """The line of an attribute or of a place in one; of what that stands in, where it has none itself; 0 for none."""
    while attribute not in lines and attribute:
        attribute = attribute[: max(attribute.rfind("."), attribute.rfind("["), 0)]
    return lines.get(attribute, 0)


def field_place(file: str, text: str, vendor: str) -> Place | None:
    """The first line of a text that seems to set the last part of a field such as `quant.calibration_method`."""
    word = re.escape(vendor.rpartition(".")[2])
    name = re.compile(rf"""(?<![\w.-])["']?{word}["']?[ \t]*[:={{]""")
    found = name.search(text) if vendor else None
    return place_at(file, text, text.count("\n", 0, found.start()) + 1) if found else None
