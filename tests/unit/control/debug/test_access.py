"""Who may read the debug pages."""

import pytest

from pymesh.identity import workload_id
from pymesh_control.debug.access import Caller, Refused, check

GATEWAY = workload_id("istio-system", "gateway")
WEB = workload_id("shop", "web")


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1", "127.0.0.1:1"), ("::1", "[::1]:15014"), ("127.0.0.9", "localhost"), ("::ffff:127.0.0.1", "localhost:1"), ("::1", "")],
)
def test_this_machine_reads_everything(address, host):
    check(Caller(address, host), "istio-system", None)


@pytest.mark.parametrize(
    ("address", "host"), [("10.0.0.9", "localhost"), ("127.0.0.1", "rebound.example:15014"), ("", ""), ("::1", "[::1")]
)
def test_other_machines_and_rebound_names_show_a_token_first(address, host):
    with pytest.raises(Refused, match="join token") as refused:
        check(Caller(address, host), "istio-system", "shop")
    assert refused.value.status == 401


def test_a_token_of_the_root_namespace_opens_every_page():
    check(Caller("10.0.0.9", "control:15014", GATEWAY), "istio-system", None)
    check(Caller("10.0.0.9", "control:15014", GATEWAY), "istio-system", "shop")


def test_a_token_of_another_namespace_opens_pages_of_its_own_proxies_only():
    check(Caller("10.0.0.9", "control:15014", WEB), "istio-system", "shop")
    for namespace in ("bank", None):
        with pytest.raises(Refused, match="that namespace's proxies only") as refused:
            check(Caller("10.0.0.9", "control:15014", WEB), "istio-system", namespace)
        assert refused.value.status == 403
