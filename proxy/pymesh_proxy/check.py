"""Everything about a bootstrap that can be known before a port is opened; its mistakes come all at once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .discovery.channel import Channels
from .discovery.origins import Origins
from .errors import ConfigError, Problem
from .identity import SECRETS, SERVICES
from .launch import Launch

if TYPE_CHECKING:
    from .assembly import Assembly, Static


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A bootstrap without mistakes, compiled."""

    static: "Static"
    channels: Channels
    """To the xDS services among the static clusters."""
    origins: Origins


def check(launch: Launch, assembly: "Assembly") -> Checked:
    """Compile the static resources and see that all they refer to can come; raises ConfigError with every problem."""
    plan = launch.plan
    try:
        static = assembly.compile(plan.bootstrap)
    except ConfigError as error:
        raise ConfigError(*plan.problems, *error.problems) from error
    channels = Channels({held.name: held.config for held in static.clusters}, assembly.runtime.secrets.get)
    checked = Checked(static=static, channels=channels, origins=_origins(launch, static, channels))
    problems = [*plan.problems, *_check_references(checked), *_check_ads(launch, channels)]
    if problems:
        raise ConfigError(*problems)
    return checked


def _origins(launch: Launch, static: "Static", channels: Channels) -> Origins:
    own = frozenset(secret.name for secret in static.secrets)
    joined = launch.settings is not None
    return Origins(
        ads=launch.plan.ads is not None,
        own_secrets=own | SECRETS if joined else own,
        own_services=SERVICES if joined else frozenset(),
        check_service=channels.check,
    )


def _check_references(checked: Checked) -> list[Problem]:
    places = {"clusters": checked.static.clusters, "listeners": checked.static.listeners}
    return [
        problem
        for name, resources in places.items()
        for index, held in enumerate(resources)
        for problem in checked.origins.check(held.references, f"static_resources.{name}[{index}]")
    ]


def _check_ads(launch: Launch, channels: Channels) -> tuple[Problem, ...]:
    if launch.plan.ads is None:
        return ()
    try:
        channels.check(launch.plan.ads, "dynamic_resources.ads_config.grpc_services[0]")
    except ConfigError as error:
        return error.problems
    return ()
