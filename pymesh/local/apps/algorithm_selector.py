"""`algorithm-selector`: looks up a machine's features, chooses the model that fits them, and asks it for a prediction.

    GET /v1/machines/<machine>/remaining-life  ->  {"machine": ..., "model": ..., "model_version": ..., "remaining_life_hours": ...}

Its two dependencies are reached as a pod would reach them: the feature store (`FEATURESTORE_URL`, a plain S3 address outside)
through `http_proxy`, model-serving at `MODEL_SERVING_SERVICE_HOST` and `MODEL_SERVING_SERVICE_PORT`. Request id and trace
headers are forwarded on both.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from .serving import arguments, serve, traced

_TIMEOUT = aiohttp.ClientTimeout(total=10)

# Most demanding first: a model is chosen when the machine has every feature it wants.
_ALGORITHMS: Mapping[str, Sequence[str]] = {"bearing": ("temperature", "vibration", "load"), "thermal": ("temperature", "load")}


class NoAlgorithm(ValueError):
    """No model can do with the features at hand."""


class DependencyFailed(Exception):
    """A service this one needs answered with an error, or not at all. `status` is what the caller gets."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen model and its input row."""

    model: str
    row: Sequence[float]


def choose(features: Mapping[str, float]) -> Choice:
    """The first model whose every input is known; raises NoAlgorithm."""
    for model, wanted in _ALGORITHMS.items():
        if all(name in features for name in wanted):
            return Choice(model, [features[name] for name in wanted])
    raise NoAlgorithm(f"no algorithm works with only {', '.join(sorted(features)) or 'no feature at all'}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a dependency said."""

    status: int
    body: bytes

    def document(self, who: str) -> Any:
        """The body as JSON; raises DependencyFailed unless the status is 200."""
        if self.status != 200:
            raise DependencyFailed(502, f"{who} answered {self.status}: {self.body.decode(errors='replace').strip()}")
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Where the services this one needs are found."""

    featurestore: str
    model_serving: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Dependencies":
        """As Kubernetes tells a pod; raises KeyError naming the missing variable."""
        host, port = environment["MODEL_SERVING_SERVICE_HOST"], environment["MODEL_SERVING_SERVICE_PORT"]
        return cls(environment["FEATURESTORE_URL"].rstrip("/"), f"http://{host}:{port}")


class Selector:
    """The service: two calls out for each one in."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._session: aiohttp.ClientSession | None = None

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """Hold one client session, which heeds `http_proxy` and `no_proxy`, while the application runs."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as self._session:
            yield

    async def remaining_life(self, request: web.Request) -> web.Response:
        """The one call this service answers."""
        machine, headers = request.match_info["machine"], traced(request)
        try:
            choice = choose(await self._features(machine, headers))
            answer = await self._predict(choice, headers)
        except NoAlgorithm as error:
            return web.json_response({"error": str(error)}, status=422)
        except DependencyFailed as error:
            return web.json_response({"error": str(error)}, status=error.status)
        return web.json_response({
            "machine": machine, "model": choice.model, "model_version": answer["model_version"],
            "remaining_life_hours": answer["predictions"][0],
        })

    async def _features(self, machine: str, headers: Mapping[str, str]) -> Mapping[str, float]:
        answer = await self._call("GET", f"{self._dependencies.featurestore}/machines/{machine}.json", headers)
        if answer.status == 404:
            raise DependencyFailed(404, f"the feature store knows no machine {machine!r}")
        features: Mapping[str, float] = answer.document("the feature store")
        return features

    async def _predict(self, choice: Choice, headers: Mapping[str, str]) -> Mapping[str, Any]:
        url = f"{self._dependencies.model_serving}/v1/models/{choice.model}:predict"
        answer = await self._call("POST", url, headers, {"instances": [choice.row]})
        prediction: Mapping[str, Any] = answer.document("model-serving")
        return prediction

    async def _call(self, method: str, url: str, headers: Mapping[str, str], body: object = None) -> Answer:
        assert self._session is not None, "called outside the application's life"
        try:
            async with self._session.request(method, url, headers=headers, json=body) as response:
                return Answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DependencyFailed(503, f"{method} {url} failed: {type(error).__name__}: {error}") from error


def make_app() -> web.Application:
    """The application, configured by the environment."""
    selector = Selector(Dependencies.from_environment(os.environ))
    app = web.Application()
    app.cleanup_ctx.append(selector.lifespan)
    app.router.add_get("/v1/machines/{machine}/remaining-life", selector.remaining_life)
    return app


def main() -> None:
    """Run the service."""
    serve(make_app, arguments("chooses a model for a machine and asks it how long the machine will last").parse_args())


if __name__ == "__main__":
    main()
