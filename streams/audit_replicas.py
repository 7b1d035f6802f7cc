"""What the replicas of running workers hold, from their pages /replica."""

import http.client
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import msgspec

from models.errors import ConfigurationError

__all__ = ["ReplicaPart", "ReplicaParts", "check_address", "fetch_replicas"]

#: A large replica takes a while to hash.
_ANSWER_S: Final = 60.0


class ReplicaPart(NamedTuple):
    """One partition of one worker's replica; `digest` is None when it changed meanwhile."""

    worker: str
    position: int
    rows: int
    digest: str | None


class ReplicaParts(NamedTuple):
    """The replicas by partition, and a sentence for each worker that did not answer."""

    parts: Mapping[int, list[ReplicaPart]]
    silent: list[str]


class _Page(msgspec.Struct):
    partition: int
    position: int
    rows: int
    digest: str | None


_decoder = msgspec.json.Decoder(list[_Page])


def check_address(address: str) -> None:
    """Refuse what is no address of a worker; raises ConfigurationError."""
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError(f"--worker={address!r} is not http://host:port, the address of a worker's /metrics")


def fetch_replicas(addresses: Iterable[str]) -> ReplicaParts:
    """Ask workers for their pages; one that does not answer is no error: it may just be gone.

    Parameters
    ----------
    addresses : iterable of str
        Each as ``http://host:port``.

    Raises
    ------
    ConfigurationError
        If something is no such address.
    """
    # Not through a proxy of the environment: workers are in our own network.
    opener = build_opener(ProxyHandler({}))
    parts: dict[int, list[ReplicaPart]] = {}
    silent = []
    for address in addresses:
        check_address(address)
        try:
            with opener.open(f"{address.rstrip('/')}/replica", timeout=_ANSWER_S) as answer:
                pages = _decoder.decode(answer.read())
        except (URLError, OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            silent.append(f"the replica of {address} is not compared, because it could not be read: {error}")
            continue
        for page in pages:
            part = ReplicaPart(address, page.position, page.rows, page.digest)
            parts.setdefault(page.partition, []).append(part)
    return ReplicaParts(parts, silent)
