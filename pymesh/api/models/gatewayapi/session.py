"""Session persistence: requests of one session go to one endpoint."""

import enum

from ...types import Model
from .references import GatewayDuration


class SessionPersistenceType(enum.Enum):
    """What carries the session."""

    COOKIE = "Cookie"
    HEADER = "Header"


class CookieLifetimeType(enum.Enum):
    """How long a cookie lives."""

    SESSION = "Session"
    PERMANENT = "Permanent"


class CookieConfig(Model):
    """The cookie of a session."""

    name: str | None = None
    path: str = "/"
    lifetime_type: CookieLifetimeType = CookieLifetimeType.SESSION


class HeaderConfig(Model):
    """The header of a session."""

    name: str


class SessionPersistence(Model):
    """How a rule keeps sessions together."""

    absolute_timeout: GatewayDuration | None = None
    type: SessionPersistenceType = SessionPersistenceType.COOKIE
    cookie: CookieConfig | None = None
    header: HeaderConfig | None = None
