"""Stage: the quantised model with every fused node by itself, as a model that compiles like any other.

Each node reads the float model's values, which are inputs here, and what it writes is an output: one program holds all
operators, and one run of it on the simulated NPU is the whole of a PerLayer analysis.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from axbuild.toolchain.graph import Names
from axbuild.toolchain.kinds.border import Dequantize
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.kinds.registry import write_node
from axbuild.toolchain.precision.alone import Alone
from axbuild.toolchain.precision.edges import ExposedModels

FILE = "apart.onnx"


def take_apart(model: Path, quantised: Path, out: Path) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx. Writes apart.onnx."""
    apart = in_floats(ExposedModels(model, onnx.load(quantised)))
    (out / FILE).write_bytes(apart.model.SerializeToString(deterministic=True))


def in_floats(models: ExposedModels) -> Alone:
    """`alone` with floats for outputs, as a quantised model has them: codes behind a Dequantize."""
    alone, edges = models.alone, models.places.edges
    made = onnx.ModelProto()
    made.CopyFrom(alone.model)
    graph, functions = made.graph, {(one.name, one.overload) for one in made.functions}
    inner = {info.name: info for info in graph.output}
    taken = Names([*(name for node in graph.node for name in (node.name, *node.output)), *alone.inputs])
    del graph.output[:]
    outputs: dict[str, str] = {}
    for name, own in alone.outputs.items():
        edge, info = edges[name], inner[own]
        outputs[name] = own
        if isinstance(edge, Grid):
            graph.value_info.append(info)
            outputs[name] = taken.free(f"{name}/float")
            written = write_node(Dequantize(edge), [own], [outputs[name]], outputs[name])
            graph.node.append(written.node)
            if (written.function.name, written.function.overload) not in functions:
                functions.add((written.function.name, written.function.overload))
                made.functions.append(written.function)
            info = onnx.helper.make_tensor_value_info(outputs[name], onnx.TensorProto.FLOAT, None)
            info.type.tensor_type.shape.CopyFrom(inner[own].type.tensor_type.shape)
        graph.output.append(info)
    return Alone(made, alone.inputs, outputs)
