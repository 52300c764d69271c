"""The scheme that the grids of a QDQ model make of the float model behind it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import onnx_ir as ir

from axbuild.errors import AxWarning
from axbuild.toolchain.qdq.given import GivenWeight
from axbuild.toolchain.qdq.settle import Settlement
from axbuild.toolchain.qdq.weights import GivenWeights
from axbuild.toolchain.quant.forms import Formed
from axbuild.toolchain.quant.scheme import Form, Scheme, SiteScheme

MOST_NAMED = 5
"""operators that a warning names"""


def scheme_of(settled: Settlement, weights: Sequence[GivenWeight]) -> Scheme:
    """Every fused node with its edges, and its weight in the codes that were given; warns of what was not."""
    own = GivenWeights(weights)
    sites = tuple(_site(item, settled, own) for item in settled.found)
    in_float = [item.fused.name for item in settled.found if item.form is not Form.INTEGER and _has_reals(item)]
    tell("AX380", in_float, "computed in float32, since the model has no scales for what is read or written there")
    tell("AX381", own.anew, "weights quantised anew, since no scales of the model fit what they are here")
    return Scheme(sites, settled.owners)


def _site(item: Formed, settled: Settlement, weights: GivenWeights) -> SiteScheme:
    name = item.fused.name
    reads, writes = settled.reads[name], settled.writes[name]
    weight = weights.adopt(item.fused, reads, writes) if item.form is Form.INTEGER else None
    nodes = tuple(node.name or "" for node in item.fused.nodes)
    return SiteScheme(nodes, item.form, reads, writes, weight, item.reason)


def _has_reals(item: Formed) -> bool:
    return any(value.dtype == ir.DataType.FLOAT for value in (*item.fused.inputs, *item.fused.outputs))


def tell(code: str, names: Sequence[str], what: str) -> None:
    """Warn of operators, if there are any."""
    if names:
        named = ", ".join(f"'{name}'" for name in names[:MOST_NAMED])
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        warnings.warn(AxWarning(code, f"{named}{more}: {what}"), stacklevel=2)
