"""ONNX's own backend node cases through the front end in float and, where they have one, in their integer form.

    python tests/stress/cases.py [--ops Conv,Softmax] [--write docs/reference/onnx-cases.md]

A case is a model of one operator, or of what its function is made of, with inputs and expected outputs. Here its first
input is computed and the others are constants, unless the operator is one of several activations. Prints, or writes, a
row for each operator; exits 1 where a result is wrong.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
from node_cases import ordinary, settled_case
from onnx.backend.test.case.node import collect_testcases
from onnx.helper import tensor_dtype_to_np_dtype
from quantised import float_run, loaded, quantised
from random_graphs.proof import distance, optimized

from axbuild.errors import AxError
from axbuild.toolchain.graph import OPSET
from axbuild.toolchain.ops.fused import without_integer_form

HEAD = """# ONNX's own node cases

Written by `tests/stress/cases.py --write`. Each of ONNX's backend node cases is a model with inputs and expected
outputs: one operator, or what its function is made of (those count in the operator's row). Its first input is computed
here and the others are constants, unless the operator takes several activations. In float: what the front end makes of
it gives ONNX's outputs (within 1e-3 of each value). In integers: every operator that is left has an integer form; the
distance is that of its integers from float on inputs that lie on their grids, in steps of the output's grid, rounded
up. What is spelled out in several operators rounds several times. The second table says why the others are not.

"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", default="", help="only these operators")
    parser.add_argument("--write", type=Path, help="write the page there instead of printing it")
    parser.add_argument("--verbose", action="store_true", help="a line for each case")
    flags = parser.parse_args()
    warnings.simplefilter("ignore")  # of values far apart, which such cases are full of
    wanted = {op for op in flags.ops.split(",") if op}
    table: dict[str, list[Verdict]] = defaultdict(list)
    for op, case in every_case():
        if not wanted or op in wanted:
            table[op].append(judged(op, case))
            if flags.verbose:
                print(table[op][-1], file=sys.stderr, flush=True)
    text = page(table)
    if flags.write:
        flags.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 1 if any(verdict.wrong for verdicts in table.values() for verdict in verdicts) else 0


def page(table: dict[str, list[Verdict]]) -> str:
    supported = {op: found for op, found in table.items() if any(verdict.off is not None for verdict in found)}
    everything = [verdict for found in table.values() for verdict in found]
    lines = ["| operator | cases | right in float | in integers | distance |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [row(op, found) for op, found in sorted(supported.items())]
    lines += [row("all, others included", everything), ""]
    lines += ["| operator | cases | why not in integers, or not taken at all |", "| --- | ---: | --- |"]
    for op, found in sorted(table.items()):
        reasons = Counter(reason for verdict in found for reason in verdict.reasons)
        lines += [f"| {op} | {count} | {reason} |" for reason, count in reasons.most_common()]
    return HEAD + "\n".join(lines) + "\n"


def row(op: str, found: list[Verdict]) -> str:
    integers = [verdict.off for verdict in found if verdict.off is not None]
    furthest = math.ceil(max(integers, default=0.0) * 10 - 0.1) / 10
    return f"| {op} | {len(found)} | {sum(v.right for v in found)} | {len(integers)} | {furthest:.1f} |"


def every_case():
    """(operator, case) of ONNX's node cases; one that is spelled out belongs to the operator whose function it is."""
    with np.errstate(all="ignore"):
        cases = {case.name: case for case in collect_testcases(None)}
    for name, case in sorted(cases.items()):
        whole = cases.get(name.split("_expanded")[0], case).model
        assert whole is not None
        yield whole.graph.node[0].op_type, case


@dataclass(frozen=True)
class Verdict:
    """What became of one case. refused: why the front end takes no such model. right: its float result is ONNX's.

    floats: sentences of what has no integer form. off: of its integers from float, in steps; None where it has none.
    """

    op: str
    name: str
    refused: str = ""
    right: bool = False
    floats: tuple[str, ...] = ()
    off: float | None = None

    @property
    def wrong(self) -> bool:
        return not self.refused and not self.right

    @property
    def reasons(self) -> tuple[str, ...]:
        texts = (
            (self.refused,)
            if self.refused
            else (*self.floats, *(["WRONG in float: " + self.name] if self.wrong else []))
        )
        spelled = f"{self.op}_{self.name}_function_"  # which ONNX puts before the tensors of a function's body
        return tuple(dict.fromkeys(text.split(", got")[0].replace("|", "\\|").replace(spelled, "") for text in texts))


def judged(op: str, case) -> Verdict:
    if not ordinary(case):
        return Verdict(
            op, case.name, refused="not tried: values that are no tensors of numpy's types, or have no elements"
        )
    model, feeds, expected = settled_case(case, op)
    for entry in model.opset_import:
        entry.version = min(entry.version, OPSET)  # newer ones only add element types to what is supported
    try:
        done = optimized(model)
    except AxError as error:
        return Verdict(op, case.name, refused=str(error).splitlines()[0])
    # An input that nothing needs is gone, a single number has become a vector of one, and a type another.
    dtypes = {value.name: tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in done.graph.input}
    taken = {name: np.atleast_1d(feeds[name]).astype(dtype) for name, dtype in dtypes.items()}
    found = float_run(done, taken)
    if not (right := _alike(found, expected)) and _alike(found, float_run(model, feeds)):
        return Verdict(op, case.name, refused="onnxruntime itself gives other values than ONNX's")
    floats = tuple(f"{node.op_type}: {why}" for node in loaded(done).graph if (why := without_integer_form(node)) != "")
    try:
        off = None if floats else _off(done, taken)
    except AxError as error:
        return Verdict(op, case.name, right=right, floats=(str(error).splitlines()[0],))
    return Verdict(op, case.name, right=right, floats=floats, off=off)


def _alike(found, expected) -> bool:
    pairs = zip(found, map(np.asarray, expected), strict=True)
    return all(a.shape == b.shape and np.allclose(a, b, **_tolerance(b.dtype), equal_nan=True) for a, b in pairs)


def _tolerance(dtype: np.dtype) -> dict[str, float]:
    """ONNX computes what it expects in float16 with float16's roundings."""
    return {"rtol": 1e-2, "atol": 1e-2} if dtype == np.float16 else {"rtol": 1e-3, "atol": 1e-4}


def _off(model: onnx.ModelProto, feeds) -> float:
    return distance(model, quantised(model, [feeds]), feeds)


if __name__ == "__main__":
    sys.exit(main())
