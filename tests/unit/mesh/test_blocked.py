"""`pymesh blocked` over what proxies count."""

import http.server
import threading

import pytest
import yaml
from click.testing import CliRunner

from pymesh.api import parse_text
from pymesh.cli import main

_LABELS = 'destination_service_name="{name}",destination_service="{host}",source_workload="{source}",response_code="{code}"'


def sample(host, number, name="BlackHoleCluster", source="caller", code=502):
    return f"istio_requests_total{{{_LABELS.format(host=host, name=name, source=source, code=code)}}} {number}\n"


COUNTED = (
    "# TYPE istio_requests_total counter\n"
    + sample("api.example.com", 3)
    + sample("api.example.com", 2, code=503)
    + sample("10.0.0.7:8080", 1)
    + sample("store.example.com:8443", 4, source="web")
    + sample("reviews", 9, name="reviews", code=200)
    + "# TYPE istio_tcp_connections_opened_total counter\n"
    + 'istio_tcp_connections_opened_total{destination_service_name="BlackHoleCluster"} 6\n'
)


class Admin(http.server.BaseHTTPRequestHandler):
    """A proxy's admin interface with these metrics."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(COUNTED.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def admin():
    with http.server.HTTPServer(("127.0.0.1", 0), Admin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def run(*arguments):
    return CliRunner().invoke(main, ["blocked", *arguments])


def test_hosts_are_told_with_who_called_them_how_often(admin):
    result = run(admin)
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()[:4]] == [
        ["HOST", "PROTOCOL", "CALLS", "SOURCE"],
        ["10.0.0.7:8080", "HTTP", "1", "caller"],
        ["api.example.com", "HTTP", "5", "caller"],
        ["store.example.com:8443", "HTTP", "4", "web"],
    ]
    assert result.output.splitlines()[4].startswith("and 6 connections that were not HTTP")


def test_what_several_proxies_count_is_added(admin):
    assert ["api.example.com", "HTTP", "10", "caller"] in [line.split() for line in run(admin, admin).output.splitlines()]


def test_each_host_can_be_had_as_a_service_entry_that_is_valid(admin):
    result = run(admin, "-o", "yaml")
    parsed = parse_text(result.output, "blocked.yaml")
    assert [str(problem) for problem in parsed.problems] == []
    told = {one["metadata"]["name"]: one["spec"] for one in yaml.safe_load_all(result.output)}
    assert set(told) == {"api-example-com", "store-example-com-8443", "10-0-0-7-8080"}
    assert told["store-example-com-8443"]["ports"] == [{"number": 8443, "name": "http", "protocol": "HTTP"}]
    assert (told["10-0-0-7-8080"]["addresses"], told["10-0-0-7-8080"]["resolution"]) == (["10.0.0.7"], "NONE")
