"""ProxyConfig: settings with which proxies are started."""

from ..types import I32, Model, PolicySelector


class ProxyImage(Model):
    """Which of the proxy's images: default, debug, distroless."""

    image_type: str | None = None


class ProxyConfig(Model):
    """The `spec` of a ProxyConfig; `concurrency` 0 means one worker for each core."""

    selector: PolicySelector | None = None
    concurrency: I32 | None = None
    environment_variables: dict[str, str] = {}
    image: ProxyImage | None = None
