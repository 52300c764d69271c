"""`axbuild pulsar2`: the vendor's command line, whose options and files it takes as they are."""

from __future__ import annotations

from axbuild.workspace.verb import Argument, Verb

PULSAR2 = Verb(
    "pulsar2",
    "Build, run and tell the version, as the vendor's `pulsar2` does, with axbuild's cache.",
    "./_pulsar2.py:pulsar2",
    (Argument("arguments", "build, run or version, and what is said behind it; build -h lists it.", "rest"),),
)
