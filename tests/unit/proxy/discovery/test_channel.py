"""Which services can be reached as configured; what cannot be verified is refused before anything is dialled."""

import pytest

from pymesh_proxy.discovery.channel import Channels
from pymesh_proxy.discovery.source import GrpcSource, Variant
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.tls.config import UpstreamTls, ValidationSource
from pymesh_proxy.tls.matcher import SanMatcher
from pymesh_proxy.upstream.config import Assignment, ClusterConfig, Discovery, EndpointConfig

SOURCE = GrpcSource(variant=Variant.DELTA, cluster="xds")


def san(kind: str, name: str) -> SanMatcher:
    return SanMatcher(kind=kind, text=name, test=lambda value: value == name)


def cluster(*hosts: str, tls: UpstreamTls | None = None) -> ClusterConfig:
    endpoints = tuple(EndpointConfig(host=host, port=15010) for host in hosts)
    return ClusterConfig(
        name="xds", discovery=Discovery.STRICT_DNS, assignment=Assignment(cluster="xds", endpoints=endpoints), tls=tls
    )


def problem(*clusters: ClusterConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        Channels({one.name: one for one in clusters}, lambda name: None).check(SOURCE, "ads_config")
    return str(caught.value)


def verified(*sans: SanMatcher, sni: str = "") -> UpstreamTls:
    return UpstreamTls(validation=ValidationSource(trusted_ca=b"PEM", sans=sans), sni=sni)


def test_unknown_cluster_is_named() -> None:
    assert problem() == "ads_config: cluster 'xds' is not a static cluster"


def test_cluster_without_endpoints_is_refused() -> None:
    assert "no endpoints of its own" in problem(cluster())


def test_tls_without_verification_is_refused() -> None:
    assert "must be verified" in problem(cluster("istiod", tls=UpstreamTls()))


def test_name_that_no_matcher_accepts_is_refused() -> None:
    assert "verified as 'istiod'" in problem(cluster("istiod", tls=verified(san("DNS", "other"))))


def test_spiffe_name_alone_cannot_be_honoured() -> None:
    assert "refuses" in problem(cluster("istiod", tls=verified(san("URI", "istiod"))))


@pytest.mark.parametrize(
    ("host", "tls"),
    [
        ("istiod", None),
        ("istiod", verified()),
        ("istiod", verified(san("DNS", "istiod"))),
        ("10.0.0.1", verified(san("IP_ADDRESS", "10.0.0.1"))),
        ("10.0.0.1", verified(san("DNS", "istiod"), sni="istiod")),
    ],
)
def test_name_that_is_dialled_or_sent_as_sni_is_accepted(host: str, tls: UpstreamTls | None) -> None:
    Channels({"xds": cluster(host, tls=tls)}, lambda name: None).check(SOURCE, "ads_config")


def test_target_needs_no_cluster() -> None:
    Channels({}, lambda name: None).check(GrpcSource(variant=Variant.SOTW, target="dns:///x:1"), "ads_config")
