"""Public internet addresses: the only addresses that callers' URLs may lead to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: IANA, IPv6 Global Unicast Address Assignments: no public host has another address. So IPv4 addresses in IPv6 notation
#: outside of it (mapped, compatible, translated) are refused without being unwrapped.
_UNICAST = IPv6Network("2000::/3")

#: RFC 6052: addresses that DNS64 synthesises for hosts with IPv4 only; as public as the wrapped address.
_NAT64 = IPv6Network("64:ff9b::/96")

#: Networks without public hosts that the ipaddress module counts as global, in some versions at least.
_SPECIAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # RFC 6890, protocol assignments; one cloud's metadata service is at 192.0.0.192
        "192.88.99.0/24",  # RFC 7526, 6to4 relays
        "168.63.129.16/32",  # Azure's wire server: a public address that leads to the host of the virtual machine
        "2001::/23",  # RFC 2928, protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # RFC 3849, documentation
        "2002::/16",  # RFC 3056, 6to4, wraps any IPv4 address
        "3ffe::/16",  # RFC 3701, 6bone test network, returned to IANA
        "3fff::/20",  # RFC 9637, documentation
    )
)


def is_public(address: Address) -> bool:
    """Return whether a public host can have the address: it is unicast and global, and embeds no non-public IPv4 address."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST or address.scope_id is not None:
            return False
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved)
        and not any(address in network for network in _SPECIAL)
    )
