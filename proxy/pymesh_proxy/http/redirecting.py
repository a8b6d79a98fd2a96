"""Redirects of an upstream that are followed here: the exchange ends and another begins, of which the client knows nothing."""

from time import monotonic
from time import time as wall_clock

from ..route.internal_redirect import InternalRedirects, destination
from ..route.rewrite import scheme_of, set_host
from ..wheel import NEVER
from .exchange import Exchange
from .filtering import Filtering
from .headers import RequestHead, ResponseHead
from .stream import Phase


class Redirecting(Filtering):
    """One exchange, as redirects of its route's `internal_redirect_policy` see it."""

    __slots__ = ()

    def redirected(self, response: ResponseHead) -> bool:
        """Whether the answer is a redirect that is followed. Whatever speaks against it, the client gets the answer (as in Envoy)."""
        forward = self._forward
        cluster = self.exchange.cluster
        assert forward is not None
        assert cluster is not None
        policy = forward.internal_redirects
        if policy is None or response.status not in policy.statuses:
            return False
        head = self._redirected_head(policy, response)
        if head is None:
            cluster.upstream_internal_redirect_failed_total += 1
            return False
        cluster.upstream_internal_redirect_succeeded_total += 1
        self._end_leg(response)
        self._begin_leg(head)
        return True

    def _redirected_head(self, policy: InternalRedirects, response: ResponseHead) -> RequestHead | None:
        """The request as it goes on; None when it may not, or there is nowhere for it to go."""
        former = self.exchange.head
        where = destination(response.index.get(b"location", b""))
        if where is None or not self.complete or not self._replayable() or self._redirects >= policy.maximum:
            return None
        scheme = scheme_of(former)
        if (where.scheme == b"https") != (scheme == b"https") and not policy.cross_scheme:
            return None
        head = former.copy()
        for name in policy.copied:
            head.remove(name)
            for value in response.get_all(name):
                head.add(name, value)
        head.scheme, head.path = where.scheme, where.path
        set_host(head, where.authority)
        table = self.options.route.table
        if table is None or table.match(head, 0, self.exchange) is None:
            return None
        if response.status == 303 and former.method not in (b"GET", b"HEAD"):  # RFC 9110 15.4.4
            head.method = b"GET"
            head.remove(b"content-length")
        head.set(b"x-envoy-original-url", b"%b://%b%b" % (scheme, former.authority, former.path))
        head.remove(b"x-envoy-expected-rq-timeout-ms")
        return head

    def _end_leg(self, response: ResponseHead) -> None:
        """The exchange that was answered with a redirect has its line in the log."""
        connection = self.release()
        if connection is not None:
            connection.discard()
        self._end_retry()
        exchange = self.exchange
        exchange.response = response
        exchange.status = response.status
        exchange.details = "internal_redirect"
        self.observe(exchange)

    def _begin_leg(self, head: RequestHead) -> None:
        former = self.exchange
        exchange = self.exchange = Exchange(former.downstream, head, monotonic(), wall_clock())
        exchange.protocol, exchange.remote_address = former.protocol, former.remote_address
        if head.method != former.head.method:
            self._body = None
            self.chunked = False
            self.trailers = None
        else:
            exchange.request_bytes = former.request_bytes
        self._redirects += 1
        self.phase = Phase.ROUTING
        self._forward = self._target = self._policy = None
        self._endpoint = self._breaker = self._pool = self._tried = self._key = self._previous = None
        self._retries = 0
        self._expires = self.ends = NEVER
        self._filters = self.options.chain.default
        self._edits_answer = False
        self.choose()
        self.filter_from(0)
