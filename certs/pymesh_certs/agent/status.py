"""The agent's status port, for as long as the agent runs."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pymesh.bootstrap.environment import Settings
from pymesh.status import StatusPort

from ..errors import AgentError
from .stop import Stop


@asynccontextmanager
async def answering(settings: Settings, stop: Stop, ready: Callable[[], bool] | None = None) -> AsyncIterator[None]:
    """Inside the context the port answers, of Envoy or, where there is none, as `ready` says. Raises AgentError."""
    status = StatusPort(settings, stop.ask, ready)
    try:
        try:
            await status.start()
        except OSError as error:
            raise AgentError(f"PROXY_CONFIG.statusPort: {error.strerror or error}") from None
        yield
    finally:
        await status.stop()
