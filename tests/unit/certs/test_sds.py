"""Envoy's secrets over a Unix socket, asked for by a plain gRPC client in both forms of the protocol."""

import asyncio
import socket
import stat
from datetime import timedelta

import grpc.aio
import pytest

from pymesh.xds import proto, types
from pymesh_certs.agent.sds import SdsServer
from pymesh_certs.agent.secrets import DeltaSession, Secrets, SotwSession
from pymesh_certs.errors import AgentError
from pymesh_certs.workload import Bundle

from .conftest import NOW

SERVICE = "/envoy.service.secret.v3.SecretDiscoveryService/"


def bundle(mark):
    return Bundle(
        chain_pem=f"chain {mark}".encode(),
        key_pem=f"key {mark}".encode(),
        roots_pem=b"roots",
        obtained=NOW,
        not_after=NOW + timedelta(days=1),
    )


@pytest.fixture
def secrets():
    secrets = Secrets()
    secrets.put(bundle(1))
    return secrets


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sds" / "socket"


@pytest.fixture
async def server(secrets, path):
    server = SdsServer(secrets, path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def channel(server, path):
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        yield channel


@pytest.fixture
async def sotw(channel):
    return channel.stream_stream(
        SERVICE + "StreamSecrets",
        request_serializer=proto.discovery.DiscoveryRequest.SerializeToString,
        response_deserializer=proto.discovery.DiscoveryResponse.FromString,
    )()


@pytest.fixture
async def delta(channel):
    return channel.stream_stream(
        SERVICE + "DeltaSecrets",
        request_serializer=proto.discovery.DeltaDiscoveryRequest.SerializeToString,
        response_deserializer=proto.discovery.DeltaDiscoveryResponse.FromString,
    )()


def ask(*names, nonce="", error=None):
    request = proto.discovery.DiscoveryRequest(resource_names=names, response_nonce=nonce, type_url=types.SECRET)
    if error:
        request.error_detail.message = error
    return request


def chain_in(response):
    (resource,) = response.resources
    return proto.unpack(getattr(resource, "resource", resource)).tls_certificate.certificate_chain.inline_bytes


async def test_a_stream_gets_the_key_pair_and_the_roots(sotw):
    await sotw.write(ask("default", "ROOTCA"))
    response = await sotw.read()
    certificate, roots = map(proto.unpack, response.resources)
    assert response.type_url == types.SECRET
    assert certificate.tls_certificate.private_key.inline_bytes == b"key 1"
    assert roots.validation_context.trusted_ca.inline_bytes == b"roots"


async def test_a_rotation_is_pushed(sotw, secrets):
    await sotw.write(ask("default"))
    first = await sotw.read()
    await sotw.write(ask("default", nonce=first.nonce))
    secrets.put(bundle(2))
    second = await sotw.read()
    assert chain_in(second) == b"chain 2"
    assert second.nonce != first.nonce
    assert second.version_info != first.version_info


async def test_a_rotation_is_pushed_by_delta(delta, secrets):
    await delta.write(proto.discovery.DeltaDiscoveryRequest(resource_names_subscribe=["default"]))
    assert chain_in(await delta.read()) == b"chain 1"
    secrets.put(bundle(2))
    assert chain_in(await delta.read()) == b"chain 2"


async def test_delta_says_that_a_secret_does_not_exist(delta):
    await delta.write(proto.discovery.DeltaDiscoveryRequest(resource_names_subscribe=["kubernetes://other"]))
    assert list((await delta.read()).removed_resources) == ["kubernetes://other"]


async def test_every_stream_is_pushed_to(channel, sotw, delta, secrets):
    await sotw.write(ask("default"))
    await delta.write(proto.discovery.DeltaDiscoveryRequest(resource_names_subscribe=["default"]))
    await asyncio.gather(sotw.read(), delta.read())
    secrets.put(bundle(2))
    assert [chain_in(response) for response in await asyncio.gather(sotw.read(), delta.read())] == [b"chain 2"] * 2


async def test_a_closed_stream_is_forgotten(sotw, secrets):
    await sotw.write(ask("default"))
    await sotw.read()
    await sotw.done_writing()
    assert await sotw.read() is grpc.aio.EOF
    assert not secrets.watchers


def test_unchanged_roots_are_not_sent_again(secrets):
    sotw, delta = SotwSession(secrets), DeltaSession(secrets)
    sotw.request(ask("ROOTCA"))
    delta.request(proto.discovery.DeltaDiscoveryRequest(resource_names_subscribe=["default", "ROOTCA"]))
    assert len(sotw.answer().resources) == 1
    assert len(delta.answer().resources) == 2
    secrets.put(bundle(2))
    assert sotw.answer() is None
    assert [resource.name for resource in delta.answer().resources] == ["default"]


def test_subscribing_by_delta_again_gets_the_secret_again(secrets):
    session = DeltaSession(secrets)
    request = proto.discovery.DeltaDiscoveryRequest(resource_names_subscribe=["default"])
    session.request(request)
    assert session.answer() is not None
    assert session.answer() is None
    session.request(request)
    assert chain_in(session.answer()) == b"chain 1"
    session.request(proto.discovery.DeltaDiscoveryRequest(resource_names_unsubscribe=["default"]))
    secrets.put(bundle(2))
    assert session.answer() is None


def test_nothing_is_sent_before_there_is_a_certificate():
    secrets = Secrets()
    session = SotwSession(secrets)
    session.request(ask("default"))
    assert session.answer() is None
    secrets.put(bundle(1))
    assert chain_in(session.answer()) == b"chain 1"


def test_an_ack_asks_for_nothing_and_a_new_name_does(secrets):
    session = SotwSession(secrets)
    session.request(ask("default"))
    first = session.answer()
    session.request(ask("default", nonce=first.nonce))
    assert session.answer() is None
    session.request(ask("default", "ROOTCA", nonce=first.nonce))
    assert len(session.answer().resources) == 2


def test_a_refused_secret_is_logged_and_not_sent_again(secrets, caplog):
    session = SotwSession(secrets)
    session.request(ask("default"))
    session.request(ask("default", nonce=session.answer().nonce, error="bad key"))
    assert session.answer() is None
    assert "bad key" in caplog.text


def test_an_answer_to_an_older_message_changes_nothing(secrets):
    session = SotwSession(secrets)
    session.request(ask("default"))
    session.answer()
    session.request(ask("ROOTCA", nonce="77"))
    assert session.answer() is None


async def test_only_this_user_may_open_the_socket(server, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_socket_that_another_serves_is_left_alone(secrets, path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as spire:
        spire.bind(str(path))
        spire.listen()
        with pytest.raises(AgentError, match="another process"):
            await SdsServer(secrets, path).start()
        assert path.is_socket()


async def test_a_socket_left_by_a_dead_process_is_replaced(secrets, path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = SdsServer(secrets, path)
    await server.start()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))  # the dead one refuses
    await server.stop()


async def test_a_file_in_the_way_and_a_path_too_long_are_sentences(secrets, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentError, match="no socket"):
        await SdsServer(secrets, tmp_path / "file").start()
    with pytest.raises(AgentError, match="too long"):
        await SdsServer(secrets, tmp_path / ("x" * 120)).start()
