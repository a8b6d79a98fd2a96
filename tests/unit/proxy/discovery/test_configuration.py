"""Warming: what is used when, what waits for what, and what survives."""

import asyncio

import pytest

from pymesh.xds import nds, types
from pymesh_proxy.discovery.configuration import BIND_AGAIN, Stage
from pymesh_proxy.discovery.origins import Origins
from pymesh_proxy.discovery.roster import Held
from pymesh_proxy.errors import ConfigError
from tests.waiting import eventually

from .resources import assignment, cluster, listener, route, secret, with_secret
from .world import Compiled, World

CDS, EDS, LDS, RDS, SDS, NDS = types.PUSH_ORDER
OWN_IDENTITY = Origins(own_secrets=frozenset({"default"}), own_services=frozenset({"sds-grpc"}))


async def serving(*routes: str) -> World:
    """A world with cluster c, listener l and its routes, all in use."""
    world = await World().start()
    await world.give(CDS, cluster("c"))
    await world.give(EDS, assignment("c", 80))
    await world.give(LDS, listener("l", *routes))
    for name in routes:
        await world.give(RDS, route(name))
    assert world.configuration.stage is Stage.DONE
    return world


async def test_clusters_come_before_listeners() -> None:
    world = await World().start()
    assert (world.wanted(CDS), world.wanted(LDS)) == (set(), None)
    await world.give(CDS, cluster("c"))
    assert (world.wanted(EDS), world.wanted(LDS)) == ({"c"}, None)
    assert await world.give(EDS, assignment("c", 80)) == ["cluster c", "endpoints c"]
    assert world.wanted(LDS) == set()


async def test_cluster_waits_for_its_assignment() -> None:
    world = await World().start()
    assert await world.give(CDS, cluster("c"), cluster("plain", eds=False)) == ["cluster plain"]
    assert world.status.warming_clusters == 1
    assert world.configuration.warming(CDS) == [cluster("c")]


async def test_cluster_goes_on_without_when_no_assignment_comes() -> None:
    world = await World().start()
    await world.give(CDS, cluster("c"))
    assert await world.pass_time(14.9) == []
    assert await world.pass_time(0.1) == ["cluster c"]
    assert world.status.of(EDS).init_fetch_timeout == 1


async def test_a_cluster_serves_when_its_endpoints_have_been_checked() -> None:
    world = await World().start()
    world.runtime.checking["c"] = lambda: None
    await world.give(CDS, cluster("c"))
    assert await world.give(EDS, assignment("c", 80)) == ["checks c c"]
    assert (world.status.warming_clusters, world.wanted(LDS)) == (1, None)
    done = world.runtime.checking.pop("c")
    done()
    assert world.runtime.take() == ["cluster c", "endpoints c"]
    assert (world.configuration.warming(CDS), world.wanted(LDS)) == ([], set())


async def test_static_listeners_open_when_static_clusters_have_been_checked() -> None:
    world = World()
    world.runtime.checking["c"] = lambda: None
    resources = {"c": cluster("c"), "l": listener("l")}
    held = [Held(name=name, message=one, config=Compiled(name, one), static=True) for name, one in resources.items()]
    await world.configuration.start(held[:1], held[1:])
    assert world.runtime.take() == ["checks c"]
    world.runtime.checking.pop("c")()
    await world.configuration.settle()
    assert world.runtime.take() == ["cluster c", "listener l:1"]


async def test_a_cluster_that_is_checked_can_be_removed() -> None:
    world = await World().start()
    world.runtime.checking["c"] = lambda: None
    assert await world.give(CDS, cluster("c", eds=False)) == ["checks c"]
    assert await world.give(CDS, removed=("c",)) == ["no cluster c"]
    assert world.configuration.warming(CDS) == []


async def test_a_cluster_serves_in_its_former_version_while_the_new_one_is_checked() -> None:
    world = await World().start()
    assert await world.give(CDS, cluster("c", eds=False)) == ["cluster c"]
    world.runtime.checking["c"] = lambda: None
    changed = cluster("c", eds=False)
    changed.connect_timeout.FromSeconds(3)
    assert await world.give(CDS, changed) == ["checks c"]
    done = world.runtime.checking.pop("c")
    done()
    assert world.runtime.take() == ["cluster c"]


async def test_listener_waits_for_all_its_routes() -> None:
    world = await serving()
    assert await world.give(LDS, listener("l", "a", "b")) == []
    assert world.wanted(RDS) == {"a", "b"}
    assert await world.give(RDS, route("a")) == ["routes a"]
    assert await world.give(RDS, route("b")) == ["routes b", "listener l:1"]


async def test_listeners_are_not_waited_for_before_clusters_answered() -> None:
    world = await World().start()
    await world.pass_time(15)
    assert (world.configuration.stage, world.wanted(LDS)) == (Stage.LISTENERS, set())
    await world.pass_time(15)
    assert world.configuration.stage is Stage.DONE


async def test_changed_listener_warms_while_the_old_one_serves() -> None:
    world = await serving("a")
    assert await world.give(LDS, listener("l", "b")) == []
    assert world.wanted(RDS) == {"a", "b"}
    assert await world.give(RDS, route("b")) == ["routes b", "listener l:1"]
    assert world.wanted(RDS) == {"b"}


async def test_changed_cluster_uses_the_assignment_that_is_held() -> None:
    world = await serving()
    assert await world.give(CDS, cluster("c", timeout=2)) == ["cluster c", "endpoints c"]


async def test_unchanged_resources_are_left_alone() -> None:
    world = await serving("a")
    assert await world.give(CDS, cluster("c")) == []
    assert await world.give(LDS, listener("l", "a")) == []


async def test_version_that_was_warming_is_dropped_for_a_newer_one() -> None:
    world = await serving("a")
    await world.give(LDS, listener("l", "b"))
    assert await world.give(LDS, listener("l", "a", port=2)) == ["listener l:2"]
    assert world.wanted(RDS) == {"a"}


async def test_removed_cluster_and_listener_go() -> None:
    world = await serving("a")
    assert await world.give(CDS, removed=("c",)) == ["no cluster c"]
    assert await world.give(LDS, removed=("l",)) == ["no listener l"]
    assert (world.wanted(EDS), world.wanted(RDS)) == (set(), set())


async def test_removal_of_something_unknown_is_nothing() -> None:
    world = await serving()
    assert await world.give(CDS, removed=("x",)) == []


async def test_removed_assignment_that_is_in_use_keeps_serving() -> None:
    world = await serving()
    assert await world.give(EDS, removed=("c",)) == []


async def test_removed_assignment_that_is_waited_for_ends_the_wait() -> None:
    world = await World().start()
    await world.give(CDS, cluster("c"))
    assert await world.give(EDS, removed=("c",)) == ["cluster c"]


async def test_listener_removed_and_given_again_is_replaced() -> None:
    world = await serving()
    update = await world.give(LDS, listener("l", port=2), removed=())
    assert update == ["listener l:2"]


async def test_assignment_nobody_asked_for_is_ignored() -> None:
    world = await serving()
    assert await world.give(EDS, assignment("x", 80)) == []


async def test_assignment_of_a_cluster_that_came_back_is_waited_for_anew() -> None:
    world = await serving()
    await world.give(CDS, removed=("c",))
    assert await world.give(CDS, cluster("c")) == []
    assert await world.give(EDS, assignment("c", 81)) == ["cluster c", "endpoints c"]


async def test_cluster_waits_for_secrets_too() -> None:
    world = await World().start()
    await world.give(CDS, with_secret(cluster("c"), "default"))
    assert await world.give(EDS, assignment("c", 80)) == []
    assert world.wanted(SDS) == {"default"}
    assert await world.give(SDS, secret("default")) == ["secret default", "cluster c", "endpoints c"]


async def test_secret_that_nothing_refers_to_is_forgotten() -> None:
    world = await serving()
    await world.give(LDS, with_secret(listener("l"), "s"))
    await world.give(SDS, secret("s"))
    await world.give(LDS, removed=("l",))
    assert world.runtime.held_secrets == {}


async def test_own_identity_serves_what_points_at_the_agent() -> None:
    world = await World(origins=OWN_IDENTITY).start()
    await world.give(CDS, with_secret(cluster("c", eds=False), "default", service="sds-grpc"))
    assert (world.wanted(SDS), world.configuration.wanted_secrets()) == (set(), {})
    world.runtime.held_secrets["default"] = "certificate"
    world.configuration.secret_changed("default")
    assert world.runtime.take() == ["cluster c"]


async def test_own_identity_is_kept_when_nothing_refers_to_it() -> None:
    world = await World(origins=OWN_IDENTITY).start()
    world.runtime.held_secrets["default"] = "certificate"
    world.configuration.secret_changed("default")
    await world.give(CDS, with_secret(cluster("c", eds=False), "default", service="sds-grpc"))
    await world.give(CDS, removed=("c",))
    assert "default" in world.runtime.held_secrets


async def test_secrets_of_another_service_are_asked_for_there() -> None:
    world = await World().start()
    await world.give(CDS, with_secret(cluster("c", eds=False), "default", service="sds-grpc"))
    ((source, names),) = world.configuration.wanted_secrets().items()
    assert (source.cluster, names) == ("sds-grpc", {"default"})
    assert world.wanted(SDS) == set()


async def test_refusal_names_resource_field_and_reason_of_every_problem() -> None:
    world = await serving()
    with pytest.raises(ConfigError) as caught:
        await world.give(CDS, cluster("good", eds=False), cluster("d", timeout=13), cluster("e", timeout=13))
    assert str(caught.value) == "; ".join(
        f"Cluster {name}: {problem}" for name in "de" for problem in ("connect_timeout: 13 is not supported", "name: neither")
    )


async def test_refused_response_changes_nothing() -> None:
    world = await serving()
    with pytest.raises(ConfigError):
        await world.give(CDS, cluster("good", eds=False), cluster("c", timeout=13), removed=("c",))
    assert world.runtime.take() == []
    assert world.wanted(EDS) == {"c"}


async def test_source_that_cannot_be_honoured_is_refused_with_its_path() -> None:
    world = await World().start()
    bad = cluster("c")
    bad.eds_cluster_config.eds_config.path_config_source.path = "/x"
    with pytest.raises(ConfigError, match=r"Cluster c: eds_cluster_config\.eds_config\.path_config_source: not supported"):
        await world.give(CDS, bad)


async def test_secret_that_nobody_has_is_refused_not_waited_for() -> None:
    world = await World(origins=OWN_IDENTITY).start()
    with pytest.raises(ConfigError, match="Cluster c: there is no secret 'other', and no source to fetch it from"):
        await world.give(CDS, with_secret(cluster("c", eds=False), "other", service="sds-grpc"))


async def test_key_that_does_not_fit_is_refused() -> None:
    world = await serving()
    await world.give(LDS, with_secret(listener("l"), "bad"))
    with pytest.raises(ConfigError, match="do not belong together"):
        await world.give(SDS, secret("bad"))


async def test_taken_port_is_tried_again() -> None:
    world = await serving()
    world.runtime.taken_ports = {2}
    assert await world.give(LDS, listener("l", port=2)) == []
    assert world.status.of(LDS).last_error == "Listener l: cannot bind 2: in use"
    world.runtime.taken_ports = set()
    assert await world.pass_time(BIND_AGAIN) == ["listener l:2"]


async def test_taken_port_is_told_once_and_again_when_it_is_free(caplog: pytest.LogCaptureFixture) -> None:
    world = await serving()
    world.runtime.taken_ports = {2}
    with caplog.at_level("INFO", "pymesh.proxy.discovery"):
        await world.give(LDS, listener("l", port=2))
        for _ in range(3):
            await world.pass_time(BIND_AGAIN)
        assert [record.getMessage() for record in caplog.records] == [
            f"listener l: cannot bind 2: in use; trying again every {BIND_AGAIN:g} s"
        ]
        world.runtime.taken_ports = set()
        await world.pass_time(BIND_AGAIN)
        assert caplog.records[-1].getMessage() == "listener l is open now"


async def test_static_cluster_cannot_be_changed_or_removed() -> None:
    from pymesh_proxy.discovery.roster import Held

    world = World()
    held = Held(name="s", message=cluster("s", eds=False), config=cluster("s", eds=False), static=True)
    await world.configuration.start([held], [])
    assert world.runtime.take() == ["cluster s"]
    assert await world.give(CDS, cluster("s"), removed=("s",)) == []


async def test_hooks_hear_of_every_settled_change() -> None:
    world = await World().start()
    heard: list[Stage] = []
    world.configuration.on_change.append(lambda: heard.append(world.configuration.stage))
    await world.give(CDS, cluster("c", eds=False))
    await world.give(LDS)
    assert heard == [Stage.LISTENERS, Stage.DONE]


async def test_cluster_of_names_waits_for_its_first_look_up() -> None:
    world = await World().start()
    assert await world.give(CDS, cluster("dns", eds=False)) == ["looking up dns"]
    assert (world.status.warming_clusters, world.wanted(LDS)) == (1, None)
    world.runtime.looked_up["dns"].set()

    async def wanted() -> set[str] | None:
        return world.wanted(LDS)

    await eventually(wanted, lambda found: found is not None)
    assert world.runtime.take() == ["cluster dns"]


async def test_only_the_look_up_of_the_newest_version_counts() -> None:
    world = await World().start()
    await world.give(CDS, cluster("dns", eds=False))
    older = world.runtime.looked_up["dns"]
    assert await world.give(CDS, cluster("dns", eds=False, timeout=2.0)) == ["looking up dns"]
    older.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.runtime.take() == []
    assert await world.give(CDS, removed=("dns",)) == ["no cluster dns"], "or its names would be looked up for ever"


async def test_static_listeners_are_opened_when_static_names_are_known() -> None:
    world = World()
    messages = cluster("dns", eds=False), listener("l")
    own = [Held(name=one.name, message=one, config=Compiled(one.name, one), static=True) for one in messages]
    starting = asyncio.get_running_loop().create_task(world.configuration.start(own[:1], own[1:]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.runtime.take() == ["looking up dns"]
    world.runtime.looked_up["dns"].set()
    await starting
    assert world.runtime.take() == ["cluster dns", "listener l:1"]


async def test_name_tables_are_asked_for_from_the_start_if_anybody_wants_them() -> None:
    world = await World(resolves=True).start()
    assert world.wanted(NDS) == set()
    assert await world.give(NDS, nds.NameTable()) == ["names"]
    assert await world.give(NDS, removed=("",)) == []


async def test_and_not_at_all_if_nobody_does() -> None:
    world = await World().start()
    assert world.wanted(NDS) is None
    assert await world.give(NDS, nds.NameTable()) == []


async def test_of_secrets_of_which_one_is_refused_none_is_taken() -> None:
    world = await World().start()
    await world.give(CDS, with_secret(cluster("c", eds=False), "good"), with_secret(cluster("d", eds=False), "bad"))
    with pytest.raises(ConfigError, match="do not belong together"):
        await world.give(SDS, secret("good"), secret("bad"))
    assert world.runtime.take() == []
