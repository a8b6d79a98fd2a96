"""Access log files: batched, off the loop, and never in a request's way."""

import asyncio
import errno
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pymesh_proxy.errors import ConfigError
from pymesh_proxy.observe import access_log
from pymesh_proxy.observe.access_log import FLUSH_SIZE, Sinks
from pymesh_proxy.tcp.session import Phase


def layout(text: str | None = None, json: Any = None) -> Any:
    return SimpleNamespace(text=text, json=json, omit_empty_values=False)


async def test_lines_reach_the_file_when_the_sinks_close(tmp_path: Path, make: Any) -> None:
    sinks = Sinks()
    observe = sinks.log(str(tmp_path / "log"), layout("%PATH%\n"))
    observe.http(make.exchange(b"/a"))
    observe.http(make.exchange(b"/b"))
    assert (tmp_path / "log").read_text() == ""
    await sinks.close()
    assert (tmp_path / "log").read_text() == "/a\n/b\n"


async def test_a_log_without_a_format_has_envoys_default(tmp_path: Path, make: Any) -> None:
    sinks = Sinks()
    sinks.log(str(tmp_path / "text"), layout()).http(make.exchange())
    sinks.log(str(tmp_path / "json"), layout(json={"path": "%PATH%"})).http(make.exchange())
    await sinks.close()
    assert (tmp_path / "text").read_text().startswith('[2023-11-14T22:13:20.123Z] "GET /items?x=1 HTTP/1.1" 200 - ')
    assert (tmp_path / "json").read_text() == '{"path":"/items?x=1"}\n'


async def test_two_loggers_of_one_path_share_a_writer(tmp_path: Path) -> None:
    sinks = Sinks()
    assert sinks.file(str(tmp_path / "log")) is sinks.file(str(tmp_path / "log"))
    await sinks.close()


async def test_a_full_buffer_is_written_before_the_timer(tmp_path: Path) -> None:
    sinks = Sinks(flush_interval=3600)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    sinks.file(str(tmp_path / "pipe")).write("x" * FLUSH_SIZE + "\n")
    assert await asyncio.to_thread(os.read, reader, 10) == b"x" * 10
    os.close(reader)
    await sinks.close()


async def test_the_timer_writes_what_is_not_full(tmp_path: Path) -> None:
    sinks = Sinks(flush_interval=0.001)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    sinks.file(str(tmp_path / "pipe")).write("one\n")
    assert await asyncio.to_thread(os.read, reader, 10) == b"one\n"
    os.close(reader)
    await sinks.close()


async def test_a_tcp_connection_is_logged_once_when_it_has_ended(tmp_path: Path, make: Any) -> None:
    sinks = Sinks()
    observe = sinks.log(str(tmp_path / "log"), layout("%BYTES_SENT%\n")).tcp
    session = make.session(bytes_sent=5)
    observe(session)
    session.phase = Phase.CLOSED
    observe(session)
    await sinks.close()
    assert (tmp_path / "log").read_text() == "5\n"


async def test_reopening_follows_a_rotation_and_loses_no_line(tmp_path: Path) -> None:
    sinks = Sinks()
    writer = sinks.file(str(tmp_path / "log"))
    writer.write("before\n")
    (tmp_path / "log").rename(tmp_path / "log.1")
    sinks.reopen()
    writer.write("after\n")
    await sinks.close()
    assert (tmp_path / "log.1").read_text() == "before\n"
    assert (tmp_path / "log").read_text() == "after\n"


async def test_a_file_that_cannot_be_reopened_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "d").mkdir()
    sinks = Sinks()
    writer = sinks.file(str(tmp_path / "d" / "log"))
    (tmp_path / "d").rename(tmp_path / "moved")
    sinks.reopen()
    writer.write("still\n")
    await sinks.close()
    assert (tmp_path / "moved" / "log").read_text() == "still\n"
    assert "No such file" in caplog.text


async def test_standard_output_can_be_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    sinks = Sinks()
    sinks.file("/dev/stdout").write("to stdout\n")
    sinks.file("/dev/stderr").write("to stderr\n")
    await sinks.close()
    assert capfd.readouterr() == ("to stdout\n", "to stderr\n")


async def test_a_file_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot open access log"):
        Sinks().file(str(tmp_path / "no" / "log"))


async def test_a_disk_that_fails_is_told_once_and_costs_no_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def full(descriptor: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    sinks = Sinks()
    writer = sinks.file(str(tmp_path / "log"))
    monkeypatch.setattr(access_log.os, "write", full)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            writer.write("line\n")
            writer.flush()
        await sinks.close()
    assert caplog.text.count("No space left on device") == 1


async def test_what_waits_for_a_blocked_disk_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(access_log, "BACKLOG_LIMIT", 3 * FLUSH_SIZE)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    sinks = Sinks(flush_interval=3600)
    writer = sinks.file(str(tmp_path / "pipe"))
    for _ in range(10):  # nobody reads the pipe: at most its own 64 KiB are taken
        writer.write("x" * FLUSH_SIZE)
    assert 6 <= writer.dropped <= 8
    os.close(reader)
    await sinks.close()


async def test_a_line_that_a_full_disk_has_cut_does_not_run_into_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write, sizes = os.write, [7, 0]

    def nearly_full(descriptor: int, data: Any) -> int:
        if not sizes:
            return write(descriptor, data)
        size = sizes.pop(0)
        if not size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:size])

    monkeypatch.setattr(access_log.os, "write", nearly_full)
    sinks = Sinks()
    writer = sinks.file(str(tmp_path / "log"))
    for line in ("first\nsecond\n", "third\n", "fourth\n"):
        writer.write(line)
        writer.flush()
    await sinks.close()
    assert (tmp_path / "log").read_text() == "first\ns\nthird\nfourth\n"
