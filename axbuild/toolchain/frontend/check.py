"""Does the rewritten model still compute what it did: each match by itself, and the whole once at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from axbuild.errors import AxError
from axbuild.toolchain import ort
from axbuild.toolchain.door import door, in_words
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.graph import OPSET, Array
from axbuild.toolchain.made_up import made_up
from axbuild.toolchain.masks import HIDDEN
from axbuild.toolchain.rewrites.rewrite import Match, Rounding

SEED = 20
DRAWS = 8
_WHOLE_NUMBERS = (TensorProto.INT32, TensorProto.INT64)
_DTYPES: dict[int, type] = {TensorProto.INT32: np.int32, TensorProto.INT64: np.int64, TensorProto.BOOL: np.bool_}
"""of inputs that are no reals"""
Tensors = dict[str, Array]

FLOAT_EPSILON = float(np.finfo(np.float32).eps)

CONFIDENCE = 8.0
"""Rounding errors of n sums are independent enough to grow with sqrt(n): they stay below lambda sqrt(n) u times the sum
of magnitudes with probability 1 - 2 n exp(-lambda^2 / 2) (Higham and Mary, SIAM J. Sci. Comput. 41, 2019)."""

WHOLE = 1e-3
"""of an output's largest magnitude: by how much all rounding together may change a model that amplifies none of it"""

NUDGE = 2.0**-19
"""relative change of the inputs that shows how much a model amplifies rounding: a few steps of float32"""

AMPLIFIED = 30.0
"""how much more than such a nudge a rewritten model may change an output: every layer rounds anew, the nudge is once"""


class TransformationError(AxError):
    """The front end changed what the model computes by more than rounding: a defect of ours."""

    code = "AX306"


class NotFiniteError(AxError):
    """A model computes infinities or NaN in ways that no rewrite can keep."""

    code = "AX309"


class NotRunnableError(AxError):
    """onnxruntime refuses the model, which is valid by ONNX's own checker."""

    code = "AX307"


MOVES = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""operators that hand on every element of their first input as it is"""


@dataclass(frozen=True)
class Trial:
    """What the user's model makes of one random input, the same in every run."""

    model: LightModel
    inputs: Tensors
    outputs: Tensors


def trial(model: LightModel) -> Trial:
    """Standard normal numbers for float32; integers are below 8, or 0 and 1, or all 0, where the model takes them for
    indices of short axes.

    It is the first of DRAWS in which every token sees something: an attention that hides all of them from one has a
    convention of its own for it, which no rewrite keeps.
    """
    for below in (8, 2):
        try:
            return _tried(model, below)
        except NotRunnableError:
            if all(value.type.tensor_type.elem_type == TensorProto.FLOAT for value in model.inputs):
                raise
    return _tried(model, 1)


def _tried(model: LightModel, below: int) -> Trial:
    graph = model.proto.graph
    masks = {node.input[3]: _is_causal(node) for node in graph.node if node.op_type == "Attention" and node.input[3:]}
    masks |= {node.input[0]: False for node in graph.node if node.op_type == "Softmax"}
    made = [name for node in graph.node for name in node.output if name in masks]
    trials = []
    for seed in range(SEED, SEED + DRAWS):
        inputs = random_inputs(model, below, seed)
        seen = run(model, inputs, made)
        trials.append(Trial(model, inputs, {value.name: seen[value.name] for value in graph.output}))
        known = inputs | seen
        if not any(_hides_a_token(known[name], causal) for name, causal in masks.items() if name in known):
            return trials[-1]
    return trials[0]


def _is_causal(node: NodeProto) -> bool:
    return any(item.name == "is_causal" and item.i for item in node.attribute)


def _hides_a_token(mask: Array, causal: bool) -> bool:
    """Whether a line along the last axis shows nothing: of scores, a mask added to them, or one of truth values."""
    shown = mask if mask.dtype == np.bool_ else mask > HIDDEN
    return not (np.tril(shown) if causal and shown.ndim > 1 else shown).any(axis=-1).all()


def random_inputs(model: LightModel, below: int = 8, seed: int = SEED) -> Tensors:
    rng = np.random.default_rng(seed)
    flags = _flags(model.proto.graph)
    found = {value.name: _random(value, 2 if value.name in flags else below, rng) for value in model.inputs}
    for name in flags:
        found[name][..., :1] = 1
    return found


def _flags(graph: GraphProto) -> set[str]:
    """Inputs of whole numbers that the model casts to float, as masks of attention are: of 0 and 1, never 0 alone."""
    sources = {value.name: {value.name} for value in graph.input if value.type.tensor_type.elem_type in _WHOLE_NUMBERS}
    found: set[str] = set()
    for node in graph.node:
        read = sources.get(node.input[0], set()) if node.input else set()
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
            found |= read
        elif node.op_type in ("Unsqueeze", "Squeeze", "Reshape", "Slice", "Identity", "Cast"):
            sources |= dict.fromkeys(node.output, read)
    return found


def _random(value: ValueInfoProto, below: int, rng: np.random.Generator) -> Array:
    shape = [item.dim_value for item in value.type.tensor_type.shape.dim]
    return made_up(rng, _DTYPES.get(value.type.tensor_type.elem_type, np.float32), shape, below)


def run(model: LightModel, inputs: Tensors, names: Iterable[str] = ()) -> Tensors:
    """The model's outputs and the tensors `names`, by onnxruntime without its optimisations, on one thread."""
    values = _values(model, inputs, names)
    return {name: value.numpy() for name, value in values.items()}


def _values(model: LightModel, inputs: Tensors, names: Iterable[str]) -> dict[str, ort.Value]:
    content = _with_outputs(model.proto, sorted(set(names)))
    with door(lambda said: NotRunnableError(f"onnxruntime does not run the model: {_at_node(said)}", hint=_LOOK)):
        session = ort.bare_session(content, level="off", arena=False)
        given = {**inputs, **model.weights}
        feeds = {item.name: ort.Value.ortvalue_from_numpy(given[item.name]) for item in session.get_inputs()}
        outputs = [value.name for value in session.get_outputs()]
        return dict(zip(outputs, session.run_with_ort_values(outputs, feeds), strict=True))


_LOOK = "look at the shapes and types that this node is given, or cut the model before it with `outputs`"
_RUNNING = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: ")


def _at_node(said: str) -> str:
    """onnxruntime's words with the innermost node that failed before them."""
    nodes = _RUNNING.findall(said)
    return f"node '{nodes[-1][1]}' ({nodes[-1][0]}): {in_words(_RUNNING.sub('', said))}" if nodes else said


def _with_outputs(model: ModelProto, names: list[str]) -> bytes:
    """The model's bytes with the tensors `names` as outputs beside its own; the model is left as it was."""
    own = len(model.graph.output)
    known = {value.name for value in model.graph.output}
    try:
        model.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in known)
        return bytes(model.SerializeToString())
    finally:
        del model.graph.output[own:]


def check_matches(model: LightModel, inputs: Tensors, matches: Sequence[Match]) -> Tensors:
    """The outputs of a model that computes both sides of every match.

    Raises TransformationError for the first match whose sides differ by more than its arithmetic rounds.
    """
    wanted = {name for match in matches for name in _tensors(match)}
    values = _values(model, inputs, wanted)
    known = inputs | model.weights

    def tensor(name: str) -> Array:
        return known[name] if name in known else values[name].numpy()

    def allowed(match: Match) -> Array:
        sizes = [largest(tensor(value.name or "")) for value, _ in match.rounding.gains]
        return limit(match.rounding, sizes, len(match.before.shape or ()))

    makers: dict[ir.Value, list[int]] = {}
    for index, match in enumerate(matches):
        makers.setdefault(match.after, []).append(index)
    for index, match in enumerate(matches):
        later = sum(float(allowed(one).max()) for one in _replaced_since(matches, index, makers))
        before, after = tensor(match.before.name or ""), tensor(match.after.name or "")
        name = match.after.name or ""
        _require_close(f"{match.rewrite} of node '{match.node}'", name, before, after, allowed(match) + later)
    return {value.name: values[value.name].numpy() for value in model.proto.graph.output}


def _replaced_since(matches: Sequence[Match], index: int, makers: dict[ir.Value, list[int]]) -> list[Match]:
    """The matches that later replaced what a side of this one is now moved from, and so round that as well."""
    found: dict[int, Match] = {}
    waiting = [matches[index].before, matches[index].after]
    while waiting:
        value = waiting.pop()
        later = [one for one in makers.get(value, ()) if one > index and one not in found]
        found |= {one: matches[one] for one in later}
        waiting += [matches[one].before for one in later]
        node = value.producer()
        if node is not None and node.op_type in MOVES and node.inputs[0] is not None:
            waiting.append(node.inputs[0])
    return list(found.values())


def whole(trial: Trial, outputs: Tensors) -> str:
    """How the outputs differ from the user's model by more than rounding explains, in words; "" where they do not.

    Random weights can make a deep model turn the last bits of its input into its first digits. Where outputs differ,
    the user's own model on inputs nudged by such bits says how much of it that is.
    """
    found = _different(trial.outputs, outputs, {})
    if not found:
        return ""
    rng = np.random.default_rng(SEED)
    nudged = {
        name: array * (1 + NUDGE * rng.choice(np.array([-1, 1], np.float32), array.shape))
        if array.dtype == np.float32
        else array
        for name, array in trial.inputs.items()
    }
    return _different(trial.outputs, outputs, run(trial.model, nudged))


def _different(before: Tensors, after: Tensors, nudged: Tensors) -> str:
    for name, old in before.items():
        moved = nudged.get(name, old)
        is_real = np.issubdtype(old.dtype, np.floating)
        if moved.shape != old.shape or not (is_real or np.array_equal(moved, old)):
            continue  # what is picked, or how much of it, hangs on the last bits
        swing = AMPLIFIED * largest(moved - old) if is_real else 0.0
        if difference := differs(name, old, after[name], max(swing, WHOLE * largest(old))):
            return difference
    return ""


def culprit(trial: Trial, model: LightModel, difference: str) -> TransformationError:
    """The error for a model whose outputs differ although every match keeps to its rounding.

    Conversion and folding are left, and both keep the names of tensors: the first that differs is the place.
    """
    there = {name for node in trial.model.proto.graph.node for name in node.output}
    names = [name for node in model.proto.graph.node for name in node.output if name in there]
    before, after = run(trial.model, trial.inputs, names), run(model, trial.inputs, names)
    makers = {name: node for node in model.proto.graph.node for name in node.output}
    for name in names:
        if found := differs(name, before[name], after[name], WHOLE * largest(before[name])):
            node = makers[name]
            difference = f"{found}, output of node '{node.name}' ({node.op_type})"
            break
    return TransformationError(
        f"conversion to opset {OPSET} or constant folding {difference}",
        hint="this is a defect of the front end; please report it with the model",
    )


def _tensors(match: Match) -> list[str]:
    values = (match.before, match.after, *(value for value, _ in match.rounding.gains))
    return [value.name or "" for value in values]


def largest(array: Array) -> float:
    """The largest finite magnitude."""
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if np.isfinite(low) and np.isfinite(high):
        return max(abs(low), high)
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def limit(rounding: Rounding, sizes: Sequence[float], rank: int) -> Array:
    """The largest difference that rounding explains, in the form of the output's channels."""
    pairs = zip(rounding.gains, sizes, strict=True)
    magnitude = np.asarray(rounding.offset) + sum(np.asarray(gain) * size for (_, gain), size in pairs)
    allowed: Array = CONFIDENCE * np.sqrt(rounding.terms) * FLOAT_EPSILON * magnitude
    return allowed.reshape(-1, *(1,) * (rank - 2)) if allowed.ndim else allowed


def _require_close(what: str, name: str, before: Array, after: Array, limit: Array | float) -> None:
    difference = differs(name, before, after, limit)
    if difference:
        raise TransformationError(
            f"{what} {difference}", hint="this is a defect of the rewrite; please report it with the model"
        )


def differs(name: str, before: Array, after: Array, limit: Array | float) -> str:
    """How a tensor changed by more than `limit`, in words; "" where it did not. Raises NotFiniteError."""
    if before.shape != after.shape:
        return f"turned the shape of tensor '{name}' from {before.shape} into {after.shape}"
    if not np.issubdtype(before.dtype, np.floating):
        changed = int((before != after).sum())
        return f"changed {changed} of {before.size} values of tensor '{name}'" if changed else ""
    with np.errstate(invalid="ignore"):  # infinities are looked at one by one
        gap = np.asarray(np.subtract(before, after))
        np.abs(gap, out=gap)
        return "" if (gap <= limit).all() else _told_apart(name, before, after, limit)


def _told_apart(name: str, before: Array, after: Array, limit: Array | float) -> str:
    finite = np.isfinite(before)
    if not np.array_equal(before[~finite], after[~finite], equal_nan=True):
        raise NotFiniteError(
            f"tensor '{name}' of the model has values that are not finite, and not always the same ones",
            hint="the weights may be damaged, or too large for float32",
        )
    if not np.isfinite(after[finite]).all():
        return f"made values of tensor '{name}' that are not finite"
    gap = np.where(finite, np.abs(before.astype(np.float64) - after), 0.0)
    over = gap - limit
    if not gap.size or over.max() <= 0:
        return ""
    worst = np.unravel_index(int(over.argmax()), gap.shape)
    allowed = float(np.broadcast_to(limit, gap.shape)[worst])
    return f"changed tensor '{name}' by {gap[worst]:.3g}, more than {allowed:.3g}"
