"""Reads addresses of origin and tells which network they are in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Some proxies name the visitor's port too: 192.0.2.1:50000, [2001:db8::1]:50000.
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<v4>[0-9.]+))(?::[0-9]{1,5})?")


def address_of(origin: str) -> Address | None:
    """The address in a request's origin, without its port, and with an IPv4 address
    mapped into IPv6 as IPv4 (RFC 4291 section 2.5.5.2); None when it is no address."""
    found = _WITH_PORT.fullmatch(origin)
    bare = (found["v6"] or found["v4"] or "") if found else origin
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def lies_in(origin: str, networks: Iterable[Network]) -> bool:
    """Say whether an origin is in one of ``networks``; False if it is no address."""
    address = address_of(origin)
    return address is not None and any(address in network for network in networks)
