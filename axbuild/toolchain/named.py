"""Operators that chips list by name and ONNX does not define, or did not at an older opset: what each of them is, as a
function of ONNX operators.

A model may have them in any domain. Those that are kept whole stand in the domain `DOMAIN` behind the front end, with
their function in the model, so that stock onnxruntime runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from onnx import FunctionProto, ModelProto, NodeProto, helper, inliner, parser

from axbuild.toolchain import named_regions
from axbuild.toolchain.graph import OPSET

DOMAIN = "axbuild.named"

OLDEST = 12
"""opset of a model whose operators are read by name, where nothing else is said"""
UNDEFINED = {"Bevpool": "Bevpool has no public definition: nothing says what it computes"}
"""op_type -> why a model with it is refused"""


@dataclass(frozen=True)
class NamedOperator:
    """signature: attributes with their defaults, inputs and outputs; equation: in words; lines: the body, in ONNX's
    text form, valid from the opset `oldest` on. rewritten: the ONNX operators that it becomes, the last of them last;
    none where it is kept. fixed: attributes that may have this one value. counts: attributes that must be given, and
    at least 1."""

    name: str
    signature: str
    equation: str
    lines: str
    rewritten: tuple[str, ...] = ()
    oldest: int = OLDEST
    fixed: Mapping[str, str | float] = field(default_factory=dict)
    counts: tuple[str, ...] = ()

    @property
    def attributes(self) -> set[str]:
        """Names of those that a node may have."""
        return {attribute.name for attribute in self.function().attribute_proto} | self.fixed.keys()

    def refusal(self, node: NodeProto, opset: int) -> str:
        """Why a node of a model of that opset is not one of these; "" where it is."""
        if opset < self.oldest:
            return f"is read by name from opset {self.oldest} on"
        for attribute in node.attribute:
            value = helper.get_attribute_value(attribute)
            value = value.decode() if isinstance(value, bytes) else value
            if attribute.name not in self.attributes:
                return f"has the attribute {attribute.name}, which nothing defines"
            if value != self.fixed.get(attribute.name, value):
                return f"has {attribute.name} = {value}, not {self.fixed[attribute.name]}"
        given = {attribute.name: attribute.i for attribute in node.attribute}
        if short := [name for name in self.counts if given.get(name, 0) < 1]:
            return f"has no {short[0]} of at least 1: how much it reads would depend on data"
        return ""

    def function(self, opset: int = OPSET) -> FunctionProto:
        head = f'<domain: "{DOMAIN}", opset_import: ["": {opset}]>'
        return parser.parse_function(f"{head}\n{self.name} {self.signature} {{{self.lines}\n}}")


_ALL = (
    NamedOperator(
        "Gelu",
        "(x) => (y)",
        "y = x / 2 (1 + erf(x / sqrt 2))",
        """
  root = Constant <value = float {1.4142135623730951}> ()
  one = Constant <value = float {1.0}> ()
  half = Constant <value = float {0.5}> ()
  narrowed = Div (x, root)
  bent = Erf (narrowed)
  raised = Add (bent, one)
  doubled = Mul (x, raised)
  y = Mul (doubled, half)""",
        ("Gelu",),
    ),
    NamedOperator(
        "HardSwish",
        "(x) => (y)",
        "y = x min(max(x + 3, 0), 6) / 6",
        """
  gate = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x)
  y = Mul (x, gate)""",
        ("HardSwish",),
    ),
    NamedOperator(
        "InverseSigmoid",
        "<eps: float = 0.00001> (x) => (y)",
        "y = ln(max(c, eps) / max(1 - c, eps)), c = x between 0 and 1",
        """
  least = Constant <value_float: float = @eps> ()
  none = Constant <value = float {0.0}> ()
  one = Constant <value = float {1.0}> ()
  raised = Max (x, none)
  inside = Min (raised, one)
  rest = Sub (one, inside)
  share = Max (inside, least)
  other = Max (rest, least)
  odds = Div (share, other)
  y = Log (odds)""",
    ),
    NamedOperator(
        "Mish",
        "(x) => (y)",
        "y = x tanh(ln(1 + e^x))",
        """
  soft = Softplus (x)
  gate = Tanh (soft)
  y = Mul (x, gate)""",
        ("Mish",),
    ),
    NamedOperator(
        "Silu",
        "(x) => (y)",
        "y = x / (1 + e^-x)",
        """
  gate = Sigmoid (x)
  y = Mul (x, gate)""",
        ("Swish",),
    ),
    NamedOperator(
        "SpatialTransformer",
        "(x, theta) => (y)",
        "y = x [n, c, h, w] at theta [n, 2, 3] times (column, row, 1), both coordinates from -1 to 1 between the outer "
        "edges of the map; 0 outside of it",
        """
  size = Shape (x)
  places = AffineGrid (theta, size)
  y = GridSample (x, places)""",
        ("AffineGrid", "GridSample"),
        20,
        {"interpolation": "bilinear", "border": "constant", "border_value": 0.0},
    ),
    NamedOperator(
        "Swish",
        "<alpha: float = 1.0> (x) => (y)",
        "y = x / (1 + e^(-alpha x))",
        """
  slope = Constant <value_float: float = @alpha> ()
  scaled = Mul (x, slope)
  gate = Sigmoid (scaled)
  y = Mul (x, gate)""",
        ("Swish",),
    ),
)
NAMED = {item.name: item for item in _ALL}

_ROI_ALIGN = NamedOperator(
    "RoiAlign",
    named_regions.SIGNATURE,
    named_regions.EQUATION,
    named_regions.LINES,
    oldest=10,
    fixed={"mode": "avg"},
    counts=("sampling_ratio",),
)
_GROUP_NORM = NamedOperator(
    "GroupNormalization",
    "<epsilon: float = 0.00001, num_groups: int = 1, stash_type: int = 1> (x, scale, bias) => (y)",
    "y = (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) scale + bias, the means over each group of channels",
    """
  none = Constant <value = int64[1] {0}> ()
  rest = Constant <value = int64[1] {-1}> ()
  column = Constant <value = int64[2] {-1, 1}> ()
  last = Constant <value = int64[1] {2}> ()
  count = Constant <value_int: int = @num_groups> ()
  groups = Unsqueeze (count, none)
  by_group = Concat <axis = 0> (none, groups, rest)
  grouped = Reshape (x, by_group)
  mean = ReduceMean (grouped, last)
  apart = Sub (grouped, mean)
  square = Mul (apart, apart)
  variance = ReduceMean (square, last)
  least = Constant <value_float: float = @epsilon> ()
  raised = Add (variance, least)
  deviation = Sqrt (raised)
  normal = Div (apart, deviation)
  channels = Shape <start = 1, end = 2> (x)
  by_channel = Concat <axis = 0> (none, channels, rest)
  flat = Reshape (normal, by_channel)
  factor = Reshape (scale, column)
  addend = Reshape (bias, column)
  scaled = Mul (flat, factor)
  moved = Add (scaled, addend)
  shape = Shape (x)
  y = Reshape (moved, shape)""",
    oldest=18,
    counts=("num_groups",),
)
STAND_INS = {"GroupNormalization": (21, _GROUP_NORM), "RoiAlign": (22, _ROI_ALIGN)}
"""ONNX's own operators that onnxruntime does not run, or by a body that cancels digits (the variance as a difference of
means): op_type -> the first such opset, and what stands for them"""


def functions_of(names: Iterable[str]) -> list[FunctionProto]:
    """The functions of those operators, for a model of the opset that all float graphs have."""
    known = NAMED | {name: own for name, (_, own) in STAND_INS.items()}
    return [known[name].function() for name in sorted({*names})]


def state_defaults(model: ModelProto) -> None:
    """Write what a call leaves at its function's default: ONNX's inliner loses it."""
    defaults = {(f.domain, f.name, f.overload): f.attribute_proto for f in model.functions}
    for node in (node for owner in (model.graph, *model.functions) for node in owner.node):
        given = {attribute.name for attribute in node.attribute}
        known = defaults.get((node.domain, node.op_type, node.overload), ())
        node.attribute.extend(attribute for attribute in known if attribute.name not in given)


def opened(model: ModelProto) -> ModelProto:
    """The model with the bodies of these operators where they stand: of ONNX's operators alone."""
    if all(node.domain != DOMAIN for node in model.graph.node):
        return model
    state_defaults(complete(model))
    plain: ModelProto = inliner.inline_local_functions(model)
    for entry in [entry for entry in plain.opset_import if entry.domain == DOMAIN]:
        plain.opset_import.remove(entry)
    return plain


def complete(model: ModelProto) -> ModelProto:
    """The model, with the functions of what it has of these operators; in place."""
    used = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    if used:
        known = {function.name for function in model.functions if function.domain == DOMAIN}
        model.functions.extend(functions_of(used - known))
        if all(entry.domain != DOMAIN for entry in model.opset_import):
            model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model
