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


@pytest.mark.parametrize(("protocol", "posts"), [("", False), ("protocol: CONNECT,", False), ("protocol: POST,", True)])
def test_a_tunnel_may_be_a_post(chains, protocol, posts):
    (chain,) = chains(f"trafficPolicy: {{tunnel: {{{protocol} targetHost: example.com, targetPort: 443}}}}")
    assert config(chain).tunneling_config.use_post is posts


def test_a_subset_has_a_tunnel_of_its_own_or_none(chains):
    subsets = f"{TUNNEL}, subsets: [{{name: a, {TUNNEL.replace('443', '444')}}}, {{name: b}}]"
    for subset, target in (("a", "example.com:444"), ("b", "")):
        (chain,) = chains(subsets, f"{{route: [{{destination: {{host: proxy.test, subset: {subset}}}}}]}}")
        assert config(chain).tunneling_config.hostname == target


SHARED = "{route: [{destination: {host: proxy.test%s}, weight: 1}, {destination: {host: other.test}, weight: 1}]}"


def test_connections_that_several_destinations_share_have_the_tunnel_of_the_firsts_rule_but_no_subsets(chains):
    (chain,) = chains(tcp=SHARED % "")
    assert config(chain).tunneling_config.hostname == "example.com:443"
    (chain,) = chains(f"subsets: [{{name: a, {TUNNEL}}}]", SHARED % ", subset: a")
    assert not config(chain).HasField("tunneling_config")


def test_connections_that_several_destinations_share_count_under_the_rules_name(chains):
    (chain,) = chains(tcp=SHARED % "")
    assert config(chain).stat_prefix == "rule.default"


HASHED = "trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}"


@pytest.mark.parametrize(
    ("rule", "by_source"),
    [
        (HASHED, True),
        (TUNNEL, False),
        (HASHED.replace("useSourceIp: true", "httpHeaderName: x"), False),
        (f"subsets: [{{name: a, {HASHED}}}]", True),
        (f"{HASHED}, subsets: [{{name: a, trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}}}]", False),
    ],
)
def test_connections_are_balanced_by_a_hash_of_the_clients_address(chains, rule, by_source):
    subset = ", subset: a" if "subsets" in rule else ""
    for chain in (*chains(rule, f"{{route: [{{destination: {{host: proxy.test{subset}}}}}]}}"), *chains(rule, SHARED % subset)):
        assert [one.HasField("source_ip") for one in config(chain).hash_policy] == ([True] if by_source else [])


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


SECOND = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s}
spec: {hosts: %s, %s}
"""


def test_rules_for_connections_of_one_host_follow_one_another_up_to_the_first_without_condition(mesh, view):
    def rule(name, subnet, hosts="[proxy.test]"):
        match = f"match: [{{destinationSubnets: [{subnet}]}}], " if subnet else ""
        return SECOND % (name, hosts, f"tcp: [{{{match}route: [{{destination: {{host: other.test}}}}]}}]")

    text = MESH % (TUNNEL, "{match: [{destinationSubnets: [10.1.0.0/16]}], route: [{destination: {host: other.test}}]}")
    text += rule("wide", "10.2.0.0/16", "['*.test']") + rule("all", "") + rule("late", "10.3.0.0/16")
    seen = view(INTERCEPTION_MODE="NONE", OUTBOUND_PORTS={"proxy.test:90": 21000})
    found = mesh(text).listeners(seen)["127.0.0.1_21000"].filter_chains
    assert [[one.address_prefix for one in chain.filter_chain_match.prefix_ranges] for chain in found] == [["10.1.0.0"], ["10.2.0.0"], []]
    assert {config(chain).cluster for chain in found} == {"outbound|90||other.test"}


def test_a_rule_for_requests_does_not_keep_another_from_its_connections(mesh, view):
    requests = SECOND % ("requests", "[proxy.test]", "http: [{route: [{destination: {host: other.test}}]}]")
    text = requests + MESH % (TUNNEL, "{route: [{destination: {host: other.test}}]}")
    seen = view(INTERCEPTION_MODE="NONE", OUTBOUND_PORTS={"proxy.test:90": 21000})
    assert config(mesh(text).listeners(seen)["127.0.0.1_21000"].filter_chains[0]).cluster == "outbound|90||other.test"


def test_a_rule_for_one_name_of_a_wildcard_routes_its_tls(mesh, view):
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec: {hosts: ['*.wild.test'], resolution: NONE, ports: [{number: 443, name: tls, protocol: TLS}]}
"""
    to = "route: [{destination: {host: other.test, port: {number: 90}}}]"
    rule = SECOND % ("one", "[a.wild.test]", f"tls: [{{match: [{{sniHosts: [a.wild.test]}}], {to}}}]")
    (chain,) = mesh(entry + MESH % (TUNNEL, ROUTE) + rule).listeners(view())["0.0.0.0_443"].filter_chains
    assert list(chain.filter_chain_match.server_names) == ["a.wild.test"]
    assert config(chain).cluster == "outbound|90||other.test"


@pytest.mark.parametrize(("labels", "cluster"), [({"app": "a"}, "other"), ({"app": "b"}, "proxy")])
def test_a_rule_for_the_mesh_may_be_for_some_clients_of_it(mesh, view, labels, cluster):
    match = "match: [{gateways: [mesh], sourceLabels: {app: a}}]"
    text = MESH % (TUNNEL, f"{{{match}, route: [{{destination: {{host: other.test}}}}]}}")
    seen = view(INTERCEPTION_MODE="NONE", OUTBOUND_PORTS={"proxy.test:90": 21000}, LABELS=labels)
    assert config(mesh(text).listeners(seen)["127.0.0.1_21000"].filter_chains[0]).cluster == f"outbound|90||{cluster}.test"


def test_one_subnet_in_two_spellings_is_one_condition(chains):
    spellings = ("10.1.2.3/16", "10.1.0.0/16", "10.1.2.3/32", "10.1.2.3")
    matches = ", ".join(f"{{destinationSubnets: [{one}]}}" for one in spellings)
    found = chains(tcp=f"{{match: [{matches}], route: [{{destination: {{host: other.test}}}}]}}")
    blocks = [[f"{one.address_prefix}/{one.prefix_len.value}" for one in chain.filter_chain_match.prefix_ranges] for chain in found]
    assert blocks == [["10.1.0.0/16"], ["10.1.2.3/32"], []]
