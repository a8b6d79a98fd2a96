"""The command line: exit codes and sentences. Nothing here opens a port."""

from pathlib import Path

import pytest

from pymesh_proxy.launch import Rejected, prepare
from pymesh_proxy.main import main, parser

ENVIRONMENT = {
    "POD_NAME": "a-1",
    "POD_NAMESPACE": "shop",
    "INSTANCE_IP": "127.0.0.1",
    "PROXY_CONFIG": '{"concurrency": 3, "terminationDrainDuration": "7s", "discoveryAddress": "127.0.0.1:15010"}',
}


def rejected(arguments: list[str], environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(Rejected) as caught:
        prepare(parser().parse_args(arguments), environ or {})
    return caught.value.lines


def test_unusable_file_ends_with_64_and_all_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "b.yaml"
    file.write_text("node: {id: [], nam: x}\nadmin: 1\n")
    assert main(["-c", str(file)]) == 64
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(str(file)).split(": ")[0] for line in lines] == [":1:12", ":1:16", ":2:8"]


def test_problems_of_all_parts_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "b.yaml"
    file.write_text("admin:\n  address: {}\n  profile_path: /x\nstatic_resources: {clusters: [{name: a, lb_policy: CLUSTER_PROVIDED}]}\n")
    assert main(["-c", str(file)]) == 64
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{file}:3:17: error: admin.profile_path: not supported"
    assert lines[1].startswith(f"{file}:4:52: error: static_resources.clusters[0].lb_policy: CLUSTER_PROVIDED needs")


def test_missing_file_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "none.yaml"
    assert rejected(["-c", str(file)]) == (f"{file}: cannot be read: No such file or directory",)


def test_overlay_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_text("node: {id: a, cluster: c}\n")
    launch = prepare(parser().parse_args(["-c", str(file), "--config-yaml", "{node: {id: b}}"]), {})
    assert (launch.plan.node.id, launch.plan.node.cluster) == ("b", "c")


@pytest.mark.parametrize("flag", ["--restart-epoch", "--base-id", "--component-log-level"])
def test_flag_of_envoy_that_cannot_be_honoured_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([flag, "1"])
    assert caught.value.code == 2
    assert f"{flag} is not supported: " in capsys.readouterr().err


def test_disable_hot_restart_is_accepted() -> None:
    assert prepare(parser().parse_args(["--config-yaml", "{}", "--disable-hot-restart"]), {}).concurrency == 1


@pytest.mark.parametrize("arguments", [["--drain-time-s", "-1"], ["--drain-time-s", "nan"], ["--concurrency", "x"], ["--mode", "init"]])
def test_wrong_value_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_without_a_file_istio_s_environment_is_the_bootstrap() -> None:
    launch = prepare(parser().parse_args([]), ENVIRONMENT)
    assert launch.plan.node.id == "sidecar~127.0.0.1~a-1.shop~shop.svc.cluster.local"
    assert (launch.concurrency, launch.drain_time) == (3, 7.0)
    assert launch.plan.ads is not None
    assert launch.plan.ads.cluster == "xds-grpc"


def test_flags_win_over_the_environment() -> None:
    launch = prepare(parser().parse_args(["--concurrency", "1", "--drain-time-s", "0"]), ENVIRONMENT)
    assert (launch.concurrency, launch.drain_time) == (1, 0.0)


def test_environment_that_lacks_variables_names_them_all() -> None:
    lines = rejected([], {"POD_NAME": "a"})
    assert [line.strip().split()[0] for line in lines[1:]] == ["POD_NAMESPACE", "INSTANCE_IP"]


def test_taking_clients_addresses_needs_the_right_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymesh_proxy.listener.transparent.permitted", lambda: False)
    lines = rejected([], {**ENVIRONMENT, "PROXY_CONFIG": "interceptionMode: TPROXY"})
    assert lines[1] == "  PROXY_CONFIG.interceptionMode: TPROXY needs the capability NET_ADMIN, which this process does not have"


def test_drain_duration_cannot_be_honoured_and_is_refused() -> None:
    lines = rejected([], {**ENVIRONMENT, "PROXY_CONFIG": "drainDuration: 45s"})
    assert lines[1].startswith("  PROXY_CONFIG.drainDuration: not supported")
