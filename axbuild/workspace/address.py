"""Addresses that may stand where a file does: http, https and s3, each with the digest of what it gives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from axbuild.errors import AxError, Place
from axbuild.workspace.artifact import Remote

_ADDRESS = re.compile(r"(?:https?|s3)://(?P<host>[^/?#]*)(?P<path>[^?#]*)")
DIGEST = re.compile(r"[0-9a-f]{64}")
_PIN = "#sha256="
"""what may stand behind an address, which no server ever sees"""


class UnpinnedAddress(AxError):
    """An address without the SHA-256 of what it gives, or with something else in its place."""

    code = "AX383"


class BadAddress(AxError):
    """An address that gives no file, or that holds a secret."""

    code = "AX384"


def the_address(items: Sequence[str]) -> Remote | None:
    """The one address that a source is, pinned by what stands behind it or still to be; None for paths. Raises
    BadAddress."""
    found = [match for item in items if (match := _ADDRESS.match(item))]
    if not found:
        return None
    if len(items) > 1:
        raise BadAddress("an address stands alone: it gives one archive, or one file")
    if "@" in found[0]["host"]:
        hint = "take them out of the BUILD file; for s3:// they come from the environment"
        # Not its line, which would repeat the secret in every log.
        raise BadAddress("an address holds a name or a password", hint=hint, place=Place("BUILD.toml"))
    name = found[0]["path"].rpartition("/")[2]
    if not found[0]["host"] or not name.strip(".") or "\\" in name:
        raise BadAddress(
            "an address names a host, and ends in the name of a file", hint="https://host/path/samples.tar"
        )
    url, _, digest = items[0].partition(_PIN)
    return Remote(name, url, digest)


def pinned(address: Remote, sha256: str) -> Remote:
    """The address of exactly those bytes; sha256: what is said beside it, "" where nothing is. Raises
    UnpinnedAddress."""
    if sha256 and address.digest and sha256 != address.digest:
        raise UnpinnedAddress("sha256 says one digest, and another stands behind the address", hint="leave one out")
    digest = sha256 or address.digest
    if not digest:
        raise UnpinnedAddress(
            "an address needs the SHA-256 of what it gives",
            hint='sha256 = "...", or `#sha256=...` behind it: `curl -L ADDRESS | sha256sum` says what it is now',
        )
    if not DIGEST.fullmatch(digest):
        raise UnpinnedAddress(f"sha256 takes 64 hexadecimal digits in lower case, got '{digest[:80]}'")
    return Remote(address.name, address.url, digest)
