"""Random graphs of every operator, in every element type, on every chip: all witnesses compared.

    python tests/stress/graphs.py [--rounds 2000] [--seed 0] [--nodes 10]

Each round makes a graph (round k has the k-th operator in it, the others are drawn), takes it through the front end,
quantises it with random layer rules, compiles it for the next chip at batches 1 and 2, and compares every element of
every output: the ONNX bodies with optimisation off and on, the simulated chip sample by sample and in batches, and
plain Python integers. Then each node by itself against float, on inputs that lie on their grids.

Prints a row for each operator (nodes seen, largest distance from float in steps) and what was not compared, since an
operator had no integer form; exits 1 where an element differs, the front end lost more than 1e-3 of an output's
largest magnitude, or a node is further from float than it may be. A round is repeated by `--rounds 1 --seed N`.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from npu_world import PLACES
from random_graphs.all import OPS, random_graph
from random_graphs.proof import LOST, Proof, proven, steps_allowed, steps_off


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the others count on from it")
    parser.add_argument("--nodes", type=int, default=10, help="operators drawn for a graph")
    flags = parser.parse_args()
    warnings.simplefilter("ignore")  # of values far apart, which random graphs are full of
    tally = Tally()
    began = time.perf_counter()
    for seed in range(flags.seed, flags.seed + flags.rounds):
        tally.add(seed, flags.nodes)
        if (seed - flags.seed) % 100 == 99:
            print(f"{seed - flags.seed + 1} rounds, {time.perf_counter() - began:.0f} s", flush=True)
    tally.tell()
    return 1 if tally.faults else 0


class Tally:
    """What all rounds came to."""

    def __init__(self) -> None:
        self.nodes: Counter[str] = Counter()
        self.furthest: dict[str, float] = defaultdict(float)
        self.floats: Counter[str] = Counter()
        self.elements = self.compared = self.faults = 0

    def add(self, seed: int, nodes: int) -> None:
        place = PLACES[seed % len(PLACES)]
        try:
            self._add(seed, place, nodes)
        except Exception as error:  # whatever a defect raises, it is this round's fault
            self._tell(seed, place, f"{type(error).__name__}: {error}")

    def _add(self, seed: int, place: tuple[str, str], nodes: int) -> None:
        proof = proven(seed, place, nodes=nodes)
        self.nodes.update(proof.ops)
        self.floats.update(proof.floats)
        self.compared += not proof.floats
        self.elements += proof.elements
        for fault in self._faults(proof, seed, nodes):
            self._tell(seed, place, fault)

    def _tell(self, seed: int, place: tuple[str, str], fault: str) -> None:
        self.faults += 1
        print(f"round {seed} ({OPS[seed % len(OPS)]}, {' '.join(place)}): {fault}", flush=True)

    def _faults(self, proof: Proof, seed: int, nodes: int) -> list[str]:
        found = [f"{count} elements of {witness} differ" for witness, count in proof.differing.items() if count]
        if proof.lost > LOST:
            found.append(f"the front end lost {proof.lost:.2g} of an output")
        pool = random_graph(seed, nodes)
        for node in pool.nodes:
            off = steps_off(pool, node)
            self.furthest[node.op_type] = max(self.furthest[node.op_type], off)
            if off > steps_allowed(node):
                found.append(f"{node.op_type} '{node.name}' is {off:.3f} steps from float")
        return found

    def tell(self) -> None:
        print(f"{'operator':24} {'nodes':>6}  largest distance from float, in steps")
        for op, count in sorted(self.nodes.items()):
            print(f"{op:24} {count:6}  {self.furthest[op]:.3f}")
        print(f"{self.compared} graphs, {self.elements:,} elements against each witness; {self.faults} faults")
        for reason, count in self.floats.most_common():
            print(f"not compared, {count} nodes: {reason}")


if __name__ == "__main__":
    sys.exit(main())
