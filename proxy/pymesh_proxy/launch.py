"""Everything the process must know before its event loop starts: flags and bootstrap, or flags and Istio's environment."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pymesh.bootstrap import envoy
from pymesh.bootstrap.environment import InvalidEnvironment, Settings
from pymesh.bootstrap.proxy_config import InterceptionMode

from .bootstrap.load import Bootstrap, load
from .bootstrap.plan import Plan, make_plan
from .drain import DRAIN_TIME
from .errors import ConfigError
from .listener import transparent

_DRAIN_DURATION = (
    "PROXY_CONFIG.drainDuration: not supported, the connections of a changed listener live until they end; "
    "terminationDrainDuration is the time that they get on SIGTERM"
)


class Rejected(Exception):
    """The configuration cannot be used; `lines` has one sentence for each mistake."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One start of the proxy. Times are seconds."""

    name: str
    """What to call the configuration in messages."""
    bootstrap: Bootstrap
    plan: Plan
    settings: Settings | None = None
    """Istio's environment, when the bootstrap was built from it: the process then holds its own identity."""
    concurrency: int = 1
    drain_time: float = DRAIN_TIME
    worker_socket: Path | None = None
    """This process is one worker of several; its admin interface is private, on this Unix socket."""
    validate_only: bool = False


def prepare(options: argparse.Namespace, environ: Mapping[str, str]) -> Launch:
    """Read the configuration; raises Rejected with every mistake when it cannot be read."""
    settings = None if options.config_path or options.config_yaml else _settings(environ)
    bootstrap = _bootstrap(options, settings)
    plan = make_plan(bootstrap.message, node_id=options.service_node, node_cluster=options.service_cluster)
    asked = settings.proxy if settings else None
    concurrency = options.concurrency if options.concurrency is not None else asked.concurrency if asked else None
    drain_time = options.drain_time_s if options.drain_time_s is not None else asked.termination_drain_duration if asked else DRAIN_TIME
    return Launch(
        name=str(options.config_path or ("environment" if settings else "--config-yaml")),
        bootstrap=bootstrap,
        plan=plan,
        settings=settings,
        concurrency=_workers(concurrency),
        drain_time=drain_time,
        worker_socket=options.worker,
        validate_only=options.mode == "validate",
    )


def _settings(environ: Mapping[str, str]) -> Settings:
    try:
        settings = Settings.from_environ(environ)
        refused = [_DRAIN_DURATION] if "drain_duration" in settings.proxy.model_fields_set else []
        if settings.proxy.interception_mode is InterceptionMode.TPROXY and not transparent.permitted():
            refused.append("PROXY_CONFIG.interceptionMode: TPROXY needs the capability NET_ADMIN, which this process does not have")
        if refused:
            raise InvalidEnvironment(refused)
    except InvalidEnvironment as error:
        lines = ["pymesh-proxy: without -c the bootstrap is built from Istio's environment variables, and that cannot be done:"]
        raise Rejected(lines + [f"  {problem}" for problem in error.problems]) from error
    return settings


def _bootstrap(options: argparse.Namespace, settings: Settings | None) -> Bootstrap:
    if settings is not None:
        return Bootstrap(envoy.build(settings, None))
    try:
        return load(options.config_path, options.config_yaml)
    except ConfigError as error:
        raise Rejected([str(problem) for problem in error.problems]) from error


def _workers(asked: int | None) -> int:
    """Istio's 0 means every core that this process may run on."""
    return len(os.sched_getaffinity(0)) if asked == 0 else asked or 1
