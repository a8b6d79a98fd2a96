"""Frames as bytes, read by the `hyperframe` library."""

import hyperframe.frame
import pytest

from pymesh_proxy.http2 import frames as written

from .ends import frames


def read(data):
    frame, length = hyperframe.frame.Frame.parse_frame_header(memoryview(data[:9]))
    frame.parse_body(memoryview(data[9 : 9 + length]))
    assert len(data) == 9 + length
    return frame


def test_each_frame_is_what_it_is_called():
    settings = read(written.settings([(3, 100), (4, 2**31 - 1)]))
    assert settings.settings == {3: 100, 4: 2**31 - 1}
    assert "ACK" in read(written.SETTINGS_ACK).flags
    ping = read(written.ping(b"12345678", ack=True))
    assert (ping.opaque_data, "ACK" in ping.flags) == (b"12345678", True)
    assert "ACK" not in read(written.ping(b"12345678")).flags
    goaway = read(written.goaway(2**31 - 1, 11, b"calm"))
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (2**31 - 1, 11, b"calm")
    reset = read(written.rst_stream(7, 8))
    assert (reset.stream_id, reset.error_code) == (7, 8)
    update = read(written.window_update(0, 2**31 - 1))
    assert (update.stream_id, update.window_increment) == (0, 2**31 - 1)


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("size", [0, 1, 100, 101, 200, 201, 1000])
def test_a_section_is_cut_into_frames_of_the_size_allowed(size, end):
    block = bytes(number % 251 for number in range(size))
    (kind, flags, stream_id, payload), *rest = frames(written.headers_frames(5, block, end, 100))
    assert (kind, stream_id, flags & 1) == ("HEADERS", 5, int(end))
    assert all(kind == "CONTINUATION" and stream_id == 5 for kind, _, stream_id, _ in rest)
    assert payload + b"".join(payload for *_, payload in rest) == block
    assert [flags & 4 for flags in [flags, *(flags for _, flags, _, _ in rest)]] == [0] * len(rest) + [4]
    assert all(len(payload) == 100 for payload in [payload, *(payload for *_, payload in rest)][:-1])


def test_error_codes_have_names():
    assert written.error_name(0) == "NO_ERROR"
    assert written.error_name(13) == "HTTP_1_1_REQUIRED"
    assert written.error_name(0xFF) == "error 0xff"
