"""Compile the data plane's hot rooms to machine code with mypyc, beside their sources.

    python proxy/compile_rooms.py

The sources stay plain typed Python and run without this; what it buys is measured in docs/BENCHMARKS.md. Python prefers the
compiled file wherever it is present, so the Makefile makes it anew when a source has changed. Exit code 0 also when there is no
C compiler: the mesh then runs on the sources, and says so here.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

ROOMS = {
    "": ("runtime", "wheel"),
    "filters": ("chain", "cors", "descriptors", "fault", "fraction", "grpc_stats", "local_ratelimit", "peer_metadata", "token_bucket"),
    "http": (
        "answer", "attempts", "connect", "exchange", "filtering", "forwarding", "grpc", "grpc_frames", "h1_answers", "h1_client",
        "h1_message", "h1_repeats", "h1_request", "h1_server", "h1_slices", "h1_switch", "h1_times", "h1_turns", "headers",
        "local_reply", "mirror", "options", "paths", "pipeline", "redirecting", "request_policy", "request_target", "retry", "router",
        "stream", "times", "trailers", "try_times", "upload", "wire",
    ),
    "http2": (
        "client", "connection", "errors", "fields", "flood", "frames", "hpack", "hpack_table", "inbound", "keepalive",
        "payloads", "phase", "sections", "server", "server_stream", "settings", "stream", "translate", "tunnel",
    ),
    "listener": ("scope",),
    "observe": ("access_log", "escape", "format", "istio", "labels", "operators", "peers", "series", "timestamps", "written_out"),
    "route": ("conditions", "cookies", "edits", "hashing", "hosts", "internal_redirect", "retry_policy", "rewrite", "table"),
    "tcp": ("proxy", "relay", "session", "tunnel"),
    "upstream/balancing": (
        "base", "bounded", "config", "edf", "hashes", "least_request", "maglev", "random_choice", "ring_hash", "round_robin",
        "shares", "weights",
    ),
    "upstream": (
        "avoided", "balancer", "breaker", "cluster", "config", "endpoint", "exclusive", "health_config", "host_set", "locality",
        "negotiated", "outlier", "outlier_config", "pool", "previous_priorities", "priorities", "shared", "spread", "success_rate",
        "watch",
    ),
}  # fmt: skip
"""Modules of pymesh_proxy through which every request or every byte goes. They import each other; what they import from
elsewhere is reached as from any Python."""

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

    paths = [str(Path("pymesh_proxy", folder, f"{name}.py")) for folder, names in ROOMS.items() for name in names]
    extensions = mypycify(["--config-file", str(HERE.parent / "pyproject.toml"), *paths], opt_level="3", debug_level="0")
    setup(name="pymesh-rooms", ext_modules=extensions, packages=[], script_args=["-q", "build_ext", "--inplace"])


if __name__ == "__main__":
    sys.exit(main())
