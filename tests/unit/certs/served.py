"""A certificate service that tests can talk to over real TLS."""

from datetime import timedelta

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry

from pymesh_certs import authenticate, service, token
from pymesh_certs.authority import Authority
from pymesh_certs.client import CaClient
from pymesh_certs.metrics import CaMetrics

DAY = timedelta(days=1)


class Ca:
    """A certificate service on a free port, TLS terminated by gRPC."""

    def __init__(self, directory, rate=None):
        self.directory = directory
        self.authority = Authority.load_or_create(directory, "cluster.local")
        self.registry = CollectorRegistry()
        self.server = grpc.aio.server()
        authenticators = [authenticate.ClientCertificate("cluster.local"), authenticate.JoinTokens.of(directory, "cluster.local")]
        service.add_to_server(self.server, self.authority, authenticators, metrics=CaMetrics(self.registry), rate=rate)

    async def start(self, *, client_certificates=False):
        chain, key = self.authority.issue_server(["localhost"], ["127.0.0.1"])
        roots = self.authority.root_pem if client_certificates else None
        credentials = grpc.ssl_server_credentials([(key, chain)], roots, client_certificates)
        self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.plaintext_port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()

    def token(self, ttl=DAY, **clock):
        return token.mint(self.directory, "ml", "model", ttl, **clock)

    def client(self, bearer=None, port=None):
        return CaClient(f"127.0.0.1:{port or self.port}", lambda: self.authority.root_pem, bearer or self.token)

    def count(self, name):
        return self.registry.get_sample_value(f"citadel_server_{name}")
