"""Endpoints to choose from."""

from collections.abc import Sequence

from pymesh_proxy.upstream.config import EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint


def endpoints(*weights: int, port: int = 80, **settings: str) -> list[Endpoint]:
    """One endpoint a weight: 10.0.0.1, 10.0.0.2, ..."""
    return [
        Endpoint(EndpointConfig(host=f"10.0.0.{number}", port=port, weight=weight, **settings), None)
        for number, weight in enumerate(weights, 1)
    ]


def measured(*weights: int) -> list[Endpoint]:
    """The endpoints that a real Envoy's choices were written down for."""
    return [Endpoint(EndpointConfig(host="127.0.0.1", port=21100 + place, weight=weight), None) for place, weight in enumerate(weights)]


def places(hosts: Sequence[Endpoint], picked: Sequence[Endpoint]) -> list[int]:
    """Where in the list each of the picked stands."""
    return [hosts.index(endpoint) for endpoint in picked]
