import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh_proxy.listener import detect
from pymesh_proxy.listener.detect import ClientHello, Verdict


def hello(server_name=None, alpn=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def test_a_client_hello_tells_its_server_name_and_protocols():
    data = hello("Outbound_.80_._.reviews.default.svc.cluster.local", ["istio", "h2"])
    assert detect.client_hello(data) == ClientHello("outbound_.80_._.reviews.default.svc.cluster.local", ("istio", "h2"))


def test_every_prefix_of_a_client_hello_needs_more():
    data = hello("a.test", ["http/1.1"])
    assert all(detect.client_hello(data[:end]) is Verdict.NEED_MORE for end in range(len(data)))


def test_a_client_hello_in_many_records_is_read():
    data = hello("a.test")
    body = data[5:]
    split = b"".join(b"\x16\x03\x01" + len(body[i : i + 10]).to_bytes(2, "big") + body[i : i + 10] for i in range(0, len(body), 10))
    assert detect.client_hello(split) == detect.client_hello(data)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(data):
    detect.client_hello(data)
    detect.client_hello(b"\x16\x03\x01" + data)
    detect.http(data)


WORDS = st.sampled_from([b"GET", b"PRI", b"get", b"CONNECT", b"/", b"*", b"a:1", b"http://a/", b"HTTP/1.1", b"HTTP/2.0", b"x", b""])
LINES = st.builds(lambda words, blank, end: blank.join(words) + end, st.lists(WORDS, max_size=4), st.sampled_from([b" ", b"  ", b"\t"]),
                  st.sampled_from([b"\r\n", b"\n", b"\r\n\r\nSM\r\n\r\n"]))  # fmt: skip


@given(LINES, st.sampled_from([hello("a.test", ["h2"]), b"\x16\x03", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x16\x04"]))
def test_what_is_said_of_a_beginning_holds_for_the_whole(line, greeting):
    for inspect, data in ((detect.http, line), (detect.client_hello, greeting)):
        verdicts = [inspect(data[:end]) for end in range(1, len(data) + 1)]
        decided = [verdict for verdict in verdicts if verdict is not Verdict.NEED_MORE]
        assert all(verdict == decided[0] for verdict in decided)
        assert verdicts[len(verdicts) - len(decided) :] == decided, "what is decided stays so"


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"GET / HTTP/1.1\r\n", "http/1.1"),
        (b"PATCH /x HTTP/1.0\r\n", "http/1.0"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h2c"),
        (b"PRI * HT", Verdict.NEED_MORE),
        (b"GE", Verdict.NEED_MORE),
        (b"GET /no-end", Verdict.NEED_MORE),
        (b"SSH-2.0-OpenSSH_9\r\n", Verdict.NO),
        (b"\x00\x01", Verdict.NO),
        (b"GET / FTP/1.1\r\n", Verdict.NO),
        (b"FLY / HTTP/1.1\r\n", "http/1.1"),
        (b"GET /\r\n", "http/1.0"),
        (b"GET / HTTP/3.0\r\n", "http/1.0"),
        (b"CONNECT a:1 HTTP/1.1\r\n", "http/1.1"),
        (b"EHLO a.test\r\n", Verdict.NO),
        (b"get key\r\n", Verdict.NO),
        (b"*1\r\n$4\r\nPING\r\n", Verdict.NO),
        (b"AMQP\x00", Verdict.NO),
        (b"\r\n", Verdict.NO),
        (b"", Verdict.NEED_MORE),
        (b"GET /" + b"a" * 9000, Verdict.NO),
    ],
)
def test_http_is_told_from_its_first_line(data, verdict):
    assert detect.http(data) == verdict
