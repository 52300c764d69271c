"""What the texts of a workspace came to mean, in a form that can be compared: settings, rule files, packages.

A text may change without its meaning: a comment, another order, a setting that no answer rests on.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import xxhash

from axbuild.engine.noop import snapshot as form
from axbuild.store.packed import pack
from axbuild.workspace.disk import Seen
from axbuild.workspace.packages import Packages, Target
from axbuild.workspace.settings import Settings
from axbuild.workspace.workspace import Workspace

_BESIDE = {"jobs", "resources", "cache_size_gb", "cache_max_age_days", "written"}
"""settings that say how a build is done, and nothing of what it gives; and what the file says, which the others hold as
far as it counts"""


def young(seen: Seen) -> int:
    """The flag of a signature that may come to stand for another content too."""
    old = seen.signature is None or form.has_settled(seen.signature, seen.taken_ns)
    return 0 if old else form.YOUNG


def meaning_of(workspace: Workspace, numbers: Mapping[str, int], exact: set[str]) -> dict[str, Any]:
    """Plain values for msgpack. numbers: path -> its number in the snapshot; exact: paths whose bytes stand in keys."""
    return {
        "settings": settings_meaning(workspace.settings),
        "rules": _rules(workspace, numbers, exact),
        "packages": {name: fingerprints(found.targets) for name, found in workspace.packages.parsed.items()},
        "walked": workspace.packages.walked,
        "texts": texts_of(workspace.packages),
    }


def texts_of(packages: Packages) -> dict[str, list[str]]:
    """Files that targets are made of -> the packages of these."""
    found: dict[str, list[str]] = {}
    for name, package in packages.parsed.items():
        for path in package.texts:
            found.setdefault(path, []).append(name)
    return found


def settings_meaning(settings: Settings) -> bytes:
    kept = {name: value for name, value in vars(settings).items() if name not in _BESIDE}
    return sha256(repr(sorted(kept.items())).encode()).digest()


def rule_meaning(text: bytes) -> bytes:
    """Digest of a Python text without its comments and line numbers."""
    return sha256(ast.dump(ast.parse(text)).encode()).digest()


def _rules(workspace: Workspace, numbers: Mapping[str, int], exact: set[str]) -> dict[int, bytes]:
    """The workspace's own rule files; the standard ones are no user's to edit."""
    found = {}
    for file, seen in workspace.rules.seen.items():
        path = str(file).removeprefix(f"{workspace.root}/")
        if file.suffix == ".py" and file.is_relative_to(workspace.root / "rules") and path not in exact:
            text = file.read_bytes()
            if sha256(text).digest() == seen.digest:
                found[numbers[path]] = rule_meaning(text)
    return found


def fingerprints(targets: Mapping[str, Target]) -> bytes:
    """Names of a package's targets, in order, each with a fingerprint of all that its table says."""
    return pack({name: _fingerprint(target) for name, target in targets.items()})


def _fingerprint(target: Target) -> bytes:
    said: list[Any] = [target.rule, target.values, target.own, target.labels]
    if target.warnings:
        said.append(target.warnings)
    return bytes(xxhash.xxh3_128_digest(pack(said)))
