"""The PROXY protocol: the listener filter that reads it, and the transport socket that writes it."""

from typing import Any

from ..listener.proxy_protocol import Rules
from ..upstream.config import ProxyHeader
from .fields import Reader

_VERSIONS = {"V1": 1, "V2": 2}


def rules(reader: Reader) -> Rules:
    """The listener filter's ProxyProtocol."""
    reader.only(
        "allow_requests_without_proxy_protocol",
        "pass_through_tlvs",
        "disallowed_versions",
        harmless={"stat_prefix": "what is refused is counted at the listener"},
    )
    refused = {number for name, number in _VERSIONS.items() if _version(name) in reader.message.disallowed_versions}
    if len(refused) == len(_VERSIONS):
        reader.refuse("disallowed_versions", "no version is left")
    passed = reader.child("pass_through_tlvs")
    return Rules(
        optional=reader.message.allow_requests_without_proxy_protocol,
        versions=frozenset(_VERSIONS.values()) - refused,
        passed=_types(passed) if passed else frozenset(),
    )


def header(reader: Reader) -> ProxyHeader:
    """The ProxyProtocolConfig of an upstream transport socket."""
    reader.only("version", "pass_through_tlvs")
    passed = reader.child("pass_through_tlvs")
    return ProxyHeader(version=_VERSIONS.get(reader.choice("version"), 1), tlvs=_types(passed) if passed else frozenset())


def _types(reader: Reader) -> frozenset[int] | None:
    reader.only("match_type", "tlv_type")
    if any(kind > 255 for kind in reader.message.tlv_type):
        reader.refuse("tlv_type", "a type is one byte")
    return None if reader.choice("match_type") == "INCLUDE_ALL" else frozenset(reader.message.tlv_type)


def _version(name: str) -> Any:
    return list(_VERSIONS).index(name)
