"""Envoy's nine steps against a slow, obvious model: filter the chains step by step, keep the most specific, never go back."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.listener.config import ChainMatch, FilterChain
from pymesh_proxy.listener.match import Ambiguous, Traits, build
from pymesh_proxy.tcp.config import TcpOptions

TCP = TcpOptions(clusters=(("up", 1),))


def chain(name, **criteria):
    return FilterChain(name=name, terminal=TCP, match=ChainMatch(**criteria))


def connection(**known):
    return Traits(**{"destination_ip": "10.0.0.1", "destination_port": 80, "source_ip": "10.0.0.9", "source_port": 5000, **known})


def net(text):
    return (ipaddress.ip_network(text),)


def found(chains, default=None, **known):
    chosen = build(chains, default).find(connection(**known))
    return chosen.name if chosen else None


def test_a_single_chain_without_conditions_takes_everything():
    assert found([chain("all")]) == "all"


def test_an_exact_server_name_beats_another_chains_application_protocol():
    chains = [chain("name", server_names=("www.example.com",)), chain("alpn", application_protocols=("istio",))]
    assert found(chains, server_name="www.example.com", application_protocols=("istio",)) == "name"


def test_a_step_once_taken_is_not_left_again():
    chains = [chain("port", destination_port=80, transport_protocol="tls"), chain("any")]
    assert found(chains) is None
    assert found(chains, default=chain("default")) == "default"
    assert found(chains, destination_port=81) == "any"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.example.com", "exact"),
        ("WWW.example.COM", "exact"),
        ("api.example.com", "label"),
        ("a.b.example.com", "label"),
        ("a.other.com", "top"),
        ("example.org", "none"),
        ("", "none"),
    ],
)
def test_server_names_match_exactly_then_label_by_label(name, expected):
    chains = [
        chain("exact", server_names=("www.example.com",)),
        chain("label", server_names=("*.example.com",)),
        chain("top", server_names=("*.com",)),
        chain("none"),
    ]
    assert found(chains, server_name=name) == expected


def test_the_longest_network_wins():
    chains = [chain("wide", prefix_ranges=net("10.0.0.0/8")), chain("narrow", prefix_ranges=net("10.1.0.0/16")), chain("any")]
    assert found(chains, destination_ip="10.1.2.3") == "narrow"
    assert found(chains, destination_ip="10.2.2.3") == "wide"
    assert found(chains, destination_ip="192.168.0.1") == "any"
    assert found(chains, destination_ip="::1") == "any"


def test_ipv6_networks_take_ipv6_addresses_only():
    chains = [chain("six", prefix_ranges=net("::/0")), chain("four", prefix_ranges=net("0.0.0.0/0"))]
    assert found(chains, destination_ip="fd00::1") == "six"
    assert found(chains, destination_ip="1.2.3.4") == "four"


def test_a_loopback_source_is_local():
    chains = [chain("local", source_type="SAME_IP_OR_LOOPBACK"), chain("external", source_type="EXTERNAL")]
    assert found(chains, source_ip="127.0.0.1") == "local"
    assert found(chains, source_ip="10.0.0.1") == "local"
    assert found(chains, source_ip="10.0.0.2") == "external"


def test_the_first_offered_application_protocol_that_a_chain_names_decides():
    chains = [chain("h1", application_protocols=("http/1.1",)), chain("istio", application_protocols=("istio", "istio-h2"))]
    assert found(chains, application_protocols=("h3", "istio-h2", "http/1.1")) == "istio"
    assert found(chains, application_protocols=("h3",)) is None


def test_two_chains_that_take_the_same_connections_are_refused():
    chains = [chain("a", server_names=("x.com", "y.com")), chain("b", server_names=("y.com", "z.com"))]
    with pytest.raises(Ambiguous) as raised:
        build(chains, None)
    assert raised.value.index == 1


PORTS = st.sampled_from([0, 80, 443])
NETWORKS = st.lists(
    st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1/32", "0.0.0.0/0"]).map(ipaddress.ip_network), max_size=2, unique=True
)
NAMES = st.lists(st.sampled_from(["a.com", "*.a.com", "*.com", "b.a.com"]), max_size=2, unique=True)
PROTOCOLS = ["h2", "http/1.1", "istio"]

MATCHES = st.builds(
    ChainMatch,
    destination_port=PORTS,
    prefix_ranges=NETWORKS.map(tuple),
    server_names=NAMES.map(tuple),
    transport_protocol=st.sampled_from(["", "tls", "raw_buffer"]),
    application_protocols=st.lists(st.sampled_from(PROTOCOLS), max_size=2, unique=True).map(tuple),
    direct_source_prefix_ranges=NETWORKS.map(tuple),
    source_type=st.sampled_from(["ANY", "EXTERNAL", "SAME_IP_OR_LOOPBACK"]),
    source_prefix_ranges=NETWORKS.map(tuple),
    source_ports=st.lists(st.sampled_from([1, 2]), max_size=1).map(tuple),
)
ADDRESSES = st.sampled_from(["10.1.1.1", "10.1.2.3", "10.9.9.9", "192.168.1.1", "127.0.0.1"])
TRAITS = st.builds(
    Traits,
    destination_ip=ADDRESSES,
    destination_port=st.sampled_from([80, 443, 9]),
    source_ip=ADDRESSES,
    source_port=st.sampled_from([1, 2, 3]),
    server_name=st.sampled_from(["", "a.com", "b.a.com", "c.a.com", "d.com", "org"]),
    transport_protocol=st.sampled_from(["tls", "raw_buffer"]),
    application_protocols=st.lists(st.sampled_from([*PROTOCOLS, "x"]), max_size=3, unique=True).map(tuple),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(MATCHES, min_size=1, max_size=6), st.lists(TRAITS, min_size=1, max_size=5))
def test_the_compiled_tree_agrees_with_the_obvious_model(matches, connections):
    chains = [FilterChain(name=str(index), terminal=TCP, match=match) for index, match in enumerate(matches)]
    try:
        matcher = build(chains, None)
    except Ambiguous:
        return
    for traits in connections:
        assert matcher.find(traits) is slow(chains, traits)


def slow(chains, traits):
    """One (chain, key) pair per way in which a chain can be matched at a step; the best key's chains go on."""
    for keys, rank in STEPS:
        ranked = [(rank(key, traits), chain) for chain in chains for key in keys(chain.match)]
        ranked = [(score, chain) for score, chain in ranked if score is not None]
        if not ranked:
            return None
        best = max(score for score, _ in ranked)
        chains = [chain for score, chain in ranked if score == best]
    assert len({id(chain) for chain in chains}) == 1
    return chains[0]


def equal(read):
    """Rank of a plain value: named exactly, or not asked for."""
    return lambda key, traits: 1 if key == read(traits) else (0 if key in ("", 0) else None)


def within(read):
    def rank(key, traits):
        if key == "":
            return -1
        return key.prefixlen if ipaddress.ip_address(read(traits)) in key else None

    return rank


def server_name(key, traits):
    if key == "":
        return 0
    if key.startswith("*."):
        return len(key) if traits.server_name.endswith(key[1:]) and traits.server_name != key[1:] else None
    return 1000 if key == traits.server_name else None


def application_protocol(key, traits):
    if key == "":
        return -100
    return -traits.application_protocols.index(key) if key in traits.application_protocols else None


def source_type(key, traits):
    local = traits.source_ip == traits.destination_ip or ipaddress.ip_address(traits.source_ip).is_loopback
    return {"ANY": 0, ("SAME_IP_OR_LOOPBACK" if local else "EXTERNAL"): 1}.get(key)


STEPS = [
    (lambda match: [match.destination_port], equal(lambda traits: traits.destination_port)),
    (lambda match: match.prefix_ranges or [""], within(lambda traits: traits.destination_ip)),
    (lambda match: match.server_names or [""], server_name),
    (lambda match: [match.transport_protocol], equal(lambda traits: traits.transport_protocol)),
    (lambda match: match.application_protocols or [""], application_protocol),
    (lambda match: match.direct_source_prefix_ranges or [""], within(lambda traits: traits.source_ip)),
    (lambda match: [match.source_type], source_type),
    (lambda match: match.source_prefix_ranges or [""], within(lambda traits: traits.source_ip)),
    (lambda match: match.source_ports or [0], equal(lambda traits: traits.source_port)),
]
