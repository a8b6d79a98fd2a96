"""A port's protocol: what it declares, else its name, else its number, else told from the first bytes."""

import pytest

from pymesh_control.model.protocol import Protocol, of_port


@pytest.mark.parametrize(
    ("number", "name", "declared", "expected"),
    [
        (80, "", "HTTP", Protocol.HTTP),
        (80, "", "grpc", Protocol.GRPC),
        (80, "tcp-x", "HTTP2", Protocol.HTTP2),
        (80, "http", "", Protocol.HTTP),
        (80, "HTTP-metrics", "", Protocol.HTTP),
        (80, "grpc-web", "", Protocol.GRPC_WEB),
        (80, "grpc-web-x", "", Protocol.GRPC_WEB),
        (80, "grpc-x", "", Protocol.GRPC),
        (443, "https-web", "", Protocol.HTTPS),
        (53, "udp-dns", "", Protocol.UDP),
        (3306, "", "", Protocol.TCP),
        (3306, "http", "", Protocol.HTTP),
        (8080, "web", "", Protocol.AUTO),
        (8080, "httpx", "", Protocol.AUTO),
    ],
)
def test_the_protocol_is_selected_as_istio_does(number, name, declared, expected):
    assert of_port(number, name, declared) is expected


def test_opaque_tls_is_not_http():
    assert not Protocol.HTTPS.is_http
    assert Protocol.HTTPS.is_tls
