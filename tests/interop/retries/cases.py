"""What both proxies are asked: a site (see `SITES`), a plan that the upstream plays, and how the request looks."""

from dataclasses import dataclass, field

from .bootstrap import Site, retry


@dataclass(frozen=True)
class Case:
    site: str
    plan: str
    method: str = "GET"
    body: bytes = b""
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/"
    held_back: float = 0.0
    """Seconds between the head and the body."""

    def __str__(self) -> str:
        extra = "".join(f" {name}:{value}" for name, value in self.headers.items())
        body = f" +{len(self.body)}{'c' if self.chunked else ''}" if self.body else ""
        return f"{self.site} {self.method}{body} {self.plan}{extra}"


GRPC = {"content-type": "application/grpc", "te": "trailers"}
_TOKENS = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx", "refused-stream",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
)  # fmt: skip
_PREDICATE = {
    "name": "p",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
}

_RESETS = ("refuse", "cancel", "close", "503")
"""What an HTTP/2 upstream does first, each on a connection of its own."""

def _previous_priorities(update_frequency: int) -> dict[str, object]:
    kind = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    return {"name": "p", "typed_config": {"@type": kind, "update_frequency": update_frequency}}


SITES = {
    "none": Site(),
    **{token: Site(retry(token)) for token in _TOKENS},
    "codes": Site(retry("retriable-status-codes", retriable_status_codes=[418, 503, 200])),
    "headers": Site(
        retry(
            "retriable-headers",
            retriable_headers=[
                {"name": "x-again", "string_match": {"exact": "yes"}},
                {"name": ":status", "string_match": {"exact": "410"}},
            ],
        )
    ),
    "asked": Site(retry("5xx", retriable_request_headers=[{"name": "x-may", "present_match": True}])),
    "both": Site(retry("gateway-error,retriable-4xx,nonsense,http3-post-connect-failure", num_retries=3)),
    "zero": Site(retry("5xx", num_retries=0)),
    "per-try": Site(retry("5xx", num_retries=2, per_try_timeout="0.4s")),
    "per-try-only": Site({"retry_policy": {"per_try_timeout": "0.4s"}}),
    "per-try-connect": Site(retry("connect-failure", per_try_timeout="0.4s")),
    "per-try-idle": Site(retry("5xx", per_try_idle_timeout="0.4s")),
    "per-try-none": Site(),
    "short": Site({**retry("5xx", num_retries=5, per_try_timeout="0.5s"), "timeout": "0.8s"}),
    "timeout": Site({**retry("5xx,reset"), "timeout": "0.5s"}),
    "long-back-off": Site({"timeout": "0.3s", **retry("5xx", retry_back_off={"base_interval": "30s", "max_interval": "30s"})}),
    "limited-back-off": Site(
        {
            "timeout": "0.5s",
            **retry(
                "5xx,retriable-4xx",
                rate_limited_retry_back_off={"reset_headers": [{"name": "retry-after", "format": "SECONDS"}], "max_interval": "10s"},
            ),
        }
    ),
    "dead-connect": Site(retry("connect-failure", num_retries=2), endpoints=("$DEAD",)),
    "dead-5xx": Site(retry("5xx"), endpoints=("$DEAD",)),
    "dead-reset": Site(retry("reset"), endpoints=("$DEAD",)),
    "dead-before": Site(retry("reset-before-request"), endpoints=("$DEAD",)),
    "dead-refused": Site(retry("refused-stream"), endpoints=("$DEAD",)),
    "dead-none": Site(endpoints=("$DEAD",)),
    "half-dead": Site(
        retry("connect-failure", num_retries=3, retry_host_predicate=[_PREDICATE], host_selection_retry_max_attempts=5),
        endpoints=("$DEAD", "$UP"),
    ),
    **{
        f"priorities-{update}": Site(
            retry("connect-failure", num_retries=5, retry_priority=_previous_priorities(update)), endpoints=("$DEAD",), spares=spares
        )
        for update, spares in ((1, ("$UP",)), (2, ("$UP",)), (3, ("$UP",)), (4, ("$DEAD",)))
    },
    "no-retries": Site(retry("5xx"), cluster={"circuit_breakers": {"thresholds": [{"max_retries": 0, "track_remaining": True}]}}),
    "no-budget": Site(
        retry("5xx"),
        cluster={"circuit_breakers": {"thresholds": [{"retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 0}}]}},
    ),
    "budget": Site(
        retry("5xx"),
        cluster={"circuit_breakers": {"thresholds": [{"max_retries": 0, "retry_budget": {"min_retry_concurrency": 2}}]}},
    ),
    **{f"h2-refused-{plan}": Site(retry("refused-stream"), endpoints=("$UP2",), http2=True) for plan in _RESETS},
    **{f"h2-reset-{plan}": Site(retry("reset"), endpoints=("$UP2",), http2=True) for plan in _RESETS},
    **{f"h2-none-{plan}": Site(endpoints=("$UP2",), http2=True) for plan in _RESETS},
    "small": Site(retry("5xx"), route={"per_request_buffer_limit_bytes": 100}),
    "wide": Site(retry("5xx"), route={"request_body_buffer_limit": 200000}),
    "steered": Site(
        route={
            "request_headers_to_add": [
                {"header": {"key": "x-envoy-retry-on", "value": "5xx"}},
                {"header": {"key": "x-envoy-max-retries", "value": "2"}},
            ]
        }
    ),
    "redirect": Site({"internal_redirect_policy": {}}),
    "redirects": Site(
        {
            **retry("5xx"),
            "internal_redirect_policy": {
                "max_internal_redirects": 3,
                "redirect_response_codes": [302, 303, 307, 308, 299],
                "allow_cross_scheme_redirect": True,
                "response_headers_to_copy": ["x-plan", "x-copied"],
            },
            "prefix_rewrite": "/p/",
        },
        {"request_headers_to_add": [{"header": {"key": "x-added", "value": "1"}}], "per_request_buffer_limit_bytes": 10},
    ),
    "lasting": Site(
        retry("reset"),
        cluster={
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "common_http_protocol_options": {"max_stream_duration": "0.4s"},
                    "explicit_http_config": {"http_protocol_options": {}},
                }
            }
        },
    ),
    "lasting-none": Site(
        cluster={
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "common_http_protocol_options": {"max_stream_duration": "0.4s"},
                    "explicit_http_config": {"http_protocol_options": {}},
                }
            }
        },
    ),
}

TIMED = frozenset(name for name in SITES if name.startswith(("per-try", "short", "timeout", "long", "limited", "lasting")))
"""Sites whose cases last as long as some timeout."""

_TO = "location:http%3A//"
"""The beginning of a redirect, escaped, since colons and commas mean something in a plan."""



def within(**asked: str) -> dict[str, str]:
    """Headers of a request from an internal address that asks for something."""
    return {"x-forwarded-for": "10.0.0.1", **{f"x-envoy-{name.replace('_', '-')}": value for name, value in asked.items()}}


_FAULTS = ("500,200", "503,200", "504,503", "409,200", "429,200", "close,200", "reset,200", "garbage,200", "404", "200", "part")
_TRIED = ("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream")

CASES = [
    *(Case(site, plan) for site in _TRIED for plan in _FAULTS),
    *(Case("none", plan) for plan in ("503,200", "close,200", "garbage")),
    *(Case("5xx", plan, method) for plan in ("503,200", "close,200") for method in ("HEAD", "DELETE", "OPTIONS")),
    *(Case("5xx", plan, "POST", b"hello") for plan in ("503,200", "close,200", "503", "early:503,200")),
    *(Case("5xx", plan, "POST", b"hello", chunked=True) for plan in ("503,200", "close,200")),
    Case("5xx", "503;x-envoy-overloaded:true,200"),
    Case("5xx", "503;x-envoy-ratelimited:true,200"),
    Case("envoy-ratelimited", "503;x-envoy-ratelimited:true,200"),
    Case("envoy-ratelimited", "200;x-envoy-ratelimited:true,201"),
    Case("envoy-ratelimited", "503,200"),
    Case("envoy-ratelimited", "429;x-envoy-ratelimited:true;x-envoy-overloaded:true,200"),
    Case("5xx", "501,200"), Case("5xx", "599,200"), Case("5xx", "503,404"), Case("gateway-error", "503,500"), Case("5xx", "600,200"),
    *(Case("codes", plan) for plan in ("418,202", "503,202", "500,202", "200,202", "close,202")),
    *(Case("headers", plan) for plan in ("200;x-again:yes,201", "200;x-again:no,201", "410,200", "503;x-again:yes,200", "close,200")),
    Case("asked", "503,200"), Case("asked", "503,200", headers={"x-may": "1"}), Case("asked", "close,200"),
    *(Case("both", plan) for plan in ("503,409,504,200", "503,409,504,502", "500", "409,200", "close,503,200")),
    Case("zero", "503"), Case("zero", "200"), Case("zero", "close"),
    *(
        Case(token, plan, "POST", b"\0\0\0\0\0", headers=GRPC)
        for token, number in (("cancelled", 1), ("deadline-exceeded", 4), ("internal", 13), ("resource-exhausted", 8), ("unavailable", 14))
        for plan in (f"200;grpc-status:{number};content-type:application/grpc,200", "200;grpc-status:2;content-type:application/grpc,200",
                     "503,200")
    ),
    Case("unavailable", "close", "POST", b"\0\0\0\0\0", headers=GRPC),
    Case("unavailable", "200;grpc-status:14,200"),
    *(Case("per-try", plan) for plan in ("hang,200", "hang", "stall", "wait:0.1:200", "hang,503,200", "wait:0.1:hang")),
    Case("per-try", "hang,200", "POST", b"hello"),
    Case("per-try", "hang,200", "POST", b"hello", held_back=0.6),
    Case("per-try-only", "hang"), Case("per-try-only", "200"),
    Case("per-try-connect", "hang,200"),
    *(Case("per-try-idle", plan) for plan in ("hang,200", "stall", "hang", "wait:0.1:200")),
    *(Case("short", plan) for plan in ("hang", "hang,200", "503,hang")),
    *(Case("timeout", plan) for plan in ("hang", "close,hang", "stall", "wait:0.1:503,hang")),
    Case("timeout", "200", "POST", b"hello", held_back=0.6),
    Case("long-back-off", "503,200"),
    *(
        Case("limited-back-off", plan)
        for plan in ("503;retry-after:1,200", "409;retry-after:11,200", "503;retry-after:0,200", "503;retry-after:x,200", "503,200",
                     "close,200")
    ),
    *(Case(site, "200") for site in ("dead-connect", "dead-5xx", "dead-reset", "dead-before", "dead-refused", "dead-none")),
    Case("dead-connect", "200", "POST", b"hello"),
    *(Case(f"priorities-{update}", "200") for update in (1, 2, 3, 4)),
    Case("no-retries", "503,200"), Case("no-retries", "close,200"), Case("no-retries", "200"),
    Case("no-budget", "503,200"), Case("no-budget", "close,200"),
    Case("budget", "503,200"),
    *(Case(f"h2-refused-{plan}", f"{plan},200") for plan in _RESETS),
    *(Case(f"h2-reset-{plan}", f"{plan},200", "POST") for plan in _RESETS),
    *(Case(f"h2-none-{plan}", plan) for plan in _RESETS),
    *(Case("small", "503,200", "POST", b"x" * size) for size in (100, 101)), Case("small", "close,200", "POST", b"x" * 101),
    Case("5xx", "503,200", "POST", b"x" * 60000), Case("5xx", "503,200", "POST", b"x" * 70000),
    Case("wide", "503,200", "POST", b"x" * 70000), Case("wide", "503,200", "POST", b"x" * 210000),
    Case("5xx", "503,200", headers={"x-envoy-max-retries": "5", "x-envoy-retry-on": "5xx"}),
    Case("none", "503,200", headers={"x-envoy-max-retries": "5", "x-envoy-retry-on": "5xx"}),
    *(
        Case(site, plan, headers=within(**asked))
        for site, plan, asked in (
            ("none", "503,503,200", {"retry_on": "5xx", "max_retries": "2"}),
            ("none", "503,200", {"max_retries": "2"}),
            ("none", "503,200", {"retry_on": "nonsense, gateway-error"}),
            ("none", "200;grpc-status:14,200", {"retry_grpc_on": "unavailable"}),
            ("none", "200;grpc-status:14,200", {"retry_on": "unavailable"}),
            ("none", "503,200", {"retry_grpc_on": "5xx"}),
            ("none", "418,421,200", {"retry_on": "retriable-status-codes", "retriable_status_codes": "418, 421,x", "max_retries": "5"}),
            ("none", "200;x-odd:1,201", {"retry_on": "retriable-headers", "retriable_header_names": "X-Odd,x-even"}),
            ("none", "503,200", {"retry_on": "5xx", "max_retries": "-1"}),
            ("none", "503,200", {"retry_on": "5xx", "max_retries": "0"}),
            ("none", "503,200", {"retry_on": "5xx", "max_retries": "5000000000"}),
            ("5xx", "409,503,200", {"retry_on": "retriable-4xx", "max_retries": "2"}),
            ("zero", "503,200", {"max_retries": "1"}),
            ("asked", "503,200", {"retry_on": "5xx"}),
            ("per-try-none", "hang", {"upstream_rq_per_try_timeout_ms": "300"}),
            ("per-try-none", "hang,200", {"upstream_rq_per_try_timeout_ms": "300", "retry_on": "5xx"}),
            ("per-try-none", "hang", {"upstream_rq_timeout_ms": "300"}),
            ("per-try-none", "hang", {"upstream_rq_timeout_ms": "300", "upstream_rq_per_try_timeout_ms": "300"}),
            ("per-try-none", "hang", {"upstream_rq_timeout_ms": "300", "upstream_rq_timeout_alt_response": "1"}),
            ("per-try-none", "hang", {"upstream_rq_per_try_timeout_ms": "300", "upstream_rq_timeout_alt_response": "1"}),
            ("per-try-none", "close", {"upstream_rq_timeout_alt_response": "1"}),
            ("per-try-none", "200", {"upstream_rq_timeout_ms": "soon", "upstream_rq_per_try_timeout_ms": "-1"}),
            ("per-try", "hang,200", {"upstream_rq_timeout_ms": "700"}),
        )
    ),
    Case("steered", "503,503,200"), Case("steered", "503,503,503,200"), Case("steered", "close,200"),
    *(
        Case("redirect", plan, **more)
        for more in ({}, {"method": "POST", "body": b"hello"}, {"method": "HEAD"})
        for plan in (f"302;{_TO}redirect/else?x=1%23f,200", f"302;{_TO}redirect/a,302;{_TO}redirect/b,200", f"303;{_TO}redirect/,200",
                     "302,200",
                     "302;location:/else,200", "302;location:https%3A//redirect/,200", f"302;{_TO}none,200")
    ),
    *(
        Case("redirects", plan, **more)
        for more in ({}, {"method": "POST", "body": b"hello"}, {"method": "POST", "body": b"hello, hello"})
        for plan in (f"303;{_TO}redirects/a,200", f"307;{_TO}redirect/a,302;{_TO}redirects/b,301;{_TO}redirects/c,200",
                     "308;location:HTTPS%3A//redirects/a?b,200", f"503,302;{_TO}redirects/a,503,200", f"299;{_TO}redirects/a,200",
                     f"302;{_TO}redirects;x-copied:1;x-copied:2,200", f"302;{_TO}user@redirects/,200", f"302;{_TO}unknown/,200")
    ),
    *(Case("lasting", plan) for plan in ("hang", "hang,200", "stall")), *(Case("lasting-none", plan) for plan in ("hang", "stall")),
]  # fmt: skip
