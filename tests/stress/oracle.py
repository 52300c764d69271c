"""The models of the example zoo with each element type, whole, against plain Python integers. Slow.

    python tests/stress/oracle.py [--models digits_u16,mobilenet_float_add] [--seed 1]

Builds them, draws for each a picture that calibrated nothing, and takes it through the oracle node by node. Every
tensor of every node must be the same in the ONNX bodies (optimisation off and on) and in the simulated chip's memory.
Prints how many elements of how many differ; exits 1 where any does. `make fetch` brings the models.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
from bodies import LEVELS, every_tensor, session
from quantised import oracle_values

from axbuild.toolchain.axmodel.container import NpuSubgraph
from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.simulator.machine import Machine
from element_types import MODELS, RULES, build_element_types, pictures, reals

Tensors = dict[str, np.ndarray]
NAMES = ["swish", *(f"{model}_{rule}" for model in MODELS for rule in RULES)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(NAMES))
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    names = flags.models.split(",")
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"there is no {', '.join(unknown)}; there is {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory() as folder:
        zoo, _ = build_element_types(Path(folder))
        bad = sum(differing(zoo.root, name, flags.seed) for name in names)
    return 1 if bad else 0


def differing(root: Path, name: str, seed: int) -> int:
    """Elements of one model that are not the oracle's, after a line about each witness."""
    folder = root / "axbuild-out/mixed" / name
    model = onnx.load(folder / "quant/quant_axmodel.onnx")
    shown = pictures(root, "mobilenet" if name.startswith("mobilenet") else "digits", "evaluation")
    picture = shown[[random.Random(f"{name} {seed}").randrange(len(shown))]]
    feeds = {model.graph.input[0].name: reals(picture)}
    began = time.perf_counter()
    expected = oracle_values(model, feeds)
    seconds = time.perf_counter() - began
    witnesses = {level: from_bodies(model, feeds, level) for level in LEVELS}
    witnesses["simulated chip"] = from_chip(model, (folder / "compiled.axmodel").read_bytes(), picture)
    elements, bad = sum(value.size for value in expected.values()), 0
    for witness, found in witnesses.items():
        count = sum(unlike(found[tensor], value) for tensor, value in expected.items())
        said = f"{count} of {elements} elements of {len(expected)} tensors differ"
        print(f"{name:24} {witness:18} {said} (oracle {seconds:.0f} s)", flush=True)
        bad += count
    return bad


def unlike(found: np.ndarray, expected: np.ndarray) -> int:
    """Elements that differ: all of them where type or shape does."""
    alike = (found.dtype, found.shape) == (expected.dtype, expected.shape)
    return int((found != expected).sum()) if alike else expected.size


def from_bodies(model: onnx.ModelProto, feeds: Tensors, level: str) -> Tensors:
    """The outputs from the model as it is, of which an optimiser may join what nobody sees."""
    plain = session(model, level)
    outputs = [port.name for port in plain.get_outputs()]
    return every_tensor(model, feeds, level) | dict(zip(outputs, plain.run(outputs, feeds), strict=True))


def from_chip(model: onnx.ModelProto, content: bytes, picture: np.ndarray) -> Tensors:
    """Every tensor of the one program, under the model's names.

    The compiler numbers tensors in the model's order, those of pre-processing before them; the last is the output.
    """
    container = read(content, "the model")
    (subgraph,) = container.subgraphs
    assert isinstance(subgraph, NpuSubgraph)
    program = decode(subgraph.programs[1])
    (source,), (target,) = program.inputs, program.outputs
    count = len(program.activations) - 2
    own = [*(f"t{number}" for number in range(count)), target.name]
    found = Machine(program, container.params).run({source.name: picture}, watch=own[:-1])
    names = [node.output[0] for node in model.graph.node]
    return {name: found[tensor] for name, tensor in zip(names, own[-len(names) :], strict=True)}


if __name__ == "__main__":
    sys.exit(main())
