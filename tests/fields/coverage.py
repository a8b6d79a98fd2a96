"""Which tests show that honoured fields are: for each part of the API the files that say so, and a field is covered by the first of
them that sets it."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_COMPILE = "tests/unit/proxy/compile"
FILES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("envoy.config.route.", (
        f"{_COMPILE}/test_route_matching.py", f"{_COMPILE}/test_route_actions.py", f"{_COMPILE}/test_mirrors.py",
        f"{_COMPILE}/test_retry_policies.py", f"{_COMPILE}/test_header_mutations.py", "tests/interop/differential/bootstrap.yaml",
        _COMPILE, "tests/interop", "tests/unit/proxy",
    )),
    ("envoy.config.cluster.", (f"{_COMPILE}/test_clusters.py", _COMPILE, "tests/unit/proxy", "tests/interop")),
    ("envoy.config.endpoint.", (f"{_COMPILE}/test_endpoints.py", f"{_COMPILE}/test_clusters.py", _COMPILE, "tests/interop")),
    ("envoy.config.listener.", (f"{_COMPILE}/test_listeners.py", _COMPILE, "tests/interop")),
    ("envoy.extensions.common.dynamic_forward_proxy.", (f"{_COMPILE}/test_named_hosts.py",)),
    ("envoy.extensions.filters.http.dynamic_forward_proxy.", ("tests/interop/forwarding",)),
    ("envoy.extensions.filters.network.sni_dynamic_forward_proxy.", ("tests/interop/forwarding",)),
    ("envoy.extensions.transport_sockets.", (f"{_COMPILE}/test_tls.py", _COMPILE, "tests/interop")),
    ("envoy.config.accesslog.", (f"{_COMPILE}/test_http_managers.py", f"{_COMPILE}/test_log_filters.py", _COMPILE)),
    ("envoy.extensions.access_loggers.", (f"{_COMPILE}/test_http_managers.py", f"{_COMPILE}/test_static_bootstrap.py", _COMPILE)),
    ("envoy.extensions.load_balancing_policies.", (f"{_COMPILE}/test_balancing.py", _COMPILE)),
    ("envoy.extensions.filters.network.http", (f"{_COMPILE}/test_http_managers.py", _COMPILE, "tests/interop")),
    ("", (_COMPILE, "tests/interop/differential", "tests/interop", "tests/unit/proxy")),
)  # fmt: skip
"""By the beginning of the message's full name. A folder stands for all files below it."""


def covering(kind: str, name: str) -> str:
    """The file that covers a field; empty if none names it."""
    places = next(places for prefix, places in FILES if kind.startswith(prefix))
    word = re.compile(rf"""\b{name}["']?\s*[:=]|["']{name}["']""")
    return next((str(file.relative_to(ROOT)) for place in places for file in _files(place) if word.search(_text(file))), "")


@cache
def _files(place: str) -> tuple[Path, ...]:
    path = ROOT / place
    if not path.is_dir():
        return (path,)
    return tuple(sorted(file for file in path.rglob("*.*") if file.suffix in (".py", ".yaml") and file.stem != "conftest"))


@cache
def _text(file: Path) -> str:
    return file.read_text()
