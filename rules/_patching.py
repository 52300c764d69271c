"""Patches of a float model before anything else happens to it: attributes of operators, values of constants."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact, file_name
from axbuild.workspace.rule import Record, Records, Settled, Source, Stage, String, Value, Values

PATCH = Stage("axbuild.toolchain.frontend.patch:patch", outputs=("patched/",), bounds="optimize")

FORMS = ("bin", "npy", "txt")


class OpProcessor:
    """Attributes of one operator of the float model, overwritten."""

    op_name = String("The operator's name in the model.", required=True)
    attrs = Values("Its attributes and their new values.", text=True, required=True)


class ConstProcessor:
    """The values of one constant of the float model, which keeps its type and shape."""

    name = String("The constant's tensor in the model.", required=True)
    data = Value("Its values, in order.")
    data_path = Source(
        "A file with its values in place of `data`: .npy, .bin (bytes of the constant's type) or .txt (numbers).",
        one_file=True,
    )


class Patching:
    """What is changed of the model itself, in its own names, before shapes are settled."""

    op_processors = Records(
        "Attributes of the model's operators to overwrite; shapes behind them follow.",
        OpProcessor,
        vendor="op_processors",
        example=[{"op_name": "pool6", "attrs": {"ceil_mode": 1}}],
    )
    const_processors = Records(
        "Constants of the model to give other values.",
        ConstProcessor,
        vendor="const_processors",
        example=[{"name": "reshape_0_shape", "data": [-1, 96, 48]}],
    )


def patched(t: Settled, plan: Plan, model: Artifact) -> Artifact:
    """The model's folder behind the patches; itself where there are none."""
    if not (t.op_processors or t.const_processors):
        return model
    _once(t, "op_processors", [entry.op_name for entry in t.op_processors])
    _once(t, "const_processors", [entry.name for entry in t.const_processors])
    params = {
        "op_processors": [{"op_name": entry.op_name, "attrs": entry.attrs} for entry in t.op_processors],
        "const_processors": [_constant(t, entry) for entry in t.const_processors],
    }
    files = [entry.data_path for entry in t.const_processors if entry.data_path is not None]
    return plan.run(PATCH, model=model, values=files, params=params)["patched/"]


def _once(t: Settled, attribute: str, names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise t.error(attribute, f"two entries of {attribute} are for '{twice[0]}'", code="AX115")


def _constant(t: Settled, entry: Record) -> dict[str, Any]:
    if (entry.data is None) == (entry.data_path is None):
        have = "both data and data_path" if entry.data is not None else "neither data nor data_path"
        sentence = f"const_processors has {have} for '{entry.name}'"
        raise t.error("const_processors", sentence, hint="give one of them", code="AX115")
    if entry.data_path is None:
        return {"name": entry.name, "data": entry.data, "form": ""}
    form = file_name(entry.data_path).rpartition(".")[2].lower()
    if form not in FORMS:
        sentence = f"data_path of '{entry.name}' takes a .npy, .bin or .txt file"
        raise t.error("const_processors", sentence, code="AX106")
    return {"name": entry.name, "data": None, "form": form}
