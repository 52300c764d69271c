"""`axbuild freeze`, and the attribute that keeps what it wrote: shipped codes that no new release changes."""

from __future__ import annotations

from axbuild.graph.plan import Input, Plan
from axbuild.workspace.artifact import Artifact, SourceFiles
from axbuild.workspace.disk import Disk
from axbuild.workspace.rule import Settled, Source, Stage
from axbuild.workspace.verb import Argument, Verb

from ._nouns import FloatModel, ops_of

LOCK, SCHEME = "quant.lock", "quant.lock.scheme"

FREEZE = Verb(
    "freeze",
    "Write quant.lock, which keeps the codes that a quantised model was last built with, for `frozen` to name.",
    "./_freezing.py:freeze",
    (
        Argument("target", "The quant_model."),
        Argument("--output", "Where to write it; else quant.lock beside the target's BUILD.toml.", default=""),
    ),
)

KEEP = Stage("axbuild.toolchain.quant.keep:keep", outputs=("scheme.msgpack",), named=ops_of("model"))


def scheme_beside(_disk: Disk, path: str) -> list[str]:
    """The scheme of a lock: the file of the same name with .scheme behind it."""
    return [f"{path}.scheme"]


def frozen_attribute() -> Source:
    return Source(
        "The quant.lock whose codes are kept, whatever this axbuild would choose; `axbuild freeze` writes it.",
        one_file=True,
        companions=scheme_beside,
        default="",
        example="quant.lock",
    )


def kept(t: Settled, plan: Plan, model: FloatModel, chosen: list[Input]) -> Artifact:
    """The frozen scheme; chosen: what it is compared with, one or none."""
    if not isinstance(t.frozen, SourceFiles):
        raise t.error("frozen", "frozen takes a file of this package: what `axbuild freeze` wrote", code="AX106")
    names = {False: LOCK, True: SCHEME}
    files = tuple((names[path.endswith(".scheme")], path) for _, path in t.frozen.files)
    lock = SourceFiles(tuple(sorted(files)), tree=True)
    plan.preflight(KEEP, name="check_lock", model=model.model, lock=lock, chosen=[])
    return plan.run(KEEP, model=model.model, lock=lock, chosen=chosen).only
