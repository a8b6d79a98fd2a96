"""Questions to a control plane's monitoring address and to a proxy's admin interface: JSON over plain HTTP, read only.

A control plane on another machine wants to know who asks: it is shown the join token of the file that PYMESH_TOKEN_FILE names.
"""

import http.client
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from pymesh import address

DEFAULT = "127.0.0.1:15014"
TIMEOUT = 30.0
"""Seconds; the dump of a proxy with thousands of clusters takes a few."""


def endpoint(text: str) -> address.Address:
    """`HOST:PORT` of a command line, or a URL of it as `pymesh up` prints them; no host means this machine. Raises BadParameter."""
    try:
        given = address.parse(_without_scheme(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return given if given.host else address.Address("127.0.0.1", given.port)


def _without_scheme(text: str) -> str:
    scheme, _, rest = text.rpartition("://")
    return rest.partition("/")[0] if scheme == "http" else text


control_option = click.option(
    "--control", type=endpoint, metavar="HOST:PORT", default=DEFAULT, show_default=True, envvar="PYMESH_CONTROL", show_envvar=True,
    help="The control plane's monitoring address.",
)  # fmt: skip


def ask(where: address.Address, path: str, **query: str) -> Any:
    """The JSON value at a path of the control plane. Raises ClickException with a sentence: nobody listens, or the answer is no."""
    target, status, text = _get(where, path, query, _token())
    return _value(where, target, status, text)


def ask_proxy(admin: address.Address, path: str, **query: str) -> Any:
    """The same of a proxy's admin interface, which is shown no token."""
    target, status, text = _get(admin, path, query)
    return _value(admin, target, status, text)


def ask_text(where: address.Address, path: str) -> str:
    """The text at a path of a proxy's admin interface. Raises ClickException."""
    target, status, text = _get(where, path, {})
    if status != http.client.OK:
        raise click.ClickException(f"{where}{target} answers {status}")
    return text.decode(errors="replace")


def _token() -> dict[str, str]:
    """The header that says who asks; none without a token. Raises ClickException for one that cannot be read."""
    path = os.environ.get("PYMESH_TOKEN_FILE")
    if not path:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(path).read_text().strip()}"}
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read the token of PYMESH_TOKEN_FILE: {error}") from None


def _get(where: address.Address, path: str, query: dict[str, str], headers: Mapping[str, str] | None = None) -> tuple[str, int, bytes]:
    """(target, status, body)"""
    target = f"{path}?{urlencode(query)}" if query else path
    connection = http.client.HTTPConnection(where.host, where.port, timeout=TIMEOUT)
    try:
        connection.request("GET", target, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException, UnicodeError) as error:  # a host that is no name makes a UnicodeError
        raise click.ClickException(f"nothing answers at {where}: {error}") from error
    finally:
        connection.close()
    return target, answer.status, text


def _value(where: address.Address, target: str, status: int, text: bytes) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.ClickException(f"{where}{target} answers {status} and no JSON") from error
    if status != http.client.OK:
        reason = value.get("error") if isinstance(value, dict) else None
        raise click.ClickException(reason or f"{where}{target} answers {status}")
    return value
