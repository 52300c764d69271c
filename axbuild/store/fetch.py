"""A file from an address into the store: known by its SHA-256 before it is asked for, and taken in as nothing else.

Bounded in bytes, in time and in silence. What a server says beside the bytes counts for nothing, so redirections are
followed, within http and https: the digest alone decides.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.errors import AxError
from axbuild.store.blobs import Blobs

_CHUNK_BYTES = 1 << 20


class ExtraMissing(AxError):
    """AX385: a library that the scheme of an address needs is not installed."""

    code = "AX385"


class NotFetched(AxError):
    """AX386: an address that gives nothing, too much, or gives it too slowly."""

    code = "AX386"


class OtherContent(AxError):
    """AX387: an address gave other bytes than those pinned."""

    code = "AX387"


@dataclass(frozen=True)
class FetchBounds:
    """bytes: of a file; seconds: for all of it; silence: seconds in which nothing comes."""

    bytes: int = 2**36
    seconds: float = 3600.0
    silence: float = 60.0


def fetch(url: str, digest: str, folder: Path, blobs: Blobs, bounds: FetchBounds | None = None) -> None:
    """Add the blob `digest` from http, https or s3; `folder`: where it lies until it is whole. Raises AxError."""
    told = shown(url)
    part = folder / "fetched"
    found = hashlib.sha256()
    try:
        with part.open("wb") as file:
            for chunk in _chunks(url, told, bounds or FetchBounds()):
                found.update(chunk)
                file.write(chunk)
        if found.hexdigest() != digest:
            raise OtherContent(
                f"{told} has the SHA-256 {found.hexdigest()}, and {digest} is pinned",
                hint="if it may have changed, look at what it is now and pin that",
            )
        blobs.add_file(part)
    finally:
        part.unlink(missing_ok=True)


def shown(url: str) -> str:
    """An address as it may stand in a log: without what may be a secret, in front of the host or behind the path."""
    scheme, _, rest = re.split("[?#]", url, maxsplit=1)[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _chunks(url: str, told: str, bounds: FetchBounds) -> Iterator[bytes]:
    """The bytes behind an address; raises NotFetched, whatever its library raises."""
    begin, size = time.monotonic(), 0
    try:
        with _opened(url, bounds) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > bounds.bytes:
                    raise NotFetched(f"{told} is larger than {bounds.bytes} bytes")
                if time.monotonic() - begin > bounds.seconds:
                    raise NotFetched(f"{told} gave {size} bytes in {bounds.seconds:g} seconds and was not done")
                yield chunk
    except (AxError, MemoryError):
        raise
    # Its backends, and what these stand on, name no closed list of what they raise.
    except Exception as error:
        raise NotFetched(f"{told} cannot be fetched: {_reason(error)}") from None


def _opened(url: str, bounds: FetchBounds) -> Any:
    """A stream that is read once, from front to end."""
    import fsspec  # for what is fetched alone: it takes longer to import than a build with nothing to do may take

    scheme = url.partition("://")[0]
    options: dict[str, Any] = {"skip_instance_cache": True}
    streamed: dict[str, Any] = {}
    try:
        if scheme == "s3":
            config = {"connect_timeout": bounds.silence, "read_timeout": bounds.silence}
            files = fsspec.filesystem("s3", config_kwargs=config, **options)
        else:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=bounds.seconds, sock_connect=bounds.silence, sock_read=bounds.silence)
            # As the bytes are kept there, and not as they may be packed for the way.
            client = {"timeout": timeout, "auto_decompress": False, "headers": {"Accept-Encoding": "identity"}}
            files = fsspec.filesystem(scheme, block_size=0, client_kwargs=client, **options)
            streamed = {"size": 1}  # any size does: without one it is asked for first
    except ImportError:
        needed = "s3fs" if scheme == "s3" else "aiohttp"
        hint = "pip install 'axbuild[remote]'"
        raise ExtraMissing(f"{scheme}:// addresses need {needed}, which is not installed", hint=hint) from None
    return files.open(url, "rb", **streamed)


def _reason(error: Exception) -> str:
    """In words of ours: a library's own may repeat the address with its secrets."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, TimeoutError):
        return "it was silent for too long"
    if status := getattr(error, "status", 0):
        return f"the server answers {status}"
    return getattr(error, "strerror", None) or type(error).__name__
