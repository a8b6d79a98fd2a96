"""The file in which registrations outlive the process."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pymesh_control.model.workload import Workload
from pymesh_control.registration.ledger import Ledger

WEB = Workload(name="web", namespace="shop", ip="127.0.0.2", labels={"app": "web"}, ports={"http": 21001}, node_id="n", tls_mode="istio")


def test_what_was_written_is_read(tmp_path):
    Ledger(tmp_path).write([WEB])
    assert Ledger(tmp_path).read() == [WEB]


def test_a_new_folder_holds_nothing(tmp_path):
    assert Ledger(tmp_path).read() == []


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": 2, "workloads": []}', '{"format": 1, "workloads": [{"name": "a", "colour": "blue"}]}', "\xff"],
)
def test_a_file_that_cannot_be_used_counts_as_empty_and_is_told(tmp_path, caplog, content):
    ledger = Ledger(tmp_path)
    ledger.path.write_text(content, encoding="latin-1")
    assert ledger.read() == []
    assert "cannot use the registrations" in caplog.text


def test_a_draft_left_by_a_killed_process_does_not_matter(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write([WEB])
    ledger.path.with_suffix(".tmp").write_text("{")
    assert ledger.read() == [WEB]
    ledger.write([])
    assert ledger.read() == []


def test_several_threads_may_write_at_once(tmp_path):
    ledger = Ledger(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: ledger.write([WEB] * 20), range(40)))  # raises what any of them did
    assert ledger.read() == [WEB] * 20
