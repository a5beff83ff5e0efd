"""Groups client addresses into senders."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network


def sender_of(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address: a client commonly has all of its addresses."""
    try:
        client = ip_address(address)
    except ValueError:
        return address
    if isinstance(client, IPv6Address) and client.ipv4_mapped is None:
        return str(ip_network((int(client), 64), strict=False))
    return address
