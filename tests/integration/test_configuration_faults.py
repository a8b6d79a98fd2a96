"""What is wrong in the configuration hurts whom it is about, and nobody else."""

import pytest

from tests.load import under_load
from tests.mesh import HOST, Mesh, split
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

_GHOST = "ghost.default.svc.cluster.local"

ABSENT_SUBSET = f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: ghost}}
spec:
  hosts: [{_GHOST}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: {HOST}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: ghost}}
spec:
  hosts: [ghost]
  http: [{{route: [{{destination: {{host: ghost, subset: nowhere}}}}]}}]
"""


async def test_a_route_to_an_absent_subset_answers_503_and_all_others_go_on(mesh: Mesh) -> None:
    async with under_load(mesh.reviews) as others:
        mesh.configure("ghost.yaml", ABSENT_SUBSET)
        status = await eventually(lambda: through_sidecar(mesh, f"http://{_GHOST}/"), lambda status: status == 503)
        await others.more(50)
    assert status == 503
    assert others.failures == []
    samples = await mesh.metrics(mesh.sidecar("caller"))
    assert "NC" in {sample.labels["response_flags"] for sample in samples if sample.name == "istio_requests_total"}


async def through_sidecar(mesh: Mesh, url: str) -> int:
    """What the caller's application gets for a URL by its `http_proxy`."""
    async with mesh.session.get(url, proxy=f"http://{HOST}:{mesh.sidecar('caller').http_proxy}") as answer:
        return answer.status


BROKEN = {
    "not YAML": ("kind: [", "expected"),
    "an unknown field": (split(v1=100).replace("http:", "htttp:"), "did you mean"),
    "a wrong type": (split(v1=100).replace("'weight': 100", "'weight': much"), "weight"),
}


@pytest.mark.parametrize(("text", "sentence"), BROKEN.values(), ids=BROKEN)
async def test_a_bad_file_keeps_the_last_good_configuration_and_says_why(mesh: Mesh, text: str, sentence: str) -> None:
    name = "reviews_more.yaml"
    good = redirect_to("one")
    mesh.configure(name, good)
    await eventually(lambda: path_of(mesh), lambda seen: seen == "/one")

    mesh.configure(name, text)
    problems = await eventually(lambda: problems_of(mesh, name))
    assert any(sentence in problem for problem in problems), problems
    assert all(f"/config/{name}:" in problem for problem in problems)
    assert await path_of(mesh) == "/one"

    mesh.configure(name, redirect_to("two"))
    await eventually(lambda: path_of(mesh), lambda seen: seen == "/two")
    assert await problems_of(mesh, name) == []


def redirect_to(target: str) -> str:
    """Routes of a host outside whose path is rewritten; the target tells which version of the file is in force."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec:
  hosts: [outside.example.com]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: outside}}
spec:
  hosts: [outside.example.com]
  http: [{{redirect: {{uri: /{target}}}}}]
"""


async def path_of(mesh: Mesh) -> str:
    """Where the file in force sends a request."""
    proxy = f"http://{HOST}:{mesh.sidecar('caller').http_proxy}"
    async with mesh.session.get("http://outside.example.com/", proxy=proxy, allow_redirects=False) as answer:
        return answer.headers.get("location", "").removeprefix("http://outside.example.com")


async def problems_of(mesh: Mesh, name: str) -> list[str]:
    """What the control plane says is wrong with a file."""
    problems = (await mesh.control("/debug/configz"))["problems"]
    return [problem["text"] for problem in problems if problem["file"].endswith(name)]
