"""Two transports joined."""

from pymesh_proxy.tcp.relay import Relay
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer


class Uncounted:
    def on_relayed(self, *, received=0, sent=0):
        pass


async def test_a_slow_reader_of_what_came_early_stops_the_other_side_too():
    async with Mesh() as mesh:
        (clients, ours), (theirs, upstream) = MemoryTransport.pair(), MemoryTransport.pair()
        client, server = Peer(clients), Peer(upstream)
        theirs.set_write_buffer_limits(1000)
        server.stop_reading()
        relay = Relay(mesh.runtime, idle_timeout=0, count=Uncounted(), on_end=lambda flags: None)
        relay.join(ours, theirs, to_upstream=b"x" * 5000)
        assert client.paused
        server.start_reading()
        await mesh.settle()
        assert not client.paused
        assert len(server.received) == 5000
