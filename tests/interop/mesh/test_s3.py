"""An object store outside the mesh: boto3 speaks plain HTTP to its sidecar, which begins TLS to moto's S3 and lets nothing else out.

The sidecar is our proxy, and a real Envoy with the same configuration.
"""

import asyncio
import functools
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError

from pymesh.local.environment import Proxy, place_instances
from pymesh.local.meshfile import Workload
from pymesh.local.ports import HOST
from pymesh.local.process import Command
from pymesh_certs.authority import Authority
from tests.waiting import eventually

from .stage import ENVOY, NAMESPACE, OURS, Stage, resource, staged

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORE, IMPOSTOR, UNDECLARED = "s3.amazonaws.com", "impostor.store.test", "elsewhere.test"
MEBIBYTE = 1 << 20  # bytes; of an upload in parts each but the last has at least 5 of them


@dataclass(frozen=True)
class Application:
    """An application with boto3 beside a sidecar."""

    sidecar: Proxy

    async def call(self, host: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """An operation of S3 towards a host, as a plain HTTP request through the sidecar; raises ClientError when it is refused."""
        client = await asyncio.to_thread(self._client, host)
        return await asyncio.to_thread(functools.partial(getattr(client, operation), **arguments))

    async def status(self, host: str) -> int:
        """The status that listing the buckets of a host is answered with."""
        try:
            answer = await self.call(host, "list_buckets")
        except ClientError as error:
            answer = error.response
        return int(answer["ResponseMetadata"]["HTTPStatusCode"])

    def _client(self, host: str) -> Any:
        config = Config(
            proxies={"http": f"http://{HOST}:{self.sidecar.http_proxy}"}, s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30,
        )  # fmt: skip
        return boto3.client(
            "s3", endpoint_url=f"http://{host}", config=config, region_name="us-east-1",
            aws_access_key_id="application", aws_secret_access_key="of no account",
        )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A control plane that knows the store and the impostor, which is the same server under a name that its certificate does not bear."""
    folder = tmp_path_factory.mktemp("s3")
    async with staged(folder) as stage:
        port = stage.ports.take()
        stage.configure("store.yaml", REGISTRY_ONLY, *outside(STORE, port, folder), *outside(IMPOSTOR, port, folder))
        await asyncio.gather(stage.start_control(), start_store(stage, folder, port))
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[OURS, ENVOY])
async def application(request: pytest.FixtureRequest, stage: Stage) -> Application:
    pod = f"application-{request.param}"
    workload = Workload(name=pod, service_account=pod, labels={"app": pod}, command=["none"], ports={"http": 0})
    (instance,) = place_instances(workload, NAMESPACE, stage.folder / "tokens", stage.ports)
    assert instance.sidecar is not None
    await stage.start(instance.sidecar, request.param)
    application = Application(instance.sidecar)
    await eventually(lambda: application.status(STORE), lambda status: status == 200)
    return application


REGISTRY_ONLY = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio", "namespace": "istio-system"},
    "data": {"mesh": "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"},
}


def outside(host: str, port: int, folder: Path) -> list[dict[str, Any]]:
    """Istio's way of TLS origination: a host's port 80 in the mesh is its TLS port outside."""
    name = host.partition(".")[0]
    entry = {
        "hosts": [host], "location": "MESH_EXTERNAL", "resolution": "DNS", "endpoints": [{"address": "localhost"}],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}],
    }  # fmt: skip
    tls = {"mode": "SIMPLE", "caCertificates": str(folder / "roots.pem")}
    rule = {"host": host, "trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, "tls": tls}]}}
    return [resource("ServiceEntry", name, entry), resource("DestinationRule", name, rule)]


async def start_store(stage: Stage, folder: Path, port: int) -> None:
    """Start moto's S3 behind TLS."""
    authority = Authority.load_or_create(folder / "public", "public.test")
    (folder / "roots.pem").write_bytes(authority.root_pem)
    chain, key = authority.issue_server([STORE], [])
    (folder / "store.pem").write_bytes(chain)
    (folder / "store.key").write_bytes(key)
    argv = ["moto_server", "-H", HOST, "-p", str(port), "-c", str(folder / "store.pem"), "-k", str(folder / "store.key")]
    child = await stage.supervisor.start(Command(name="store", argv=argv))
    await stage.supervisor.ready(child, f"tcp://{HOST}:{port}")


async def test_objects_of_every_size_survive_the_way(application: Application) -> None:
    bucket = application.sidecar.pod
    await application.call(STORE, "create_bucket", Bucket=bucket)
    for size in (0, 1, 6 * MEBIBYTE):
        content = os.urandom(size)
        put = await application.call(STORE, "put_object", Bucket=bucket, Key=f"of-{size}", Body=content)
        assert put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
        got = await application.call(STORE, "get_object", Bucket=bucket, Key=f"of-{size}")
        assert await asyncio.to_thread(got["Body"].read) == content


async def test_an_object_is_sent_in_parts_and_read_in_ranges(application: Application) -> None:
    bucket, key = f"{application.sidecar.pod}-parts", "a key/with ü and +"
    parts = [os.urandom(5 * MEBIBYTE), os.urandom(MEBIBYTE)]
    await application.call(STORE, "create_bucket", Bucket=bucket)
    upload = (await application.call(STORE, "create_multipart_upload", Bucket=bucket, Key=key))["UploadId"]
    sent = [
        await application.call(STORE, "upload_part", Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)
        for number, part in enumerate(parts, 1)
    ]
    listed = {"Parts": [{"ETag": part["ETag"], "PartNumber": number} for number, part in enumerate(sent, 1)]}
    await application.call(STORE, "complete_multipart_upload", Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=listed)
    got = await application.call(STORE, "get_object", Bucket=bucket, Key=key, Range=f"bytes={len(parts[0]) - 2}-{len(parts[0]) + 1}")
    assert await asyncio.to_thread(got["Body"].read) == parts[0][-2:] + parts[1][:2]


async def test_an_error_of_the_store_reaches_the_application_as_it_is(application: Application) -> None:
    with pytest.raises(ClientError) as caught:
        await application.call(STORE, "get_object", Bucket="absent", Key="any")
    assert caught.value.response["Error"]["Code"] == "NoSuchBucket"


async def test_a_server_whose_certificate_bears_another_name_is_not_spoken_to(application: Application) -> None:
    assert await application.status(IMPOSTOR) == 503


async def test_a_host_that_nobody_declared_is_blocked(application: Application) -> None:
    assert await application.status(UNDECLARED) == 502
