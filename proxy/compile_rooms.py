"""Compile the data plane's hot rooms to machine code with mypyc, beside their sources.

    python proxy/compile_rooms.py

The sources stay plain typed Python and run without this; what it buys is measured in docs/BENCHMARKS.md. Python prefers the
compiled file wherever it is present, so the Makefile makes it anew when a source has changed. Exit code 0 also when there is no
C compiler: the mesh then runs on the sources, and says so here.

Each module is a C file of its own, and all are linked to one library: so every core compiles, and after a change only what it
touches. mypyc leaves files alone whose text stays, so their times tell.
"""

import hashlib
import os
import shutil
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOMS = {
    "": ("runtime", "wheel"),
    "filters": (
        "buffer", "chain", "cors", "descriptors", "fault", "fraction", "grpc_stats", "grpc_web", "local_ratelimit", "peer_metadata",
        "session_cookie", "set_filter_state", "stateful_session", "token_bucket",
    ),
    "http": (
        "answer", "attempts", "body_transport", "connect", "exchange", "filtering", "forwarding", "grpc", "grpc_frames", "grpc_web",
        "gzip_answer", "h1_answers", "h1_client", "h1_known", "h1_message", "h1_reader", "h1_repeats", "h1_request", "h1_server",
        "h1_slices", "h1_switch", "h1_times", "h1_turns", "headers", "local_reply", "mirror", "options", "paths", "pipeline",
        "redirecting", "request_policy", "request_target", "retry", "router", "stream", "times", "trailers", "translated", "try_times",
        "upload", "whole_body", "wire",
    ),
    "http2": (
        "client", "connection", "cutter", "errors", "fields", "flood", "frames", "hpack", "hpack_table", "inbound", "keepalive",
        "outbound", "payloads", "phase", "sections", "server", "server_stream", "settings", "stream", "translate", "tunnel",
    ),
    "listener": ("scope",),
    "observe": ("access_log", "escape", "format", "istio", "labels", "operators", "peers", "series", "timestamps", "written_out"),
    "route": ("conditions", "cookies", "edits", "hashing", "hosts", "internal_redirect", "retry_policy", "rewrite", "table"),
    "tcp": ("post_transport", "post_tunnel", "proxy", "relay", "session", "tunnel"),
    "upstream/balancing": (
        "base", "bounded", "config", "edf", "hashes", "least_request", "maglev", "random_choice", "ring_hash", "round_robin",
        "shares", "weights",
    ),
    "upstream": (
        "avoided", "balancer", "breaker", "cluster", "config", "endpoint", "exclusive", "health_config", "host_set", "locality",
        "negotiated", "outlier", "outlier_config", "pool", "previous_priorities", "priorities", "shared", "spread", "success_rate",
        "watch", "zones",
    ),
}  # fmt: skip
"""Modules of pymesh_proxy through which every request or every byte goes. They import each other; what they import from
elsewhere is reached as from any Python.

No class in them has a base with slots that is not compiled, such as asyncio's transports: these lie where it has its table of methods."""

HERE = Path(__file__).resolve().parent


def main() -> int:
    for former in HERE.rglob("*.so"):
        former.unlink()
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    if shutil.which(compiler.split()[0]) is None:
        print("no C compiler: the proxy runs from its sources, at a higher cost per request", file=sys.stderr)
        return 0
    os.chdir(HERE)
    _compile()
    return 0


def _compile() -> None:
    from mypyc.build import mypycify
    from setuptools import setup
    from setuptools.command.build_ext import build_ext

    class SideBySide(build_ext):
        def build_extensions(self) -> None:
            self.parallel = os.cpu_count()
            with ThreadPoolExecutor(self.parallel) as cores:
                self.build_temp = str(Path(self.build_temp, _fingerprint(self.compiler.compiler_so)))
                self.compiler.compile = _Compile(self.compiler.compile, self.compiler.object_filenames, cores)
                super().build_extensions()

    paths = [str(Path("pymesh_proxy", folder, f"{name}.py")) for folder, names in ROOMS.items() for name in names]
    options = ["--config-file", str(HERE.parent / "pyproject.toml")]
    extensions = mypycify([*options, *paths], opt_level="3", debug_level="0", multi_file=True)
    for extension in extensions:
        extension.extra_compile_args.append("-fvisibility=hidden")  # else calls between files go through a table: others could replace them
    commands = {"build_ext": SideBySide}
    setup(name="pymesh-rooms", ext_modules=extensions, packages=[], cmdclass=commands, script_args=["-q", "build_ext", "--inplace"])


def _fingerprint(command: list[str]) -> str:
    """Of what objects depend on besides sources and headers; they are kept in a folder of this name."""
    from mypy.version import __version__

    return hashlib.sha256(repr((command, __version__, sys.version, Path(__file__).read_bytes())).encode()).hexdigest()[:16]


class _Compile:
    """Stands for a compiler's `compile`: the largest sources first, on every core; what is newer than its source and headers stays."""

    def __init__(self, compile_all: Any, names: Any, cores: ThreadPoolExecutor) -> None:
        self._compile = compile_all
        self._names = names
        self._cores = cores
        self._headers = max(header.stat().st_mtime for header in Path("build").glob("__native*.h"))

    def __call__(self, sources: list[str], output_dir: str, **options: Any) -> list[str]:
        def one(source: str) -> str:
            (name,) = self._names([source], output_dir=output_dir)
            if not self._done(Path(source), Path(name)):
                self._compile([source], output_dir=output_dir, **options)
            return str(name)

        return list(self._cores.map(one, sorted(sources, key=os.path.getsize, reverse=True)))

    def _done(self, source: Path, made: Path) -> bool:
        return made.exists() and made.stat().st_mtime > max(source.stat().st_mtime, self._headers)


if __name__ == "__main__":
    sys.exit(main())
