"""Whatever clients ask and however configuration changes: once everything is answered, client and server hold the same."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pymesh.xds import types

from .client import DeltaClient, ask, ask_delta, delta, sotw, versions_in, world

NAMES = st.sampled_from(["a", "b", "c"])
CONTENT = st.dictionaries(NAMES, st.sampled_from(["1", "2", "3"]))
WORLDS = st.fixed_dictionaries({"cds": CONTENT, "eds": CONTENT, "lds": CONTENT, "rds": CONTENT})
NAMED = st.sampled_from([types.ENDPOINT, types.ROUTE])


class DeltaConvergence(RuleBasedStateMachine):
    """A client that subscribes, reconnects and answers late, against the obvious model: the dictionary it should hold."""

    def __init__(self):
        super().__init__()
        self.content = {"cds": {}, "eds": {}, "lds": {}, "rds": {}}
        self.client = DeltaClient()
        self.wanted = {types.ENDPOINT: set(), types.ROUTE: set()}
        self.wire = []
        self.connect()

    def connect(self):
        self.session = delta(world(**self.content))
        self.wire = []
        for type_url in (types.CLUSTER, types.LISTENER):
            self.send(ask_delta(type_url, held=self.client.held.get(type_url)))
        for type_url, names in self.wanted.items():
            held = {name: version for name, version in self.client.held.get(type_url, {}).items() if name in names}
            self.send(ask_delta(type_url, *names, held=held))

    def send(self, request):
        self.wire += self.session.request(request)

    @rule(content=WORLDS)
    def push(self, content):
        self.content = content
        self.wire += self.session.push(world(**content))

    @rule(type_url=NAMED, name=NAMES)
    def subscribe(self, type_url, name):
        self.wanted[type_url].add(name)
        self.send(ask_delta(type_url, name))

    @rule(type_url=NAMED, name=NAMES)
    def unsubscribe(self, type_url, name):
        self.wanted[type_url].discard(name)
        self.send(ask_delta(type_url, drop=[name]))

    @rule()
    def receive_one(self):
        if self.wire:
            self.send(self.client.take(self.wire.pop(0)))

    @rule()
    def cut_the_stream(self):
        self.connect()

    @rule()
    def come_to_rest(self):
        while self.wire:
            self.receive_one()
        for type_url, short in types.SHORT.items():
            held = self.client.held.get(type_url, {})
            content = self.content.get(short, {})
            if type_url in types.WILDCARD:
                assert held == content
            elif type_url in self.wanted:
                wanted = self.wanted[type_url]
                assert {n: v for n, v in held.items() if n in wanted} == {n: v for n, v in content.items() if n in wanted}


class SotwConvergence(RuleBasedStateMachine):
    """The same for a state-of-the-world client, whose every request carries the last nonce it saw."""

    def __init__(self):
        super().__init__()
        self.content = {"cds": {}, "eds": {}, "lds": {}, "rds": {}}
        self.wanted = {types.ENDPOINT: set(), types.ROUTE: set()}
        self.held = {type_url: {} for type_url in types.PUSH_ORDER}
        self.connect()

    def connect(self):
        self.session = sotw(world(**self.content))
        self.nonces = dict.fromkeys(types.PUSH_ORDER, "")
        self.wire = []
        for type_url in (types.CLUSTER, types.LISTENER):
            self.send(type_url)
        for type_url, names in self.wanted.items():
            if names:
                self.send(type_url)

    def send(self, type_url):
        self.wire += self.session.request(ask(type_url, *self.wanted.get(type_url, ()), nonce=self.nonces[type_url]))

    @rule(content=WORLDS)
    def push(self, content):
        self.content = content
        self.wire += self.session.push(world(**content))

    @rule(type_url=NAMED, name=NAMES)
    def subscribe(self, type_url, name):
        self.wanted[type_url].add(name)
        self.send(type_url)

    @rule(type_url=NAMED, name=NAMES)
    def unsubscribe(self, type_url, name):
        self.wanted[type_url].discard(name)
        self.send(type_url)

    @rule()
    def receive_one(self):
        if not self.wire:
            return
        response = self.wire.pop(0)
        held = self.held[response.type_url]
        if response.type_url in types.WILDCARD:
            held.clear()
        held.update(versions_in(response))
        self.nonces[response.type_url] = response.nonce
        self.send(response.type_url)

    @rule()
    def cut_the_stream(self):
        self.connect()

    @rule()
    def come_to_rest(self):
        while self.wire:
            self.receive_one()
        for type_url in (types.CLUSTER, types.LISTENER):
            assert self.held[type_url] == self.content[types.SHORT[type_url]]
        for type_url, wanted in self.wanted.items():
            exists = {name: version for name, version in self.content[types.SHORT[type_url]].items() if name in wanted}
            assert exists.items() <= self.held[type_url].items()


TestDeltaConvergence = DeltaConvergence.TestCase
TestSotwConvergence = SotwConvergence.TestCase
TestDeltaConvergence.settings = TestSotwConvergence.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
