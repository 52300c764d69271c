"""Stage: the float model and its scheme -> the quantised model and the records of how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.frontend.attributes import OpPatch
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.check_types import require_types
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.lowered import lowered
from axbuild.toolchain.quant.outline import attach_outline
from axbuild.toolchain.quant.patch import patch
from axbuild.toolchain.quant.precision import LayerConfig, precisions
from axbuild.toolchain.quant.records import records_of, write_records
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.verify import verify


@dataclass(frozen=True)
class QuantizeParams:
    """The scheme says everything. check: 1 fails where an operator does not have the data types that layer_configs and
    highest_mix_precision, as in CalibrateParams, ask for; quant_op_processors: attributes to overwrite."""

    check: int = 0
    layer_configs: tuple[LayerConfig, ...] = ()
    highest_mix_precision: bool = False
    quant_op_processors: tuple[OpPatch, ...] = ()


def quantize(model: Path, scheme: Path, out: Path, *, params: QuantizeParams) -> None:
    """Write `quant_axmodel.onnx` and `quant_axmodel.json` from `optimized.onnx` and `scheme.msgpack`.

    Raises SchemeError where the scheme is damaged or belongs to another model, DataTypeError where `check` finds one,
    OpPatchError where a patch does not fit, GraphFault where what came out is not sound: a defect of the quantiser.
    """
    loaded = ir.load(model_file(model))
    graph = loaded.graph
    chosen = Scheme.read(scheme)
    parts = lowered(graph, chosen)
    if params.check:
        highest = params.highest_mix_precision
        require_types(parts, precisions(graph, params.layer_configs, highest=highest), everywhere=highest)
    quantised = model_with(graph, parts)
    if params.quant_op_processors:
        patch(quantised, params.quant_op_processors)
    verify(quantised)
    write_records(records_of(parts, chosen), out / "quant_axmodel.json")
    attach_outline(quantised, loaded)
    (out / "quant_axmodel.onnx").write_bytes(quantised.SerializeToString(deterministic=True))
