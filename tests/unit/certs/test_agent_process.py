"""The whole agent as a process: a certificate from a real CA, secrets to whoever is started in Envoy's place."""

import asyncio
import json
import os
import signal
import socket
import stat
import sys

import aiohttp
import pytest

from tests.waiting import eventually

from .served import Ca

ENVOY = """
import json, sys
import grpc
from pymesh.xds import proto

with open(sys.argv[sys.argv.index("-c") + 1]) as file:
    bootstrap = json.load(file)
(sds,) = [cluster for cluster in bootstrap["static_resources"]["clusters"] if cluster["name"] == "sds-grpc"]
address = sds["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["pipe"]["path"]
with grpc.insecure_channel("unix:" + address) as channel:
    call = channel.stream_stream(
        "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
        request_serializer=proto.discovery.DiscoveryRequest.SerializeToString,
        response_deserializer=proto.discovery.DiscoveryResponse.FromString,
    )
    answer = next(call(iter([proto.discovery.DiscoveryRequest(resource_names=["default"])])))
secret = proto.unpack(answer.resources[0])
print(json.dumps({"node": bootstrap["node"]["id"], "chain": secret.tls_certificate.certificate_chain.inline_bytes.decode()}))
sys.exit(7)
"""


@pytest.fixture
async def ca(ca_dir):
    ca = Ca(ca_dir)
    await ca.start()
    yield ca
    await ca.server.stop(None)


@pytest.fixture
def status_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def environment(ca, tmp_path, status_port):
    root, token = tmp_path / "root.pem", tmp_path / "token"
    root.write_bytes(ca.authority.root_pem)
    token.write_text(ca.token())
    config = {"discoveryAddress": f"127.0.0.1:{ca.port}", "configPath": str(tmp_path / "etc"), "statusPort": status_port}
    return {
        **os.environ,
        "POD_NAME": "model-0",
        "POD_NAMESPACE": "ml",
        "SERVICE_ACCOUNT": "model",
        "INSTANCE_IP": "127.0.0.1",
        "CA_ROOT_CA": str(root),
        "PYMESH_TOKEN_FILE": str(token),
        "PROXY_CONFIG": json.dumps(config),
    }


async def start(environment, sds_path, *envoy):
    program = "import sys; from pymesh_certs.agent.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", program, "--sds-path", str(sds_path), "--", *envoy]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*argv, env=environment, stdout=pipe, stderr=pipe)


async def test_what_runs_as_envoy_gets_bootstrap_and_certificate(ca, environment, tmp_path):
    script = tmp_path / "envoy"
    script.write_text(f"#!{sys.executable}\n{ENVOY}")
    script.chmod(0o700)
    agent = await start(environment, tmp_path / "sds", str(script))
    output, errors = await agent.communicate()
    assert agent.returncode == 7, errors.decode()
    told = json.loads(output)
    assert told["node"] == "sidecar~127.0.0.1~model-0.ml~ml.svc.cluster.local"
    assert told["chain"].startswith("-----BEGIN CERTIFICATE-----")
    assert stat.S_IMODE((tmp_path / "etc" / "envoy-rev.json").stat().st_mode) == 0o600


async def test_no_key_is_written_and_none_is_logged(ca, environment, tmp_path):
    agent = await start(environment, tmp_path / "sds", "/bin/sh", "-c", "exit 0")
    await agent.communicate()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and ca.directory not in path.parents]
    assert written, "the bootstrap at least"
    assert all(b"PRIVATE KEY" not in path.read_bytes() for path in written)


async def test_what_runs_as_envoy_does_not_outlive_an_agent_that_is_killed(ca, environment, tmp_path):
    script = tmp_path / "envoy"
    script.write_text("#!/bin/sh\necho running\nexec sleep 600\n")
    script.chmod(0o700)
    agent = await start(environment, tmp_path / "sds", str(script))
    assert await agent.stdout.readline() == b"running\n"
    agent.kill()
    async with asyncio.timeout(30):
        await agent.communicate()  # until nobody holds the pipes any more


async def waiting_for_its_ca(ca, environment, tmp_path):
    await ca.server.stop(None)
    agent = await start(environment, tmp_path / "sds", "/bin/false")
    async for line in agent.stderr:
        if b"next attempt" in line:
            break
    return agent


async def test_a_stop_while_the_ca_is_away_is_an_orderly_end(ca, environment, tmp_path):
    agent = await waiting_for_its_ca(ca, environment, tmp_path)
    agent.send_signal(signal.SIGTERM)
    await agent.communicate()
    assert agent.returncode == 0
    assert not (tmp_path / "sds").exists()


async def test_the_status_port_says_not_ready_before_envoy_runs_and_ends_the_agent_when_asked(ca, environment, tmp_path, status_port):
    agent = await waiting_for_its_ca(ca, environment, tmp_path)
    at = f"http://127.0.0.1:{status_port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{at}/healthz/ready") as answer:
            assert answer.status == 503
        async with session.post(f"{at}/quitquitquit") as answer:
            assert answer.status == 200
    await agent.communicate()
    assert agent.returncode == 0


async def test_a_taken_status_port_is_a_sentence(ca, environment, tmp_path, status_port):
    with socket.create_server(("127.0.0.1", status_port)):
        agent = await start(environment, tmp_path / "sds", "/bin/false")
        _, errors = await agent.communicate()
    assert agent.returncode == 64
    assert b"pymesh-agent: error: PROXY_CONFIG.statusPort: " in errors


async def without_envoy(environment, certs, bootstrap):
    program = "import sys; from pymesh_certs.agent.main import main; sys.exit(main())"
    asked = {"DISABLE_ENVOY": "true", "OUTPUT_CERTS": str(certs), "GRPC_XDS_BOOTSTRAP": str(bootstrap)}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={**environment, **asked}, stdout=pipe, stderr=pipe
    )  # fmt: skip


async def test_without_envoy_it_keeps_files_and_says_when_they_are_there(environment, tmp_path, status_port):
    certs, bootstrap = tmp_path / "certs", tmp_path / "new" / "bootstrap.json"
    agent = await without_envoy({**environment, "SECRET_TTL": "3s"}, certs, bootstrap)
    url = f"http://127.0.0.1:{status_port}/healthz/ready"

    async def ready():
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(url) as answer:
                    return answer.status
            except OSError:
                return 0

    await eventually(ready, lambda status: status == 200)
    (provider,) = json.loads(bootstrap.read_text())["certificate_providers"].values()
    assert provider["config"]["certificate_file"] == str(certs / "cert-chain.pem")
    first = (certs / "cert-chain.pem").read_bytes()

    async def held():
        return (certs / "cert-chain.pem").read_bytes()

    await eventually(held, lambda chain: chain != first)
    agent.send_signal(signal.SIGTERM)
    await agent.communicate()
    assert agent.returncode == 0
