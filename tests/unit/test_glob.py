"""Globs: right on everything small, and fast on everything."""

from __future__ import annotations

import itertools
import random
import re
import time

import pytest

from axbuild.workspace.glob import glob_regex
from axbuild.workspace.ignore import Ignore


def matches(pattern, path):
    """The definition, by trying every way; slow."""
    if not pattern:
        return not path
    if pattern.startswith("**/"):
        starts = [0, *(at + 1 for at, letter in enumerate(path) if letter == "/")]
        return any(matches(pattern[3:], path[start:]) for start in starts)
    return matches_in_name(pattern, path)


def matches_in_name(pattern, path):
    if not pattern:
        return not path
    if pattern.startswith("**"):
        return any(after_any(pattern[2:], path[start:]) for start in range(len(path) + 1))
    if pattern[0] == "*":
        name = path.partition("/")[0]
        return any(after_any(pattern[1:], path[start:]) for start in range(len(name) + 1))
    if not path or (path[0] != pattern[0] and (pattern[0] != "?" or path[0] == "/")):
        return False
    rest = matches if pattern[0] == "/" else matches_in_name
    return rest(pattern[1:], path[1:])


after_any = matches_in_name


def test_every_small_pattern_means_what_its_definition_says():
    chance = random.Random(7)
    paths = [
        "/".join(names) for depth in (1, 2, 3, 4) for names in itertools.product(("a", "b", "ab", "ba"), repeat=depth)
    ]
    pieces = ("*", "**", "**/", "/", "a", "b", "?")
    seen = 0
    for _ in range(1500):
        pattern = "".join(chance.choice(pieces) for _ in range(chance.randint(1, 6)))
        regex = re.compile(glob_regex(pattern))
        for path in chance.sample(paths, 25):
            found = regex.fullmatch(path) is not None
            assert found == matches(pattern, path), (pattern, path)
            seen += found
    assert seen > 1500


@pytest.mark.parametrize(
    "pattern", ["*a" * 30 + "b", "**/a*" * 20 + "/b", "**a" * 25 + "b", "*?" * 30, "a**/" * 20 + "b"]
)
@pytest.mark.parametrize("path", ["a" * 200 + "c", "a/" * 100 + "c", "aa/" * 60 + "aaaa"])
def test_patterns_of_many_stars_take_no_time(pattern, path):
    begin = time.perf_counter()
    re.compile(glob_regex(pattern)).fullmatch(path)
    Ignore((), (pattern, f"{pattern}/")).folder(path)
    assert time.perf_counter() - begin < 1.0
