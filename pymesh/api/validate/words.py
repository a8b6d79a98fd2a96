"""Whether single words are well formed: names, addresses, labels, headers. Each says what is wrong, or None."""

import ipaddress
import re
from urllib.parse import urlsplit

from pymesh import address
from pymesh.patterns import InvalidPattern, parse_pattern

from .header_format import is_balanced

_LABEL = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(r"\*|(\*-?)?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def dns_label(text: str) -> str | None:
    """RFC 1123: letters, digits and inner hyphens, at most 63."""
    if len(text) <= 63 and _LABEL.fullmatch(text):
        return None
    return f'"{text}" is not a DNS label (letters, digits and inner hyphens, at most 63)'


def object_name(text: str) -> str | None:
    """The name of a Kubernetes object: a DNS subdomain in lower case."""
    if len(text) <= 253 and _OBJECT_NAME.fullmatch(text):
        return None
    return f'"{text}" is not a valid name (lower-case letters, digits, "-" and ".", at most 253)'


def fqdn(text: str) -> str | None:
    """A host name, short or full, without wildcard."""
    if "*" in text:
        return f'the host "{text}" must not hold a wildcard'
    return _domain(text, _LABEL)


def wildcard_domain(text: str) -> str | None:
    """A host name whose first label may begin with `*`."""
    return _domain(text, _WILDCARD_LABEL)


def full_name(text: str) -> str | None:
    """A full host name, whose first label may be `*`. Names without a dot are short, and nothing says of which namespace."""
    if "." not in text:
        return f'"{text}" is a short name; full host names are needed here'
    return whole_wildcard(text)


def whole_wildcard(text: str) -> str | None:
    """A host name, whose first label may be `*` and hold no other."""
    if text.startswith("*") and not text.startswith("*."):
        return f'the wildcard of "{text}" must be a whole label'
    return wildcard_domain(text)


def _domain(text: str, first: re.Pattern[str]) -> str | None:
    if not text or len(text) > 255:
        return f'"{text}" is not a host name: it must have 1 to 255 characters'
    labels = text.removesuffix(".").split(".")
    if labels[-1].isdigit() and not (first is _WILDCARD_LABEL and len(labels) == 1):  # the short name of a service may be a number
        return f'"{text}" is not a host name: its last label "{labels[-1]}" is all digits'
    for index, label in enumerate(labels):
        if len(label) > 63 or not (_LABEL if index else first).fullmatch(label):
            return f'"{text}" is not a host name: the label "{label}" is malformed'
    return None


def subnet(text: str) -> str | None:
    """An IP address or a CIDR block; host bits may be set, as Go allows."""
    address, slash, bits = text.partition("/")
    try:
        most = ipaddress.ip_address(address).max_prefixlen
    except ValueError:
        return f'"{text}" is not an IP address or a CIDR block'
    if slash and not (_PREFIX_LENGTH.fullmatch(bits) and int(bits) <= most and "%" not in address):
        return f'"{text}" is not a CIDR block: a length of 0 to {most} has to follow the slash'
    return None


def port(number: int) -> str | None:
    """1 to 65535."""
    return None if 1 <= number <= 65535 else f"the port {number} is not between 1 and 65535"


def host_and_port(text: str) -> str | None:
    """`HOST:PORT`, where an IPv6 address stands in brackets."""
    try:
        found = address.parse(text)
    except ValueError:
        found = None
    if found is None or not found.port or not (found.is_ip or not fqdn(found.host)):
        return f'"{text}" is not an address (HOST:PORT)'
    return None


def scheme_of(url: str) -> str | None:
    """The scheme of a URL, empty where it has none; None of what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return None if _BLANK.search(url) else parts.scheme


def label_key(text: str) -> str | None:
    """A Kubernetes label key: an optional DNS prefix, a slash, and a name of at most 63."""
    prefix, slash, name = text.rpartition("/")
    if len(name) <= 63 and _LABEL_NAME.fullmatch(name) and (not slash or not object_name(prefix)):
        return None
    return f'"{text}" is not a valid label key'


def label_value(text: str) -> str | None:
    """A Kubernetes label value: at most 63 characters, or none."""
    if not text or (len(text) <= 63 and _LABEL_NAME.fullmatch(text)):
        return None
    return f'"{text}" is not a valid label value'


def header_name(text: str) -> str | None:
    """A field name of HTTP."""
    return None if _TOKEN.fullmatch(text) else f'"{text}" is not a header name'


def header_value(text: str) -> str | None:
    """A value without control characters, in which every `%` is part of an operator or doubled."""
    if _CONTROL.search(text):
        return "a header value must not hold control characters"
    if not is_balanced(text):
        return f'"{text}" holds an unbalanced "%" (write "%%" for a literal one)'
    return None


def regex(text: str) -> str | None:
    """A regular expression of RE2, whose syntax has no back references and no look-around."""
    if len(text) > 1024:
        return "a regular expression may have at most 1024 characters"
    try:
        parse_pattern(text)
    except InvalidPattern as invalid:
        return f'"{text}" is not a regular expression of RE2: {invalid}'
    return None
