"""Rules for connections: the client's address, and tunnels through a proxy outside."""

import pytest

from pymesh.xds import proto

MESH = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: proxy}
spec: {hosts: [proxy.test], resolution: STATIC, ports: [{number: 90, name: tcp, protocol: TCP}], endpoints: [{address: 10.0.0.7}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: other}
spec: {hosts: [other.test], resolution: STATIC, ports: [{number: 90, name: tcp, protocol: TCP}], endpoints: [{address: 10.0.0.7}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: proxy}
spec: {host: proxy.test, %s}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule}
spec: {hosts: [proxy.test], tcp: [%s]}
"""
TUNNEL = "trafficPolicy: {tunnel: {targetHost: example.com, targetPort: 443}}"
ROUTE = "{route: [{destination: {host: proxy.test}}]}"


@pytest.fixture
def chains(mesh, view):
    """The chains of the listener for proxy.test, the default one last."""

    def make(rule=TUNNEL, tcp=ROUTE):
        seen = view(INTERCEPTION_MODE="NONE", OUTBOUND_PORTS={"proxy.test:90": 21000})
        listener = mesh(MESH % (rule, tcp)).listeners(seen)["127.0.0.1_21000"]
        return list(listener.filter_chains)

    return make


def config(chain):
    return proto.unpack(chain.filters[-1].typed_config)


@pytest.mark.parametrize("port_level", ["", ", portLevelSettings: [{port: {number: 90}, connectionPool: {tcp: {maxConnections: 1}}}]"])
def test_connections_go_through_a_rules_tunnel(chains, port_level):
    (chain,) = chains(TUNNEL[:-1] + port_level + "}")
    assert config(chain).tunneling_config.hostname == "example.com:443"
    assert config(chain).cluster == "outbound|90||proxy.test"


def test_an_ipv6_target_stands_in_brackets(chains):
    (chain,) = chains("trafficPolicy: {tunnel: {protocol: CONNECT, targetHost: '2001:db8::1', targetPort: 80}}")
    assert config(chain).tunneling_config.hostname == "[2001:db8::1]:80"


def test_a_subsets_tunnel_comes_first(chains):
    subsets = f"{TUNNEL}, subsets: [{{name: a, {TUNNEL.replace('443', '444')}}}, {{name: b}}]"
    for subset, port in (("a", 444), ("b", 443)):
        (chain,) = chains(subsets, f"{{route: [{{destination: {{host: proxy.test, subset: {subset}}}}}]}}")
        assert config(chain).tunneling_config.hostname == f"example.com:{port}"


def test_connections_that_several_destinations_share_have_no_tunnel(chains):
    shared = "{route: [{destination: {host: proxy.test}, weight: 1}, {destination: {host: other.test}, weight: 1}]}"
    (chain,) = chains(tcp=shared)
    assert not config(chain).HasField("tunneling_config")


def test_a_rule_may_be_for_clients_of_some_addresses(chains):
    some = "{match: [{sourceSubnet: 10.0.0.0/8}, {sourceSubnet: 10.0.0.0/8}], route: [{destination: {host: other.test}}]}"
    found = chains(tcp=f"{some}, {ROUTE}")
    blocks = [[f"{one.address_prefix}/{one.prefix_len.value}" for one in chain.filter_chain_match.source_prefix_ranges] for chain in found]
    assert blocks == [["10.0.0.0/8"], []]
    assert [config(chain).cluster for chain in found] == ["outbound|90||other.test", "outbound|90||proxy.test"]


def test_other_clients_reach_the_service_itself(chains):
    some = "{match: [{sourceSubnet: 10.1.2.3}], route: [{destination: {host: other.test}}]}"
    found = chains(tcp=some)
    assert found[0].filter_chain_match.source_prefix_ranges[0].prefix_len.value == 32
    assert [config(chain).cluster for chain in found] == ["outbound|90||other.test", "outbound|90||proxy.test"]
