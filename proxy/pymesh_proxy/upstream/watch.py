"""What learns from the traffic to one endpoint how the endpoint is. Called for each request of a cluster that asks for it."""

from typing import TYPE_CHECKING, Final

from ..errors import Cause
from ..http.headers import RequestHead, ResponseHead
from .health_config import IMMEDIATE
from .outlier import TIMED_OUT, UNREACHABLE, HostMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from .checkup import Checkup
    from .endpoint import Endpoint

_HTTP_OF_GRPC: Final = {
    b"0": 200, b"1": 499, b"2": 500, b"3": 400, b"4": 504, b"5": 404, b"6": 409, b"7": 403, b"8": 429,
    b"9": 400, b"10": 409, b"11": 400, b"12": 501, b"13": 500, b"14": 503, b"15": 500, b"16": 401,
}  # fmt: skip
"""gRPC's statuses as HTTP's (google.rpc.Code says them); any other is an internal error."""

_SLOW = frozenset((Cause.PER_TRY_TIMEOUT, Cause.PER_TRY_IDLE, Cause.ROUTE_TIMEOUT))
_BLAMELESS = frozenset((Cause.OVERFLOW, Cause.UPSTREAM_DURATION))
"""Ends that say nothing of the endpoint."""


class Watch:
    """One endpoint under observation."""

    __slots__ = ("_tell_sick", "checkup", "endpoint", "outlier")

    def __init__(
        self,
        endpoint: "Endpoint",
        outlier: HostMonitor | None,
        checkup: "Checkup | None" = None,
        tell_sick: "Callable[[Endpoint], None] | None" = None,
    ) -> None:
        """`checkup` is what active health checks know of the endpoint, and `tell_sick` tells them what they did not hear themselves."""
        self.endpoint = endpoint
        self.outlier = outlier
        self.checkup = checkup
        self._tell_sick = tell_sick

    def __repr__(self) -> str:
        return f"<Watch {self.endpoint!r} {self.outlier!r}>"

    def answered(self, request: RequestHead, response: ResponseHead) -> None:
        """The head of an answer. A call of gRPC that failed says so beside the status 200; in trailers it goes unnoticed."""
        if self.checkup is not None and self._tell_sick is not None and IMMEDIATE in response.index:
            self._tell_sick(self.endpoint)
        if self.outlier is None:
            return
        status = response.status
        code = response.index.get(b"grpc-status")
        error = self.outlier.error
        if code is not None and (request.index.get(b"content-type") or b"").startswith(b"application/grpc"):
            status = _HTTP_OF_GRPC.get(code, 500)
        elif error is not None:
            # What the matcher takes for an error keeps a status of 5xx, or gateway failures would be no more (measured on Envoy 1.40).
            status = max(status, 500) if error(response) else 200
        self.outlier.answered(status)

    def failed(self, cause: Cause) -> None:
        """No answer, or half of one."""
        if self.outlier is not None and cause not in _BLAMELESS:
            self.outlier.failed(TIMED_OUT if cause in _SLOW else UNREACHABLE)

    def connected(self) -> None:
        """A connection for a request; its answer will say more."""
        if self.outlier is not None:
            self.outlier.connected()

    def joined(self) -> None:
        """A connection of which nothing more is understood than that it stands."""
        if self.outlier is not None:
            self.outlier.connected(final=True)
