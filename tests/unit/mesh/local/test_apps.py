"""The demo's services, alone and joined, without a mesh between them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from pymesh.local.apps import algorithm_selector, bearings, featurestore_s3, model_serving, regression

Make = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]


@pytest.fixture
async def client() -> AsyncIterator[Make]:
    clients: list[TestClient[web.Request, web.Application]] = []

    async def make(app: web.Application) -> TestClient[web.Request, web.Application]:
        made = TestClient(TestServer(app))
        await made.start_server()
        clients.append(made)
        return made

    yield make
    for made in clients:
        await made.close()


def mean_error(version: str, model: str) -> float:
    held_out = bearings.held_out(model_serving.MODELS[model])
    predict = model_serving.Serving.of(version).models[model]
    return sum(abs(predict(row) - target) for row, target in zip(held_out.rows, held_out.targets, strict=True)) / len(held_out.targets)


@pytest.mark.parametrize("model", model_serving.MODELS)
def test_v2_predicts_unseen_bearings_better_than_v1(model: str) -> None:
    assert mean_error("v2", model) < mean_error("v1", model)


def test_a_fit_recovers_the_polynomial_that_made_its_rows() -> None:
    rows = [(float(x), float(y)) for x in range(5) for y in range(5)]
    fitted = regression.fit(rows, [3 + 2 * x - y + 0.5 * x * y for x, y in rows], degree=2)
    assert fitted((7, 9)) == pytest.approx(3 + 14 - 9 + 31.5)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_predictions_come_in_the_order_of_the_instances_and_name_their_version(client: Make, version: str) -> None:
    serving = await client(model_serving.make_app(version))
    answer = await serving.post("/v1/models/thermal:predict", json={"instances": [[40, 20], [90, 95]]})
    document = await answer.json()
    assert answer.status == 200
    assert document["model_version"] == version
    cool, hot = document["predictions"]
    assert cool > hot


@pytest.mark.parametrize(("body", "sentence"), [
    (b"{", "not JSON"),
    (b"[]", "no list"),
    (b'{"instances": []}', "at least one row"),
    (b'{"instances": [[1, 2], [3]]}', "instances[1]"),
    (b'{"instances": [[1, "2"]]}', "instances[0]"),
    (b'{"instances": [[1, true]]}', "instances[0]"),
])
async def test_wrong_instances_are_refused_with_their_place(client: Make, body: bytes, sentence: str) -> None:
    serving = await client(model_serving.make_app("v1"))
    answer = await serving.post("/v1/models/thermal:predict", data=body)
    assert answer.status == 400
    assert sentence in (await answer.json())["error"]


async def test_an_unknown_model_is_not_found(client: Make) -> None:
    serving = await client(model_serving.make_app("v1"))
    assert (await serving.post("/v1/models/none:predict", json={"instances": [[1]]})).status == 404
    assert (await serving.get("/v1/models/none")).status == 404


async def test_model_status_speaks_tensorflow_servings_words(client: Make) -> None:
    serving = await client(model_serving.make_app("v2"))
    status = (await (await serving.get("/v1/models/bearing")).json())["model_version_status"]
    assert [(each["version"], each["state"]) for each in status] == [("2", "AVAILABLE")]


async def test_an_object_is_read_back_with_its_md5_as_etag(client: Make) -> None:
    store = await client(featurestore_s3.make_app())
    written = await store.put("/b/some/key", data=b"hello", headers={"Content-Type": "text/plain"})
    read = await store.get("/b/some/key")
    head = await store.head("/b/some/key")
    assert written.headers["ETag"] == read.headers["ETag"] == head.headers["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    assert (await read.read(), await head.read()) == (b"hello", b"")
    assert (read.headers["Content-Type"], head.headers["Content-Length"]) == ("text/plain", "5")
    assert (await store.get("/b/some/key", headers={"If-None-Match": head.headers["ETag"]})).status == 304


async def test_an_absent_object_is_no_such_key(client: Make) -> None:
    store = await client(featurestore_s3.make_app())
    answer = await store.get("/features/absent")
    assert answer.status == 404
    assert "<Code>NoSuchKey</Code>" in await answer.text()


async def test_a_deleted_object_is_gone(client: Make) -> None:
    store = await client(featurestore_s3.make_app())
    assert (await store.delete("/features/machines/oven-01.json")).status == 204
    assert (await store.get("/features/machines/oven-01.json")).status == 404


@pytest.mark.parametrize(("path", "status", "code"), [
    ("/none?list-type=2", 404, "NoSuchBucket"),
    ("/features", 501, "NotImplemented"),
    ("/features?list-type=2&max-keys=x", 400, "InvalidArgument"),
])
async def test_a_wrong_listing_is_refused_with_its_s3_code(client: Make, path: str, status: int, code: str) -> None:
    answer = await (await client(featurestore_s3.make_app())).get(path)
    assert answer.status == status
    assert f"<Code>{code}</Code>" in await answer.text()


async def test_a_listing_is_cut_into_pages_that_join(client: Make) -> None:
    store = await client(featurestore_s3.make_app())
    first = await (await store.get("/features?list-type=2&prefix=machines/p&max-keys=3")).text()
    assert "<KeyCount>3</KeyCount>" in first
    token = first.partition("<NextContinuationToken>")[2].partition("<")[0]
    rest = await (await store.get("/features", params={"list-type": "2", "prefix": "machines/p", "continuation-token": token})).text()
    assert "<IsTruncated>false</IsTruncated>" in rest
    assert "<Key>machines/pump-02.json</Key>" in first + rest
    assert "oven" not in first + rest


def test_a_machine_without_vibration_sensor_gets_the_thermal_model() -> None:
    assert algorithm_selector.choose({"load": 2, "temperature": 1}) == algorithm_selector.Choice("thermal", [1, 2])
    assert algorithm_selector.choose({"load": 3, "temperature": 1, "vibration": 2}) == algorithm_selector.Choice("bearing", [1, 2, 3])


def test_features_that_no_model_can_use_are_refused_by_name() -> None:
    with pytest.raises(algorithm_selector.NoAlgorithm, match="only humidity"):
        algorithm_selector.choose({"humidity": 1})


@pytest.fixture
async def selector(client: Make, monkeypatch: pytest.MonkeyPatch) -> TestClient[web.Request, web.Application]:
    store, serving = await client(featurestore_s3.make_app()), await client(model_serving.make_app("v1"))
    monkeypatch.setenv("FEATURESTORE_URL", str(store.make_url("/features")))
    monkeypatch.setenv("MODEL_SERVING_SERVICE_HOST", str(serving.host))
    monkeypatch.setenv("MODEL_SERVING_SERVICE_PORT", str(serving.port))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return await client(algorithm_selector.make_app())


async def test_the_selector_joins_features_and_prediction(selector: TestClient[web.Request, web.Application]) -> None:
    document = await (await selector.get("/v1/machines/press-01/remaining-life")).json()
    assert (document["machine"], document["model"], document["model_version"]) == ("press-01", "bearing", "v1")
    assert document["remaining_life_hours"] > 0


async def test_an_unknown_machine_is_not_found(selector: TestClient[web.Request, web.Application]) -> None:
    answer = await selector.get("/v1/machines/none/remaining-life")
    assert answer.status == 404
    assert "'none'" in (await answer.json())["error"]


async def test_a_dead_dependency_is_said_by_name(client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURESTORE_URL", "http://127.0.0.1:1/features")
    monkeypatch.setenv("MODEL_SERVING_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("MODEL_SERVING_SERVICE_PORT", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    answer = await (await client(algorithm_selector.make_app())).get("/v1/machines/press-01/remaining-life")
    assert answer.status == 503
    assert "127.0.0.1:1/features/machines/press-01.json" in (await answer.json())["error"]


async def test_trace_headers_are_forwarded_to_both_dependencies(client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    async def record(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers.get("x-request-id"), request.headers.get("traceparent")))
        document = {"temperature": 1, "load": 2} if request.method == "GET" else {"predictions": [1.0], "model_version": "v9"}
        return web.Response(text=json.dumps(document))

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", record)
    fake = await client(app)
    monkeypatch.setenv("FEATURESTORE_URL", str(fake.make_url("/features")))
    monkeypatch.setenv("MODEL_SERVING_SERVICE_HOST", str(fake.host))
    monkeypatch.setenv("MODEL_SERVING_SERVICE_PORT", str(fake.port))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    service = await client(algorithm_selector.make_app())
    answer = await service.get("/v1/machines/m/remaining-life", headers={"x-request-id": "r1", "traceparent": "t1", "x-other": "no"})
    assert (await answer.json())["model_version"] == "v9"
    assert seen == [("GET", "r1", "t1"), ("POST", "r1", "t1")]


async def test_the_feature_store_is_asked_through_http_proxy(client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.url}")
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", proxy)
    fake = await client(app)
    monkeypatch.setenv("http_proxy", f"http://{fake.host}:{fake.port}")
    monkeypatch.setenv("no_proxy", "localhost")
    monkeypatch.setenv("FEATURESTORE_URL", "http://store.example.com/features")
    monkeypatch.setenv("MODEL_SERVING_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("MODEL_SERVING_SERVICE_PORT", "1")
    service = await client(algorithm_selector.make_app())
    assert (await service.get("/v1/machines/m/remaining-life")).status == 404
    assert asked == ["GET http://store.example.com/features/machines/m.json"]
