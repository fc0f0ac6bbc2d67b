"""Addresses of origin as numbers: what they are, and which network they lie in."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def address_of(origin: str) -> Address | None:
    """The address a request's origin names, an IPv4 one mapped into IPv6 as IPv4
    (RFC 4291 section 2.5.5.2); None for anything else."""
    try:
        address = ip_address(origin.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def lies_in(origin: str, networks: Iterable[Network]) -> bool:
    """Say whether an origin lies in one of ``networks``; what is no address lies
    in none."""
    address = address_of(origin)
    return address is not None and any(address in network for network in networks)
