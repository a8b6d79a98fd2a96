"""What can go wrong in the control plane: it cannot start as asked, or a client may not have what it asks for."""


class ControlError(Exception):
    """Base of everything the control plane raises on purpose."""


class StartupError(ControlError):
    """The process cannot start as asked (an unreadable folder, a taken port); the message is for the person at the terminal."""


class RefusedClient(ControlError):
    """A client's stream must end; the message tells its operator why."""


class Unauthenticated(RefusedClient):
    """The client shows no identity where one is needed."""


class PermissionDenied(RefusedClient):
    """The client shows an identity, but not that of the workload it says it is."""


class InvalidClient(RefusedClient):
    """The client's first request does not say what it is."""


class TooManyClients(RefusedClient):
    """As many clients are connected as may be; a later try may find a place."""


class SlowClient(RefusedClient):
    """The client does not take what it subscribed to."""
