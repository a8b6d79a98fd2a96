"""Random conversations with an independent implementation: both ends agree on what was said, and nobody waits for ever."""

import asyncio
from dataclasses import dataclass, field

import h2.events
import h2.exceptions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .ends import OK, POST, pair, settle, with_library

TRAILERS = [(b"grpc-status", b"0")]


class OurEnd:
    """Our connection, spoken to by stream id."""

    def __init__(self, connection):
        self.connection = connection
        self.full = set()

    def open(self, end):
        return self.connection.ask(POST, end).id

    def head(self, stream_id):
        if stream := self.connection.opened.get(stream_id):
            stream.send_headers(OK, False)

    def send(self, stream_id, data, end):
        if stream := self.connection.opened.get(stream_id):
            stream.send_data(data, end)

    def trailers(self, stream_id):
        if stream := self.connection.opened.get(stream_id):
            stream.send_headers(TRAILERS, True)

    def reset(self, stream_id):
        if stream := self.connection.opened.get(stream_id):
            stream.reset(8)

    def hold(self, held):
        self.connection.consuming = not held
        if not held:
            for stream in self.connection.opened.values():
                stream.consumed(10**9)

    def heard(self, stream_id):
        stream = self.connection.opened.get(stream_id)
        return (stream.body, stream.ended, TRAILERS in stream.sections) if stream else (b"", False, False)

    @property
    def broken(self):
        return [event for event in self.connection.events if event[0] == "failed"]


class TheirEnd:
    """The library, with a queue in front of each stream, since it refuses what does not fit a window."""

    def __init__(self, library):
        self.library = library
        self.queues = {}
        self.held = {}
        self.holding = False
        library.consuming = False
        library.heard = self.on_event

    def open(self, end):
        stream_id = self.library.h2.get_next_available_stream_id()
        self.library.h2.send_headers(stream_id, POST, end_stream=end)
        self.queues[stream_id] = []
        self.pump()
        return stream_id

    def head(self, stream_id):
        self.say(stream_id, "head")

    def send(self, stream_id, data, end):
        for start in range(0, len(data), 5000):
            self.say(stream_id, data[start : start + 5000])
        if end:
            self.say(stream_id, "end")

    def trailers(self, stream_id):
        self.say(stream_id, "trailers")

    def say(self, stream_id, what):
        self.queues.setdefault(stream_id, []).append(what)
        self.pump()

    def reset(self, stream_id):
        self.queues[stream_id] = []
        try:
            self.library.h2.reset_stream(stream_id, 8)
        except h2.exceptions.ProtocolError:
            return  # it has ended in the meantime
        self.library.flush()

    def hold(self, held):
        self.holding = held
        if not held:
            for stream_id, size in self.held.items():
                self.acknowledge(stream_id, size)
            self.held.clear()
            self.library.flush()

    def acknowledge(self, stream_id, size):
        self.library.h2.acknowledge_received_data(size, stream_id)

    def on_event(self, event):
        if isinstance(event, h2.events.DataReceived):
            if self.holding:
                self.held[event.stream_id] = self.held.get(event.stream_id, 0) + event.flow_controlled_length
            else:
                self.acknowledge(event.stream_id, event.flow_controlled_length)
        self.pump()

    def pump(self):
        for stream_id, queue in self.queues.items():
            try:
                while queue and self.fits(stream_id, queue[0]):
                    self.utter(stream_id, queue.pop(0))
            except h2.exceptions.ProtocolError:
                queue.clear()  # the stream has been reset
        self.library.flush()

    def fits(self, stream_id, what):
        return isinstance(what, str) or len(what) <= self.library.h2.local_flow_control_window(stream_id)

    def utter(self, stream_id, what):
        if what == "head":
            self.library.h2.send_headers(stream_id, OK)
        elif what == "trailers":
            self.library.h2.send_headers(stream_id, TRAILERS, end_stream=True)
        elif what == "end":
            self.library.h2.end_stream(stream_id)
        else:
            self.library.h2.send_data(stream_id, what, pad_length=len(what) % 7 or None)

    def heard(self, stream_id):
        library = self.library
        return library.bodies.get(stream_id, b""), stream_id in library.ended, stream_id in library.trailers

    @property
    def broken(self):
        return [event for event in self.library.events if isinstance(event, h2.events.ConnectionTerminated)]


@dataclass
class Talk:
    """What one side of a stream has said."""

    body: bytes = b""
    begun: bool = True
    ended: bool = False
    trailers: bool = False


@dataclass
class Stream:
    id: int
    asking: Talk = field(default_factory=Talk)
    answering: Talk = field(default_factory=lambda: Talk(begun=False))
    reset: bool = False


class Conversation:
    """Plays a script between a client and a server, keeping what each has said."""

    def __init__(self, client, server):
        self.client = client
        self.server = server
        self.streams = []

    async def play(self, script):
        for number, (step, which, size) in enumerate(script):
            if step == "open":
                self.streams.append(Stream(self.client.open(size == 0)))
                self.streams[-1].asking.ended = size == 0
            elif step == "settle":
                await settle(size % 7)
            elif step.startswith("hold"):
                (self.client if step == "hold answers" else self.server).hold(size % 2 == 0)
            elif self.streams:
                self.step(step, self.streams[which % len(self.streams)], bytes((number % 256,)) * size)
        await self.finish()

    def step(self, step, stream, data):
        if step == "ask":
            self.say(self.client, stream, stream.asking, data, end=len(data) % 3 == 0)
        elif step == "answer":
            self.say(self.server, stream, stream.answering, data, end=len(data) % 3 == 0)
        elif step == "client resets":
            self.client.reset(stream.id)
            stream.reset = True
        elif step == "server resets" and self.known(stream):
            stream.reset = True
            self.server.reset(stream.id)

    def say(self, end_of_it, stream, talk, data, *, end):
        if talk.ended or stream.reset or (talk is stream.answering and not self.known(stream)):
            return
        if not talk.begun:
            talk.begun = True
            end_of_it.head(stream.id)
        if data or end:
            talk.body += data
            talk.ended = end
            if end and len(data) % 2:
                talk.trailers = True
                if data:
                    end_of_it.send(stream.id, data, False)
                end_of_it.trailers(stream.id)
            else:
                end_of_it.send(stream.id, data, end)

    def known(self, stream):
        """Whether the server has heard of the stream."""
        if isinstance(self.server, OurEnd):
            return stream.id in self.server.connection.opened
        return stream.id in self.server.library.heads

    async def finish(self):
        self.client.hold(False)
        self.server.hold(False)
        await settle()
        for stream in self.streams:
            self.say(self.client, stream, stream.asking, b"", end=True)
            self.say(self.server, stream, stream.answering, b"", end=True)
        for _ in range(200):
            await settle()
            if all(self.done(stream) for stream in self.streams if not stream.reset):
                break

    def done(self, stream):
        return self.server.heard(stream.id)[1] and self.client.heard(stream.id)[1]

    def check(self):
        assert not self.client.broken
        assert not self.server.broken
        for stream in self.streams:
            for talk, (body, ended, trailers) in (
                (stream.asking, self.server.heard(stream.id)),
                (stream.answering, self.client.heard(stream.id)),
            ):
                if stream.reset:
                    assert talk.body.startswith(body)
                else:
                    assert (len(body), ended, trailers) == (len(talk.body), True, talk.trailers)
                    assert body == talk.body


STEPS = st.tuples(
    st.sampled_from(
        ["open", "open", "ask", "ask", "ask", "answer", "answer", "answer", "settle", "settle"]
        + ["client resets", "server resets", "hold answers", "hold requests"]
    ),
    st.integers(0, 9),
    st.one_of(st.integers(0, 9), st.sampled_from([100, 1000, 16383, 16384, 16385, 40_000, 70_001])),
)
SCRIPTS = st.lists(STEPS, min_size=10, max_size=60).map(lambda steps: [("open", 0, 1), *steps])
WINDOWS = st.sampled_from([1000, 20_000, 65_535, 200_000])
# A body of 5000 in one piece has to fit the library's smallest window, so it sends smaller pieces where ours is smaller.
LIMITS = st.fixed_dictionaries(
    {
        "initial_stream_window_size": st.sampled_from([10_000, 65_535, 200_000]),
        "initial_connection_window_size": st.sampled_from([65_535, 100_000]),
        "buffer_limit": st.sampled_from([1_000, 50_000]),
    }
)


@pytest.mark.parametrize("client", [False, True], ids=["our server", "our client"])
@settings(max_examples=60, deadline=None)
@given(SCRIPTS, WINDOWS, LIMITS)
def test_both_ends_agree_on_what_was_said(client, script, window, limits):
    async def talk():
        ours, library = with_library(client=client, theirs={"INITIAL_WINDOW_SIZE": window}, **limits)
        await settle()
        ends = OurEnd(ours), TheirEnd(library)
        conversation = Conversation(*(ends if client else reversed(ends)))
        await conversation.play(script)
        conversation.check()
        assert ours.streams.keys() <= {stream.id for stream in conversation.streams if stream.reset}
        assert ours.held == 0

    asyncio.run(talk())


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, LIMITS, LIMITS)
def test_our_client_and_our_server_agree_on_what_was_said(script, server_limits, client_limits):
    async def talk():
        mine, yours = pair(server_limits, client_limits)
        await settle()
        conversation = Conversation(OurEnd(mine), OurEnd(yours))
        await conversation.play(script)
        conversation.check()
        assert (mine.held, yours.held) == (0, 0)
        assert mine.streams.keys() <= {stream.id for stream in conversation.streams if stream.reset}

    asyncio.run(talk())
