"""Proxy settings, put right before anything reads them: Gradio asks its own page once it is served.

Gradio makes HTTP clients when it is imported, and they read the environment. So does the Hub's client.
"""

import ipaddress
import os
import re
import urllib.request
from collections.abc import Iterable

import httpx

_SCHEMES = ("http", "https", "all")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")
_BRACKETED = re.compile(r"\[(?P<address>[^\]]*)\](?P<port>:\d+)?")


class ProxyError(Exception):
    """The environment names a proxy that can't be used; one sentence that says what to set."""


def settle_proxies() -> None:
    """Have loopback, and the address where the page is served, asked without a proxy.

    Writes the environment's ``NO_PROXY``, which child processes inherit.

    Raises:
        ProxyError: What is left can't be used.
    """
    settings = urllib.request.getproxies()  # of the environment, or else of macOS or Windows
    excepted = settings.get("no", "")
    proxies = {scheme: settings[scheme] for scheme in _SCHEMES if settings.get(scheme)}
    served_at = os.environ.get("GRADIO_SERVER_NAME", "").strip("[]")
    own = [name for name in (*_LOOPBACK, served_at) if name and name not in _EVERYWHERE]
    if proxies:
        # Where NO_PROXY is set, urllib takes all of it from the environment.
        for scheme, url in proxies.items():
            os.environ.setdefault(f"{scheme}_proxy", url)
    if proxies or excepted:
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = join_exceptions(excepted, own)
    _check(proxies)


def join_exceptions(excepted: str, own: Iterable[str]) -> str:
    """Return what ``NO_PROXY`` has to be: what it is, in the form that httpx reads, and ``own``.

    httpx takes neither an IPv6 address in brackets nor one with the length of its prefix.
    """
    names = [_readable(name.strip()) for name in excepted.split(",") if name.strip()]
    return ",".join(dict.fromkeys([*names, *own]))


def _readable(name: str) -> str:
    bracketed = _BRACKETED.fullmatch(name)
    address = (bracketed["address"] if bracketed else name).partition("/")[0]
    if not _is_ipv6(address):
        return name
    if bracketed and bracketed["port"]:
        return f"all://[{address}]{bracketed['port']}"
    return address


def _is_ipv6(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).version == 6
    except ValueError:
        return False


def _check(proxies: dict[str, str]) -> None:
    """Make a client for each proxy, and one that reads the exceptions, as Gradio will.

    The address is never repeated: it may hold a password.
    """
    for scheme, url in proxies.items():
        name = f"{scheme.upper()}_PROXY"
        try:
            httpx.Client(proxy=url if "://" in url else f"http://{url}").close()
        except ImportError as error:
            raise ProxyError(
                f"{name} names a SOCKS proxy, and the package for that is not installed: "
                f"run `pip install socksio`, or set {name} to an address that begins with http://."
            ) from error
        except (ValueError, httpx.InvalidURL) as error:
            raise ProxyError(
                f"{name} can't be used: set it to an address such as http://proxy.example.org:3128, "
                "or to nothing."
            ) from error
    try:
        httpx.Client().close()
    except (ValueError, httpx.InvalidURL) as error:
        raise ProxyError(
            "NO_PROXY can't be read: set it to names and addresses with commas between them, "
            "such as localhost,example.org."
        ) from error
