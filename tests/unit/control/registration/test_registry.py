"""Workloads by the comings and goings of their streams, with timers that tests fire by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from pymesh.identity import parse
from pymesh.xds import proto
from pymesh_control.errors import PermissionDenied
from pymesh_control.model.view import view_of
from pymesh_control.registration.registry import RESTART_GRACE, Registry

NODE = "sidecar~127.0.0.2~web-1.shop~shop.svc.cluster.local"
INBOUND = {"http": {"bind": 21001, "app": 21002}}


class Timers:
    """`loop.call_later` of a clock that stands still until told."""

    def __init__(self):
        self.set = []

    def __call__(self, seconds, call):
        timer = Timer(self, seconds, call)
        self.set.append(timer)
        return timer

    def fire(self):
        due, self.set = self.set, []
        for timer in due:
            timer.call()


class Timer:
    def __init__(self, timers, seconds, call):
        self.timers, self.seconds, self.call = timers, seconds, call

    def cancel(self):
        self.timers.set.remove(self)


class Fixture:
    def __init__(self):
        self.timers = Timers()
        self.changes = 0
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.registry = Registry(10.0, self.timers, self._changed, lambda: self.time)

    def _changed(self):
        self.changes += 1

    def arrive(self, node_id=NODE, identity=None, **metadata):
        node = proto.base.Node(id=node_id)
        node.metadata.update(metadata)
        self.registry.arrived(node, view_of(node, identity), identity)
        return node

    def leave(self, node, *, well=True):
        self.registry.left(node, view_of(node, None), well=well)

    def feel(self, node, *, well):
        self.registry.felt(node, view_of(node, None), "" if well else "refused")

    @property
    def names(self):
        return [workload.name for workload in self.registry.workloads()]


@pytest.fixture
def at():
    return Fixture()


def test_a_sidecar_with_inbound_ports_registers_what_its_node_says(at):
    identity = parse("spiffe://cluster.local/ns/shop/sa/web")
    at.arrive(identity=identity, INBOUND_PORTS=INBOUND, LABELS={"app": "web"}, WORKLOAD_NAME="web", CLUSTER_ID="laptop")
    [workload] = at.registry.workloads()
    assert (workload.name, workload.namespace, workload.ip, workload.service_account) == ("web", "shop", "127.0.0.2", "web")
    assert (workload.ports, workload.labels, workload.cluster_id) == ({"http": 21001}, {"app": "web"}, "laptop")
    assert workload.tls_mode == "istio"
    assert at.changes == 1


def test_a_sidecar_without_a_certificate_is_not_said_to_speak_mutual_tls(at):
    at.arrive(INBOUND_PORTS=INBOUND)
    assert at.registry.workloads()[0].tls_mode == "disabled"


def test_a_virtual_machine_that_asks_for_it_registers_without_inbound_ports(at):
    at.arrive(AUTO_REGISTER_GROUP="web", WORKLOAD_NAME="other")
    assert at.names == ["web-127.0.0.2"]
    assert at.registry.workloads()[0].group == "web"


def test_a_member_of_a_group_in_a_network_is_called_as_istio_calls_it(at):
    at.arrive(AUTO_REGISTER_GROUP="web", INSTANCE_IPS="2001:db8::1", NETWORK="far")
    assert at.names == ["web-2001-db8--1-far"]


def test_a_proxy_that_does_not_ask_is_not_registered_and_may_leave(at):
    at.leave(at.arrive())
    assert at.names == []
    assert at.changes == 0


def test_a_lost_workload_stays_for_the_grace_period(at):
    at.leave(at.arrive(INBOUND_PORTS=INBOUND))
    assert at.names == ["web-1"]
    assert [timer.seconds for timer in at.timers.set] == [10.0]
    at.timers.fire()
    assert at.names == []
    assert at.changes == 2


def test_a_reconnect_within_the_grace_period_changes_nothing(at):
    at.leave(at.arrive(INBOUND_PORTS=INBOUND))
    at.arrive(INBOUND_PORTS=INBOUND)
    assert at.timers.set == []
    assert at.changes == 1


def test_the_end_of_an_old_stream_does_not_remove_a_workload_that_has_a_new_one(at):
    node = at.arrive(INBOUND_PORTS=INBOUND)
    at.arrive(INBOUND_PORTS=INBOUND)
    at.leave(node)
    assert at.timers.set == []
    at.leave(node)
    assert len(at.timers.set) == 1


def test_a_workload_that_comes_back_different_is_changed(at):
    at.leave(at.arrive(INBOUND_PORTS=INBOUND))
    at.arrive(INBOUND_PORTS={"http": {"bind": 22001, "app": 22002}})
    assert at.registry.workloads()[0].ports == {"http": 22001}
    assert at.changes == 2


def test_restored_workloads_that_do_not_reconnect_are_removed_and_the_others_stay(at):
    at.arrive(INBOUND_PORTS=INBOUND)
    at.arrive("sidecar~127.0.0.3~web-2.shop~shop.svc.cluster.local", INBOUND_PORTS=INBOUND)
    after = Fixture()
    after.registry.restore(at.registry.workloads())
    assert after.names == ["web-1", "web-2"]
    after.arrive(INBOUND_PORTS=INBOUND)
    after.timers.fire()
    assert after.names == ["web-1"]


def test_restored_workloads_are_awaited_for_longer_than_proxies_back_off(at):
    at.arrive(INBOUND_PORTS=INBOUND)
    after = Fixture()
    after.registry.restore(at.registry.workloads())
    assert [timer.seconds for timer in after.timers.set] == [RESTART_GRACE]
    assert RESTART_GRACE > 30  # pymesh_proxy.discovery.backoff.CAP, which is Envoy's


def test_a_stream_that_does_not_register_does_not_count_for_one_of_the_same_node_that_does(at):
    node = at.arrive(INBOUND_PORTS=INBOUND)
    at.leave(at.arrive())
    assert at.timers.set == []
    at.leave(node)
    assert len(at.timers.set) == 1


def test_losing_one_workers_stream_after_a_restart_keeps_the_workload_while_another_lives(at):
    at.arrive(INBOUND_PORTS=INBOUND)
    after = Fixture()
    after.registry.restore(at.registry.workloads())
    workers = [after.arrive(INBOUND_PORTS=INBOUND) for _ in range(2)]
    after.leave(workers[0])
    after.timers.fire()
    assert after.names == ["web-1"]


def test_a_workload_that_says_goodbye_is_removed_at_once(at):
    node = at.arrive(INBOUND_PORTS=INBOUND)
    at.feel(node, well=False)
    assert (at.names, at.changes) == ([], 2)
    at.leave(node, well=False)
    assert (at.timers.set, at.changes) == ([], 2)


def test_a_workload_stays_while_one_of_its_workers_is_well(at):
    workers = [at.arrive(INBOUND_PORTS=INBOUND) for _ in range(2)]
    at.feel(workers[0], well=False)
    at.leave(workers[0], well=False)
    assert (at.names, at.changes) == (["web-1"], 1)
    at.feel(workers[1], well=False)
    assert (at.names, at.changes) == ([], 2)


def test_a_workload_whose_last_well_worker_is_lost_is_removed_at_once(at):
    leaving, lost = [at.arrive(INBOUND_PORTS=INBOUND) for _ in range(2)]
    at.feel(leaving, well=False)
    at.leave(lost)
    assert (at.names, at.timers.set) == ([], [])


def test_a_workload_that_is_well_again_is_back(at):
    node = at.arrive(INBOUND_PORTS=INBOUND)
    at.feel(node, well=False)
    at.feel(node, well=True)
    assert (at.names, at.changes) == (["web-1"], 3)


def test_a_workload_that_restarts_while_its_old_stream_still_ends_stays(at):
    old = at.arrive(INBOUND_PORTS=INBOUND)
    at.feel(old, well=False)
    at.arrive(INBOUND_PORTS=INBOUND)
    at.leave(old, well=False)
    assert (at.names, at.changes, at.timers.set) == (["web-1"], 3, [])


def test_what_a_proxy_that_does_not_register_feels_is_ignored(at):
    at.feel(at.arrive(), well=False)
    assert at.changes == 0


SHOP_WEB = parse("spiffe://cluster.local/ns/shop/sa/web")


@pytest.mark.parametrize("stranger", [None, parse("spiffe://cluster.local/ns/shop/sa/other")])
def test_nobody_else_takes_the_place_of_a_workload_that_is_connected_with_a_certificate(at, stranger):
    at.arrive(identity=SHOP_WEB, INBOUND_PORTS=INBOUND)
    with pytest.raises(PermissionDenied, match="is connected as"):
        at.arrive(identity=stranger, INBOUND_PORTS=INBOUND, INSTANCE_IPS="10.9.9.9")
    assert [one.ip for one in at.registry.workloads()] == ["127.0.0.2"]
    at.arrive(identity=SHOP_WEB, INBOUND_PORTS=INBOUND)


def test_a_proxy_may_come_back_with_the_certificate_that_it_has_got_meanwhile(at):
    at.arrive(INBOUND_PORTS=INBOUND)
    at.arrive(identity=SHOP_WEB, INBOUND_PORTS=INBOUND)
    assert [one.tls_mode for one in at.registry.workloads()] == ["istio"]


def test_a_node_id_whose_streams_have_ended_is_anybodys(at):
    at.leave(at.arrive(identity=SHOP_WEB, INBOUND_PORTS=INBOUND))
    at.arrive(INBOUND_PORTS=INBOUND)
    assert [one.tls_mode for one in at.registry.workloads()] == ["disabled"]


def test_a_standing_tells_since_when_and_how_a_workload_feels(at):
    def standing():
        (one,) = at.registry.standings()
        return one.connected, one.since, one.feeling and (one.feeling.reason, one.feeling.since)

    began = at.time
    node = at.arrive(AUTO_REGISTER_GROUP="web")
    assert standing() == (True, began, None)
    at.time = later = began + timedelta(seconds=5)
    at.feel(node, well=False)
    assert at.names == []
    assert standing() == (True, began, ("refused", later))
    at.feel(node, well=True)
    assert standing() == (True, began, ("", later))
    at.time = end = later + timedelta(seconds=5)
    at.leave(node)
    assert standing() == (False, end, ("", later))


@pytest.mark.parametrize(("settings", "probed"), [({}, False), ({"readinessProbe": {"tcpSocket": {"port": 1}}}, True)])
def test_a_standing_tells_whether_the_proxy_probes(at, settings, probed):
    at.arrive(AUTO_REGISTER_GROUP="web", PROXY_CONFIG=settings)
    assert [one.probed for one in at.registry.standings()] == [probed]


def test_nobody_has_a_service_account_for_the_saying(at):
    at.arrive(INBOUND_PORTS=INBOUND, SERVICE_ACCOUNT="cashier", LABELS={"security.istio.io/tlsMode": "istio"})
    assert [(one.service_account, one.tls_mode) for one in at.registry.workloads()] == [("", "istio")]
