"""Headers edited by a filter of their own; what of it is Envoy's is compared in interop."""

import pytest

from pymesh_proxy.errors import ConfigError

from .conftest import typed

KIND, PER_ROUTE = "header_mutation.v3.HeaderMutation", "header_mutation.v3.HeaderMutationPerRoute"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nX-Old: 1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Secret: 1\r\n\r\n"


def add(name, value, action="APPEND_IF_EXISTS_OR_ADD"):
    return {"append": {"header": {"key": name, "value": value}, "append_action": action}}


def mutations(request=(), response=()):
    return {"request_mutations": list(request), "response_mutations": list(response)}


async def exchanged(proxy):
    """The heads that the upstream and the client get."""
    client = proxy.connect()
    client.send(GET)
    upstream = await proxy.accepted()
    await proxy.settle()
    upstream.send(OK)
    await proxy.settle()
    return upstream.received.lower(), client.received.lower()


async def test_each_mutation_sees_what_the_one_before_it_has_left(mesh):
    request = [{"remove": "X-Old"}, add("x-old", "2", "ADD_IF_ABSENT"), add("x-copy", "%REQ(x-old)%")]
    async with mesh(edit=typed(KIND, mutations=mutations(request, [{"remove": "x-secret"}, add("x-added", "yes")]))) as proxy:
        up, down = await exchanged(proxy)
    assert b"x-old: 2\r\n" in up
    assert b"x-copy: 2\r\n" in up
    assert b"x-added: yes\r\n" in down
    assert b"x-secret" not in down


@pytest.mark.parametrize(("most_specific", "last"), [(False, b"host"), (True, b"route")])
async def test_the_levels_of_a_route_come_behind_the_filters_own(mesh, most_specific, last):
    def said(word):
        return {"edit": typed(PER_ROUTE, mutations=mutations([add("x-who", word, "OVERWRITE_IF_EXISTS_OR_ADD")]))}

    own = typed(KIND, mutations=mutations([add("x-who", "filter")]), most_specific_header_mutations_wins=most_specific)
    route = {"route": {"cluster": "up"}, "typed_per_filter_config": said("route")}
    async with mesh(route, host={"typed_per_filter_config": said("host")}, edit=own) as proxy:
        up, _ = await exchanged(proxy)
    assert up.count(b"x-who") == 1
    assert b"x-who: " + last in up


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (mutations([{"remove": ":path"}]), "may not be removed"),
        (mutations([add("host", "b")]), "may not be modified"),
        (mutations([{"remove_on_match": {"key_matcher": {"prefix": "x-"}}}]), "remove_on_match"),
        ({"response_trailers_mutations": [{"remove": "x"}]}, "response_trailers_mutations"),
    ],
)
def test_what_cannot_be_honoured_is_refused(mesh, said, sentence):
    with pytest.raises(ConfigError, match=sentence):
        mesh(edit=typed(KIND, mutations=said))
