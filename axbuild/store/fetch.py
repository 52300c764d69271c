"""A file from an address into the store: known by its SHA-256 before it is asked for, and taken in as nothing else.

Bounded in bytes, in time and in silence. What a server says beside the bytes counts for nothing, so redirections are
followed, within http and https: the digest alone decides.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.errors import AxError
from axbuild.store.blobs import Blobs

Heard = Callable[[int, int], None]
"""Takes (bytes that have come, bytes in all; 0 where the server does not say)."""

_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 23
"""what is asked of s3 at once"""
_TRIES = 2
_TOLD_SECONDS = 0.25


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


def fetch(
    url: str,
    digest: str,
    folder: Path,
    blobs: Blobs,
    bounds: FetchBounds | None = None,
    heard: Heard = lambda done, total: None,
) -> None:
    """Add the blob `digest` from http, https or s3; `folder`: where it lies until it is whole. Raises AxError.

    heard: called at the start, at the end, and a few times a second between.
    """
    told = shown(url)
    part = folder / "fetched"
    found = hashlib.sha256()
    try:
        with part.open("wb") as file:
            for chunk in _chunks(url, told, bounds or FetchBounds(), heard):
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


def _chunks(url: str, told: str, bounds: FetchBounds, heard: Heard) -> Iterator[bytes]:
    """The bytes behind an address; raises NotFetched, whatever its library raises."""
    begin, size = time.monotonic(), 0
    due = begin + _TOLD_SECONDS
    try:
        with _opened(url, bounds) as stream:
            total = _total(stream)
            if total > bounds.bytes:
                raise NotFetched(f"{told} has {total:,} bytes, and at most {bounds.bytes:,} are fetched")
            heard(0, total)
            while chunk := stream.read(_CHUNK_BYTES):
                size += len(chunk)
                now = time.monotonic()
                if size > bounds.bytes:
                    raise NotFetched(f"{told} is larger than {bounds.bytes:,} bytes, and no more are fetched")
                if now - begin > bounds.seconds:
                    raise NotFetched(f"{told} gave {size:,} bytes in {bounds.seconds:g} seconds and was not done")
                if now > due:
                    heard(size, total)
                    due = now + _TOLD_SECONDS
                yield chunk
            if size < total:
                raise NotFetched(f"{told} gave {size:,} of {total:,} bytes")
            heard(size, size)
    except (AxError, MemoryError):
        raise
    # Its backends, and what these stand on, name no closed list of what they raise.
    except Exception as error:
        raise NotFetched(f"{told} cannot be fetched: {_reason(error)}", hint=_way_out(error)) from None


def _total(stream: Any) -> int:
    """How many bytes the server says there are; 0 where it does not."""
    response = getattr(stream, "r", None)  # of http, whose stream is opened without asking for the size first
    size = getattr(response, "content_length", None) if response is not None else stream.size
    return size or 0


def _opened(url: str, bounds: FetchBounds) -> Any:
    """A stream that is read once, from front to end."""
    import fsspec  # for what is fetched alone: it takes longer to import than a build with nothing to do may take

    scheme = url.partition("://")[0]
    options: dict[str, Any] = {"skip_instance_cache": True}
    streamed: dict[str, Any] = {}
    try:
        if scheme == "s3":
            config = {"connect_timeout": bounds.silence, "read_timeout": bounds.silence, "retries": {"max_attempts": 1}}
            files = fsspec.filesystem("s3", config_kwargs=config, **options)
            files.retries = _TRIES
            streamed = {"block_size": _BLOCK_BYTES, "cache_type": "readahead"}
        else:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=bounds.seconds, sock_connect=bounds.silence, sock_read=bounds.silence)
            # As the bytes are kept there, and not as they may be packed for the way.
            client = {"timeout": timeout, "auto_decompress": False, "headers": {"Accept-Encoding": "identity"}}
            files = fsspec.filesystem(scheme, block_size=0, client_kwargs=client, **options)
            streamed = {"size": 1}  # any size does: without one it is asked for first
    except ImportError:
        needed, extra = ("s3fs", "s3") if scheme == "s3" else ("aiohttp", "remote")
        hint = f"pip install 'axbuild[{extra}]'"
        raise ExtraMissing(f"{scheme}:// addresses need {needed}, which is not installed", hint=hint) from None
    return files.open(url, "rb", **streamed)


_CUT = "the connection ended before everything had come"
_SILENT = "it was silent for too long"
_NOBODY = "nobody answers there"
_KEYLESS = "there are no credentials for it"
_REASONS = {
    "ClientPayloadError": _CUT,
    "IncompleteReadError": _CUT,
    "ResponseStreamingError": _CUT,
    "ServerDisconnectedError": _CUT,
    "NonHttpUrlRedirectClientError": "it leads on to what is neither http nor https",
    "InvalidUrlRedirectClientError": "it leads on to what is no address",
    "TooManyRedirects": "it leads on and on",
    "ConnectTimeoutError": _SILENT,
    "ReadTimeoutError": _SILENT,
    "ClientConnectorCertificateError": "its certificate is not to be trusted",
    "ClientConnectorDNSError": "there is no such host",
    "ClientConnectorError": _NOBODY,
    "EndpointConnectionError": _NOBODY,
    "ConnectionClosedError": _CUT,
    "NoCredentialsError": _KEYLESS,
    "PartialCredentialsError": _KEYLESS,
}
"""what errors of the libraries mean, by their classes, which are imported with what raises them"""


def _reason(error: Exception) -> str:
    """In words of ours: a library's own may repeat the address with its secrets."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "access is denied"
    if isinstance(error, TimeoutError):
        return _SILENT
    known = next((_REASONS[one.__name__] for one in type(error).__mro__ if one.__name__ in _REASONS), "")
    if known:
        return known
    if status := getattr(error, "status", 0):
        return f"the server answers {status}"
    return getattr(error, "strerror", None) or type(error).__name__


def _way_out(error: Exception) -> str:
    if _reason(error) == _KEYLESS:
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or FSSPEC_S3_ANON=true for a public bucket"
    return ""
