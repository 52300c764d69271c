"""`quant.lock`: which scheme a quantised model keeps, and what every node was when that scheme was made.

A JSON object: "format"; "release", of the axbuild that wrote it; "scheme", the SHA-256 of the scheme file beside it;
"nodes", fused node -> SHA-256 of what it computes with: operators, attributes, names of tensors, constants.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import constant_of
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Scheme, SchemeError

FORMAT = "axbuild-lock/1"
FILE = "quant.lock"
SCHEME_FILE = "quant.lock.scheme"
AGAIN = "take `frozen` away, build, and run `axbuild freeze` again"


class LockError(AxError):
    """A lock that is damaged, or does not belong to its scheme or to the model."""

    code = "AX390"


@dataclass(frozen=True)
class QuantLock:
    """release: of the axbuild that wrote it. scheme: SHA-256. nodes: name of a fused node's head -> SHA-256."""

    release: str
    scheme: str
    nodes: Mapping[str, str]

    @staticmethod
    def of(graph: ir.Graph, scheme: bytes, parsed: Scheme, release: str) -> QuantLock:
        return QuantLock(release, hashlib.sha256(scheme).hexdigest(), fingerprints(graph, parsed))

    def text(self) -> str:
        return json.dumps({"format": FORMAT} | vars(self), indent=1, sort_keys=True) + "\n"

    @staticmethod
    def read(path: Path) -> QuantLock:
        """Raises LockError on anything that is not exactly the format above."""
        try:
            content = json.loads(path.read_bytes())
            if content.pop("format") != FORMAT:
                raise LockError(f"{FILE} is not of the format {FORMAT}")
            found = QuantLock(**content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise LockError(f"{FILE} is damaged", hint=AGAIN) from None
        texts = (found.release, found.scheme, *found.nodes.values()) if isinstance(found.nodes, dict) else (None,)
        if not all(isinstance(text, str) for text in texts):
            raise LockError(f"{FILE} is damaged: it holds something else than names and digests", hint=AGAIN)
        return found


def locked_scheme(folder: Path, graph: ir.Graph) -> tuple[QuantLock, bytes, Scheme]:
    """The lock in a folder, and the scheme beside it as it lies there and read; raises LockError where they do not
    belong together or were made for another model."""
    lock, content = QuantLock.read(folder / FILE), (folder / SCHEME_FILE).read_bytes()
    if hashlib.sha256(content).hexdigest() != lock.scheme:
        raise LockError(f"{SCHEME_FILE} is not the file that {FILE} was written with", hint="take both from one place")
    scheme = Scheme.read(folder / SCHEME_FILE)
    try:
        now = fingerprints(graph, scheme)
    except SchemeError as error:
        raise LockError(
            f"{FILE}, written by axbuild {lock.release}, is for another model: {error.sentence}", hint=AGAIN
        ) from None
    odd = [name for name, digest in now.items() if lock.nodes.get(name) != digest]
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise LockError(
            f"{FILE}, written by axbuild {lock.release}, is for another model: "
            f"the weights or settings of node '{odd[0]}'{more} are others now",
            hint=f"{AGAIN}; or build with that release, where only axbuild has changed",
        )
    return lock, content, scheme


def fingerprints(graph: ir.Graph, scheme: Scheme) -> dict[str, str]:
    """Name of each fused node's head -> SHA-256 of all that it computes with; raises SchemeError where the scheme is of
    another model."""
    return {
        fused.name: hashlib.sha256(b"".join(part for node in fused.nodes for part in _parts(node))).hexdigest()
        for fused, _ in placed(graph, scheme)
    }


def _parts(node: ir.Node) -> Iterator[bytes]:
    """A node without its notes, and its constants."""
    plain = ir.serde.serialize_node(node)
    plain.ClearField("metadata_props")
    plain.ClearField("doc_string")
    yield plain.SerializeToString(deterministic=True)
    for value in node.inputs:
        array = constant_of(value) if value is not None else None
        if array is not None:
            yield f"{array.dtype} {array.shape}".encode() + array.astype(array.dtype.newbyteorder("<")).tobytes()
