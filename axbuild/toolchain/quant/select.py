"""Stage, before the slow ones: what each layer rule selects, as a table."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxNote, AxWarning, counted
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.ops.fused import always, never
from axbuild.toolchain.quant.forms import formed
from axbuild.toolchain.quant.precision import HIGHEST, LayerConfig, Selection, has_typed_output, precisions
from axbuild.toolchain.quant.selectors import Selected

HEAD = ("Op Type / Layer name", "Precision", "Operators")


@dataclass(frozen=True)
class SelectParams:
    """As in CalibrateParams."""

    layer_configs: tuple[LayerConfig, ...] = ()
    highest_mix_precision: bool = False
    disable_quant_optimization: bool = False


def select(model: Path, out: Path, *, params: SelectParams) -> None:
    """model: the front end's folder. Writes and tells `layer_config_table.txt`; warns of what has no effect.

    Raises LayerConfigError for a rule that selects nothing, contradicts another, or cannot be obeyed.
    """
    graph = ir.load(model_file(model)).graph
    selection = Selection.of(graph, params.layer_configs)
    rest = [node for node in graph if node not in selection.deciding] if params.highest_mix_precision else []
    lines = table(selection, len(rest), _inside(graph, params))
    (out / "layer_config_table.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        warnings.warn(AxNote(line), stacklevel=1)
    for sentence in _without_effect(selection):
        warnings.warn(AxWarning("AX364", sentence), stacklevel=1)


def _inside(graph: ir.Graph, params: SelectParams) -> set[ir.Node]:
    """Operators that the one before them, or behind, computes along on exact sums."""
    asked = precisions(graph, params.layer_configs, highest=params.highest_mix_precision)
    found = formed(graph, asked, always if params.disable_quant_optimization else never)
    return {node for item in found for node in item.fused.nodes if node is not item.fused.node}


def table(selection: Selection, rest: int, inside: Collection[ir.Node]) -> list[str]:
    """Its lines: a title, a row for each word of each rule, and one for the `rest` that has the highest precision.

    inside: operators that are computed along with another.
    """
    rows = [HEAD]
    for place, (rule, matches) in enumerate(zip(selection.rules, selection.matches, strict=True)):
        rows += [(match.word, str(rule.precision), _operators(selection, place, match, inside)) for match in matches]
    if rest:
        rows.append(("all others", str(HIGHEST), str(rest)))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    body = [f"{word:<{widths[0]}}  {precision:<{widths[1]}}  {found}" for word, precision, found in rows]
    return ["Layer Config Table", *body]


def _operators(selection: Selection, place: int, match: Selected, inside: Collection[ir.Node]) -> str:
    """How many, those that another rule decides apart, and what there is to say of them."""
    own = [node for node in match.nodes if selection.deciding[node] == place]
    others, along = len(match.nodes) - len(own), sum(node in inside for node in own)
    more = [f"{others} of them by another rule"] if others else []
    more += [f"{along} of them on the exact sums of the operator before"] if along else []
    return ", ".join([str(len(match.nodes)), *more, *([match.about] if match.about else [])])


def _without_effect(selection: Selection) -> Iterator[str]:
    for place, (rule, matches) in enumerate(zip(selection.rules, selection.matches, strict=True)):
        words = "; ".join(match.word for match in matches)
        decided = [node for match in matches for node in match.nodes if selection.deciding[node] == place]
        ignoring = list(dict.fromkeys(node.op_type for node in decided if not has_typed_output(node)))
        if not decided:
            yield f"the layer rule for {words} has no effect: other rules decide all that it selects"
        elif rule.output_data_type and ignoring:
            told = counted(sum(not has_typed_output(node) for node in decided), "operator")
            yield (
                f"output_data_type of the layer rule for {words} is ignored by {told} ({', '.join(ignoring)}): the "
                "output of all but convolutions has the type that its readers ask for"
            )
