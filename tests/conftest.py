"""What holds for every test of the project."""

import ast
import gc
import os
import signal
import sys
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is; what is timed is timed in the benchmarks. Examples are the same in every
# run, so that a suite which passed passes again; who wants to find new ones asks for them.
settings.register_profile("same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False)
settings.load_profile("explore" if os.environ.get("PYMESH_EXAMPLES") == "new" else "same")

# A process in which gRPC is active must not run gRPC's fork handlers: the child of a `preexec_fn` aborts in them before it can
# exec (grpc issue 43055, grpcio 1.80 and later). Some tests are gRPC clients and start processes.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

if sys.version_info < (3, 11, 8):
    # Before 3.11.8 a parse during which garbage collection has something else parsed ends in a SystemError (CPython issue 106905), and
    # hypothesis parses the source of every state machine.
    _parse = ast.parse

    def _parse_undisturbed(*arguments: Any, **keywords: Any) -> ast.AST:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return _parse(*arguments, **keywords)
        finally:
            if collecting:
                gc.enable()

    ast.parse = _parse_undisturbed

# A shell's background jobs ignore SIGINT, and what is started here would inherit that: then no test could interrupt a program.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROXY = Path(__file__).parent.parent / "proxy" / "pymesh_proxy"


def _source_finder(path: str) -> FileFinder:
    """A path hook that sees sources alone in the data plane's folders, whatever was compiled beside them."""
    if not Path(path).is_relative_to(PROXY):
        raise ImportError
    return FileFinder(path, (SourceFileLoader, [".py"]))


def _refuse_stale_rooms() -> None:
    for compiled in PROXY.rglob(f"*.{sys.implementation.cache_tag}-*.so"):
        source = compiled.with_name(compiled.name.split(".")[0] + ".py")
        if not source.exists() or source.stat().st_mtime > compiled.stat().st_mtime:
            raise SystemExit(f"{compiled} is older than its source: run `make compiled`, or test the sources with PYMESH_ROOMS=source")


if os.environ.get("PYMESH_ROOMS") == "source":
    sys.path_hooks.insert(0, _source_finder)
    sys.path_importer_cache.clear()
else:
    _refuse_stale_rooms()
