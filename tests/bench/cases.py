"""What is measured, and the first bars that are set for it: ratios to Envoy in the same run."""

from . import candidates, loads, memory, soak
from .measure import Bar, Case, Sample
from .servers import haproxy, nghttpd, nghttpx, nginx, reader

_BULK_BARS = (Bar("mib", 0.8, at_least=True), Bar("cpu_mib"))
_TIMES = ("rate", "p50", "p99", "cpu")
_BULK = ("mib", "cpu_mib")


def _added(samples: dict[str, Sample]) -> None:
    """What a proxy adds to the p99 of no proxy; not below 10 us, so that a ratio of it means something."""
    for name, sample in samples.items():
        if name != "direct":
            sample["added"] = max(0.01, sample["p99"] - samples["direct"]["p99"])


def _scaling(samples: dict[str, Sample]) -> None:
    for name, sample in samples.items():
        sample["scaling"] = sample["rate"] / samples[name.partition(" ")[0]]["rate"]


def _spread(samples: dict[str, Sample]) -> None:
    for name, sample in samples.items():
        sample["spread"] = sample["cpu"] / samples[f"{name.partition(' ')[0]} of 3"]["cpu"]


_HTTP = candidates.one_proxy(nginx, limit=haproxy("http"))
_HTTP_AND_SOURCES = candidates.one_proxy(nginx, limit=haproxy("http"), sources=True)
_TCP = candidates.one_proxy(nginx, mode="tcp", limit=haproxy("tcp"))
_HTTP2 = candidates.one_proxy(nghttpd, h2=True, limit=nghttpx)
_HTTP2_AND_SOURCES = candidates.one_proxy(nghttpd, h2=True, limit=nghttpx, sources=True)
_HTTP_ALONE = candidates.one_proxy(nginx)

CASES = (
    Case("h1", "HTTP/1.1 plaintext, small GET, keep-alive", _HTTP_AND_SOURCES, loads.wrk(), _TIMES, (Bar("cpu", 0.65),)),
    Case("h1-varied", "the same, no two heads alike", _HTTP_ALONE, loads.wrk(script=loads.VARIED), _TIMES, (Bar("cpu", 0.65),)),
    Case(
        "h1-post",
        "HTTP/1.1 plaintext, POST of 16 KiB",
        candidates.one_proxy(reader, limit=haproxy("http"), direct=False),
        loads.wrk(script=loads.POST),
        _TIMES,
        (Bar("cpu", 0.65),),
    ),
    Case("bodies", "HTTP/1.1 plaintext, answers of 1 MiB", _HTTP, loads.bulk("/mib"), _BULK, (Bar("mib"), Bar("cpu_mib"))),
    Case(
        "h2",
        "HTTP/2 cleartext, small GET, 4 connections of 16 streams",
        _HTTP2_AND_SOURCES,
        loads.h2load,
        ("rate", "cpu"),
        (Bar("cpu", 0.6),),
    ),
    Case("grpc", "gRPC unary calls, 4 connections of 16 streams", _HTTP2, loads.grpc, ("rate", "cpu"), (Bar("cpu", 0.6),)),
    Case("tcp", "TCP, small messages", _TCP, loads.wrk(), _TIMES, (Bar("cpu", 1.0),)),
    Case("tcp-bulk", "TCP, transfers of 64 MiB", _TCP, loads.bulk("/bulk"), _BULK, _BULK_BARS),
    Case(
        "mtls",
        "HTTP/1.1 through two sidecars with mutual TLS, each",
        candidates.sidecar_pair(nginx),
        loads.wrk(),
        _TIMES,
        (Bar("cpu", 0.8),),
    ),
    Case(
        "mtls-grpc",
        "gRPC unary calls through two sidecars with HTTP/2 over mutual TLS, each",
        candidates.sidecar_pair(nghttpd, h2=True),
        loads.grpc,
        ("rate", "cpu"),
        (Bar("cpu", 0.6),),
    ),
    Case(
        "connections",
        "a new connection for every request, plaintext",
        _HTTP,
        loads.wrk(headers=("Connection: close",)),
        _TIMES,
        (Bar("rate"), Bar("cpu")),
    ),
    Case(
        "connections-mtls",
        "a new connection of mutual TLS between two sidecars for every request, each",
        candidates.sidecar_pair(nginx, requests=1),
        loads.wrk(),
        _TIMES,
        (Bar("rate"), Bar("cpu")),
    ),
    Case(
        "endpoints",
        "HTTP/1.1 plaintext, least request over 1,000 endpoints and over 3",
        candidates.endpoints((1000, 3)),
        loads.wrk(),
        ("rate", "p99", "cpu", "spread"),
        (Bar("cpu"),),
        relate=_spread,
    ),
    Case(
        "latency",
        "1,000 requests/s in an open loop, times from the intended start",
        _HTTP_ALONE,
        loads.fixed_rate,
        ("p50", "p99", "added", "late", "cpu"),
        (Bar("added", 1.0),),
        relate=_added,
    ),
    Case(
        "memory",
        "resident memory",
        memory.start,
        memory.load,
        ("idle", "connected", "configured"),
        (Bar("idle"), Bar("connected"), Bar("configured", 1.0)),
        fresh=True,
    ),
    Case(
        "workers",
        "HTTP/1.1 plaintext with one worker and with two",
        candidates.workers(nginx),
        loads.wrk(),
        ("rate", "scaling", "p99", "cpu"),
        (Bar("rate"), Bar("cpu")),
        relate=_scaling,
    ),
)

NAMES = [*(case.name for case in CASES), soak.NAME]
