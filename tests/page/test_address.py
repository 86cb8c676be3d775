"""Where a request comes from: what counts on a Space, and what anywhere else."""

import pytest
from starlette.requests import Request

from denoiser.ui.server.address import address_of

SPACE = {"SPACE_ID": "somebody/lab"}


def request(peer="10.0.0.1", *forwarded):
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    client = None if peer is None else (peer, 1234)
    return Request({"type": "http", "headers": headers, "client": client})


def test_the_peer_counts_where_there_is_no_proxy():
    assert address_of(request("192.0.2.1"), {}) == address_of(request("192.0.2.1"), {})
    assert address_of(request("192.0.2.1"), {}) != address_of(request("192.0.2.2"), {})


def test_a_made_up_header_changes_nothing_where_there_is_no_proxy():
    assert address_of(request("192.0.2.1", "198.51.100.7"), {}) == address_of(request("192.0.2.1"), {})


def test_on_a_space_only_the_last_hop_counts():
    plain = address_of(request("10.0.0.1", "192.0.2.1"), SPACE)
    assert plain == address_of(request("192.0.2.1"), {})
    assert plain == address_of(request("10.0.0.9", "198.51.100.7, 192.0.2.1"), SPACE)
    assert plain == address_of(request("10.0.0.1", "198.51.100.7", "192.0.2.1"), SPACE)
    assert plain != address_of(request("10.0.0.1", "192.0.2.1, 198.51.100.7"), SPACE)


def test_on_a_space_without_the_header_the_peer_counts():
    assert address_of(request("192.0.2.1"), SPACE) == address_of(request("192.0.2.1"), {})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_an_ipv6_network_is_one_address(one, other, same):
    assert (address_of(request(one), {}) == address_of(request(other), {})) == same


@pytest.mark.parametrize("bad", [None, "", "<script>", "testclient"])
def test_what_is_no_address_is_one_place(bad):
    assert address_of(request(bad), {}) == address_of(request("999.1.1.1"), {})
