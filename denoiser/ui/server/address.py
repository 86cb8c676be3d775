"""Where a request comes from, so that one client cannot take what is there for all.

No address is kept: what is returned is a digest that changes whenever the app starts.
"""

import hashlib
import ipaddress
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

_KEY = secrets.token_bytes(32)
_NOWHERE = "unknown"
_NETWORK_BITS = 64  # of an IPv6 address: a household, school or server has all addresses behind them


def address_of(request: Any, environment: Mapping[str, str] = os.environ) -> str:
    """Return what is equal for requests from the same address, and does not tell which it is.

    On a Space all connections come from its proxy, which appends the visitor's address to the header
    ``X-Forwarded-For``; what comes before was sent by the visitor and may be made up, so only the last
    address counts. Anywhere else the header may be made up as a whole, and is ignored.

    Args:
        request: One of Starlette's or Gradio's.
        environment: ``SPACE_ID`` in it says that this is a Space.
    """
    hops = _forwarded(request.headers) if environment.get("SPACE_ID") else []
    peer = getattr(request.client, "host", None)
    name = _network(hops[-1] if hops else peer or "")
    return hashlib.blake2b(name.encode(), key=_KEY, digest_size=12).hexdigest()


def _forwarded(headers: Any) -> Sequence[str]:
    """Return the hops that the header names, the last one last."""
    lines = headers.getlist("x-forwarded-for") if hasattr(headers, "getlist") else []
    if not lines and (line := headers.get("x-forwarded-for")):
        lines = [line]
    return [hop.strip() for hop in ",".join(lines).split(",") if hop.strip()]


def _network(text: str) -> str:
    """Write an address in one way; of an IPv6 one, the network."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return _NOWHERE
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
    return str(address)
