"""`model-serving`: TensorFlow Serving's REST predict call over two small models of a bearing's remaining life.

    POST /v1/models/<model>:predict  {"instances": [[71.5, 2.1, 60], ...]}  ->  {"predictions": [5321.0, ...], ...}
    GET  /v1/models/<model>          the model's status, in TensorFlow Serving's words

Model `bearing` wants temperature, vibration and load; `thermal` does without vibration. `--version v1` serves linear fits,
`v2` second-order ones, which see that heat and vibration wear together. The answer names the version beside the predictions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from . import bearings
from .regression import Polynomial, fit
from .serving import arguments, serve

MODELS = {"bearing": ("temperature", "vibration", "load"), "thermal": ("temperature", "load")}
DEGREES = {"v1": 1, "v2": 2}


class InvalidInstances(ValueError):
    """The request body is not what the model takes; the message says where."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One version of every model."""

    version: str
    models: Mapping[str, Polynomial]

    @classmethod
    def of(cls, version: str) -> "Serving":
        """Fit every model as that version does."""
        samples = {name: bearings.training(features) for name, features in MODELS.items()}
        return cls(version, {name: fit(s.rows, s.targets, DEGREES[version]) for name, s in samples.items()})

    async def predict(self, request: web.Request) -> web.Response:
        """The predict call; mistakes are answered with 400 or 404 and `{"error": ...}`."""
        if (model := self.models.get(request.match_info["model"])) is None:
            return self._unknown(request)
        try:
            rows = instances_of(await request.read(), model.inputs)
        except InvalidInstances as error:
            return web.json_response({"error": str(error)}, status=400)
        predictions = [round(max(model(row), 0.0), 1) for row in rows]  # worn out is worn out: no life is below zero
        return web.json_response({"predictions": predictions, "model_version": self.version})

    async def status(self, request: web.Request) -> web.Response:
        """The model's status call."""
        if request.match_info["model"] not in self.models:
            return self._unknown(request)
        state = {"version": self.version.removeprefix("v"), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        return web.json_response({"model_version_status": [state]})

    def _unknown(self, request: web.Request) -> web.Response:
        return web.json_response({"error": f"no model {request.match_info['model']!r} is served here"}, status=404)


def instances_of(body: bytes, width: int) -> Sequence[Sequence[float]]:
    """The rows of a predict request, each `width` numbers; raises InvalidInstances."""
    try:
        document: Any = json.loads(body)
    except ValueError as error:
        raise InvalidInstances(f"the body is not JSON: {error}") from error
    rows = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise InvalidInstances('the body has no list "instances" with at least one row')
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width or not all(map(_is_number, row)):
            raise InvalidInstances(f"instances[{number}] is not a list of {width} numbers")
    return rows


def make_app(version: str) -> web.Application:
    """The application of one version."""
    serving = Serving.of(version)
    app = web.Application()
    app.router.add_post("/v1/models/{model:[^:/]+}:predict", serving.predict)
    app.router.add_get("/v1/models/{model:[^:/]+}", serving.status)
    return app


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def main() -> None:
    """Run the service."""
    parser = arguments("TensorFlow-Serving-style predictions of a bearing's remaining life")
    parser.add_argument("--version", choices=sorted(DEGREES), required=True, help="which generation of the models to serve")
    options = parser.parse_args()
    serve(partial(make_app, options.version), options)


if __name__ == "__main__":
    main()
