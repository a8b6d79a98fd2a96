"""However a client came to where it is, it holds what a new client would be given, and both forms of the protocol agree.

Clients subscribe by name, by `*` and by the older wildcard without any name; they drop names, refuse content that is called
`bad`, answer late and reconnect. The model is a fresh client of the same wishes.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pymesh.xds import types
from pymesh_control.ads.subscription import Status

from .client import ask, ask_delta, delta, sotw, versions_in, world

BAD = "bad"
ENOUGH = 200
STAR = "*"
TYPES = (types.CLUSTER, types.ENDPOINT, types.LISTENER, types.ROUTE)
ANY = st.sampled_from(TYPES)
WILD = st.sampled_from(sorted(types.WILDCARD.intersection(TYPES)))
NAMES = st.sampled_from(["a", "b", "c"])
CONTENT = st.dictionaries(NAMES, st.sampled_from(["1", "2", BAD]))
NOTHING = {types.SHORT[type_url]: {} for type_url in TYPES}


@dataclass
class Wish:
    """What a client wants of one type. `legacy`: the wildcard that is asked for by naming nothing at all."""

    star: bool = False
    legacy: bool = False
    names: set[str] = field(default_factory=set)

    def covers(self, name):
        return self.star or name in self.names

    @property
    def listed(self):
        return sorted(self.names) + ([STAR] if self.star and not self.legacy else [])

    @property
    def empty(self):
        return not self.star and not self.names

    def copy(self):
        return Wish(self.star, self.legacy, set(self.names))


class Client:
    """What both forms share: wishes, what is held, and responses that are on their way."""

    open = None
    all_or_nothing = False
    """Whether of a response with anything refused in it nothing is taken."""

    def __init__(self, content, wishes):
        self.wishes = {type_url: wish.copy() for type_url, wish in wishes.items()}
        self.held = {type_url: {} for type_url in TYPES}
        self.connect(content)

    def connect(self, content):
        self.content = content
        self.session = type(self).open(world(**content))
        self.nonces = dict.fromkeys(TYPES, "")
        self.refused = {type_url: {} for type_url in TYPES}
        self.opened = set()
        self.wire = []
        for type_url, wish in self.wishes.items():
            wish.legacy = wish.star and not wish.names
            if not wish.empty:
                self.introduce(type_url)

    def send(self, request):
        self.opened.add(request.type_url)
        self.wire += self.session.request(request)

    def push(self, content):
        before, self.content = self.content, content
        responses = self.session.push(world(**content))
        self.nothing_refused_comes_again(before, responses)
        for type_url in TYPES:
            now = content[types.SHORT[type_url]]
            self.refused[type_url] = {n: v for n, v in self.refused[type_url].items() if now.get(n) == v}
        self.wire += responses

    def nothing_refused_comes_again(self, before, responses):
        warming = {n for n, v in self.content["cds"].items() if before["cds"].get(n) != v}
        for response in responses:
            if response.type_url in self.full_state:
                continue
            again = {n for n, v in versions_in(response).items() if self.refused[response.type_url].get(n) == v}
            if response.type_url == types.ENDPOINT:
                again -= warming  # a changed cluster takes its endpoints along, refused or not
            assert not again

    def receive(self):
        response = self.wire.pop(0)
        carried = versions_in(response)
        bad = {name: version for name, version in carried.items() if version == BAD}
        if not bad or not self.all_or_nothing:
            self.keep(response, {name: version for name, version in carried.items() if name not in bad})
        self.nonces[response.type_url] = response.nonce
        now = self.content[types.SHORT[response.type_url]]  # what changed since then may come again
        self.refused[response.type_url].update({name: version for name, version in bad.items() if now.get(name) == version})
        self.answer(response, f"{sorted(bad)} refused" if bad else None)

    def drain(self):
        """Answer until nothing is on its way; talk that does not end within many answers never does."""
        for _ in range(ENOUGH):
            if not self.wire:
                return
            self.receive()
        raise AssertionError("client and server answer each other without end")

    def drop(self, type_url):
        """Forget what is not wanted any more."""
        wish = self.wishes[type_url]
        self.held[type_url] = {n: v for n, v in self.held[type_url].items() if wish.covers(n)}

    def present(self):
        """What it holds of what exists and is acceptable, by type."""
        return {
            type_url: {n: v for n, v in held.items() if self.content[types.SHORT[type_url]].get(n, BAD) != BAD}
            for type_url, held in self.held.items()
        }


class Delta(Client):
    open = staticmethod(delta)
    full_state = frozenset()

    def introduce(self, type_url):
        self.send(ask_delta(type_url, *self.wishes[type_url].listed, held=self.held[type_url]))

    def add(self, type_url, name):
        self.send(ask_delta(type_url, name))

    def remove(self, type_url, name):
        if type_url in self.opened:
            if self.wishes[type_url].star:
                self.held[type_url].pop(name, None)
            self.send(ask_delta(type_url, drop=[name]))

    def keep(self, response, good):
        held, wish = self.held[response.type_url], self.wishes[response.type_url]
        held.update({name: version for name, version in good.items() if wish.covers(name)})
        for name in response.removed_resources:
            held.pop(name, None)

    def answer(self, response, error):
        self.send(ask_delta(response.type_url, nonce=response.nonce, error=error))


class AllOrNothing(Delta):
    """Our own proxy."""

    all_or_nothing = True


class Sotw(Client):
    open = staticmethod(sotw)
    full_state = types.WILDCARD

    def introduce(self, type_url):
        self.send(ask(type_url, *self.wishes[type_url].listed))

    def add(self, type_url, _name):
        self.repeat(type_url)

    def remove(self, type_url, _name):
        if type_url in self.opened:
            self.repeat(type_url)

    def repeat(self, type_url, error=None):
        self.send(ask(type_url, *self.wishes[type_url].listed, nonce=self.nonces[type_url], error=error))

    def keep(self, response, good):
        held, wish = self.held[response.type_url], self.wishes[response.type_url]
        if response.type_url in types.WILDCARD:
            for name in held.keys() - versions_in(response).keys():
                del held[name]
        held.update({name: version for name, version in good.items() if wish.covers(name)})

    def answer(self, response, error):
        self.repeat(response.type_url, error)


class SameState(RuleBasedStateMachine):
    """A client of each form with the same wishes, in the same world."""

    def __init__(self):
        super().__init__()
        self.content = NOTHING
        wishes = {type_url: Wish(star=type_url in types.WILDCARD) for type_url in TYPES}
        self.clients = [Delta(self.content, wishes), Sotw(self.content, wishes), AllOrNothing(self.content, wishes)]

    @property
    def wishes(self):
        return self.clients[0].wishes

    @rule(type_url=ANY, content=CONTENT)
    def change_one_type(self, type_url, content):
        self.content = {**self.content, types.SHORT[type_url]: content}
        for client in self.clients:
            client.push(self.content)

    @rule()
    def push_without_a_change(self):
        for client in self.clients:
            waiting = len(client.wire)
            client.push(self.content)
            assert len(client.wire) == waiting

    @rule(type_url=ANY, name=NAMES)
    def subscribe(self, type_url, name):
        for client in self.clients:
            self._leave_legacy(client, type_url)
            client.wishes[type_url].names.add(name)
            client.add(type_url, name)

    @rule(type_url=ANY, name=NAMES)
    def unsubscribe(self, type_url, name):
        for client in self.clients:
            self._leave_legacy(client, type_url)
            client.wishes[type_url].names.discard(name)
            client.drop(type_url)
            client.remove(type_url, name)

    @rule(type_url=WILD)
    def subscribe_to_everything(self, type_url):
        for client in self.clients:
            self._leave_legacy(client, type_url)
            client.wishes[type_url].star = True
            client.add(type_url, STAR)

    @rule(type_url=WILD)
    def unsubscribe_from_everything_but_names(self, type_url):
        for client in self.clients:
            self._leave_legacy(client, type_url)
            client.wishes[type_url].star = False
            client.drop(type_url)
            client.remove(type_url, STAR)

    def _leave_legacy(self, client, type_url):
        """An empty state-of-the-world list means all until names were given, so `*` must be heard before it can be dropped."""
        if client.wishes[type_url].legacy:
            client.drain()
            client.wishes[type_url].legacy = False
            client.add(type_url, STAR)
            client.drain()

    @rule(which=st.integers(0, 2))
    def receive_one(self, which):
        if self.clients[which].wire:
            self.clients[which].receive()

    @rule(which=st.integers(0, 2))
    def cut_the_stream(self, which):
        self.clients[which].connect(self.content)

    @rule()
    def come_to_rest(self):
        self.teardown()

    def teardown(self):
        for client in self.clients:
            client.drain()
            fresh = type(client)(self.content, client.wishes)
            fresh.drain()
            assert client.present() == fresh.present() == self._expected()
            self._nothing_bad(client)
            self._nothing_gone(client)

    def _expected(self):
        return {
            type_url: {n: v for n, v in self.content[types.SHORT[type_url]].items() if v != BAD and wish.covers(n)}
            for type_url, wish in self.wishes.items()
        }

    def _nothing_bad(self, client):
        """Refused content is held by nobody, and the server knows who refuses it."""
        for type_url, wish in client.wishes.items():
            assert BAD not in client.held[type_url].values()
            for name, version in self.content[types.SHORT[type_url]].items():
                if version == BAD and wish.covers(name):
                    assert client.session.subscriptions[type_url].standing(name) is Status.NACKED

    def _nothing_gone(self, client):
        """What was removed is gone, but for the names that a state-of-the-world response cannot speak of."""
        for type_url, held in client.held.items():
            if isinstance(client, Delta) or type_url in types.WILDCARD:
                assert held.keys() <= self.content[types.SHORT[type_url]].keys()


TestSameState = SameState.TestCase
TestSameState.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
