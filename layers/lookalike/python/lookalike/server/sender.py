"""Who counts as one sender where nothing but an address is known."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network


def sender_of(address: str) -> str:
    """The IPv4 address; of IPv6 the network of 64 bits, for whoever has one address there has all of them."""
    try:
        client = ip_address(address)
    except ValueError:
        return address
    if isinstance(client, IPv6Address) and client.ipv4_mapped is None:
        return str(ip_network((int(client), 64), strict=False))
    return address
