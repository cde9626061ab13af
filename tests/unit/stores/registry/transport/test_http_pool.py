"""Connections are used again, deadlines hold, credentials stay at home, answers are bounded."""

import gzip
import socket
import ssl
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from urllib3 import exceptions as urllib3_exceptions

from tasks.oci.errors import (
    ConfigurationError,
    ConnectionFailedError,
    LayoutliftError,
    TransferStalledError,
    UnexpectedAnswerError,
    UntrustedConnectionError,
    is_transient,
)
from tasks.stores.registry.transport.http_pool import MAX_ANSWER_SIZE, HttpPool
from tasks.stores.registry.transport.target_warnings import MOST_WARNINGS
from tasks.stores.registry.transport.transport_errors import translate
from tests.support.scripted_registry import Reply, ScriptedRegistry

MakePool = Callable[..., HttpPool]
SECRET = {"Authorization": "Basic c2VjcmV0"}


def test_one_connection_serves_many_requests(script: ScriptedRegistry, make_pool: MakePool) -> None:
    pool = make_pool(script.host)
    for method in ("GET", "HEAD", "POST", "HEAD", "PUT", "GET"):
        script.expect(method, "/v2/", Reply(200, {"Content-Type": "text/plain"}, b"" if method == "HEAD" else b"ok"))
        assert pool.send(method, "/v2/", {}, b"x" if method in {"POST", "PUT"} else None).status == 200
    assert len({request.connection for request in script.requests}) == 1
    assert pool.requests_made == 6


@pytest.mark.parametrize("size", [20, 1_000_000])
def test_a_body_left_unread_is_not_taken_for_the_next_answer(
    script: ScriptedRegistry, make_pool: MakePool, size: int
) -> None:
    pool = make_pool(script.host, connections=1)
    script.expect("GET", "/large", Reply(body=b"x" * size))
    script.expect("GET", "/next", Reply(body=b"next"))
    with pool.open("GET", "/large", {}) as answer:
        assert answer.read(10) == b"x" * 10
    assert pool.send("GET", "/next", {}).body == b"next"


def test_a_body_is_sent_as_it_is_given(script: ScriptedRegistry, make_pool: MakePool) -> None:
    pool = make_pool(script.host)
    script.always("PUT", "/u", Reply(201))
    parts = [memoryview(b"ab"), bytearray(b"cd"), b"e"]
    pool.send("PUT", "/u", {"Content-Length": "5"}, iter(parts))
    pool.send("PUT", "/u", {"Content-Length": "0"}, b"")
    assert [request.body for request in script.requests] == [b"abcde", b""]
    assert all("transfer-encoding" not in request.headers for request in script.requests)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_what_a_registry_warns_of_is_said_once(
    script: ScriptedRegistry, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    """As the distribution specification has it ("Warnings"): a retention that begins, say, or a name that moves."""
    several = (
        '299 - "It says \\"soon\\", and moves.", 199 - "Stale, 299 - here.", 299 - "Tags go after 30 days." "Sun, 1"'
    )
    script.expect("GET", "/v2/", *(Reply(headers={"Warning": several}) for _ in range(3)), Reply())
    pool = make_pool(script.host)
    for _ in range(4):
        pool.send("GET", "/v2/", {})
    assert warned(caplog) == [
        'the target says: It says "soon", and moves.',
        "the target says: Tags go after 30 days.",
    ]


def test_a_warning_shows_no_secret_steers_no_terminal_and_is_cut(
    script: ScriptedRegistry, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"\x9b2J for Bearer c2VjcmV0LnNlY3JldA== {'x' * 2000}"
    script.expect("GET", "/v2/", Reply(headers={"Warning": f'299 - "{text}"'}))
    make_pool(script.host).send("GET", "/v2/", {})
    (said,) = warned(caplog)
    assert said.startswith("the target says: 2J for Bearer … xxx")
    assert said.isprintable()
    assert len(said) < 600


def test_of_very_many_warnings_the_first_are_said(
    script: ScriptedRegistry, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(script.host)
    for number in range(3):
        said = ",".join(f'299 - "{number} {each}"' for each in range(15))
        script.expect("GET", "/v2/", Reply(headers={"Warning": said}))
        pool.send("GET", "/v2/", {})
    assert len(warned(caplog)) == MOST_WARNINGS


def test_what_another_host_warns_of_is_not_the_targets(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    script.expect("GET", "/blob", Reply(307, {"Location": f"{elsewhere.url}/data"}))
    elsewhere.expect("GET", "/data", Reply(headers={"Warning": '299 - "elsewhere"'}))
    make_pool(script.host).send("GET", "/blob", {})
    assert warned(caplog) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_to_another_host(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_pool: MakePool, status: int
) -> None:
    script.expect("GET", "/blob", Reply(status, {"Location": f"{elsewhere.url}/data?signature=s"}))
    elsewhere.expect("GET", "/data", Reply(body=b"data"))
    assert make_pool(script.host).send("GET", "/blob", SECRET).body == b"data"
    assert script.requests[0].headers["authorization"] == SECRET["Authorization"]
    assert "authorization" not in elsewhere.requests[0].headers
    assert elsewhere.requests[0].query == {"signature": ["s"]}


def test_what_is_kept_elsewhere_is_read_as_it_is(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_pool: MakePool
) -> None:
    """Stores of objects name an encoding for layers that are compressed in themselves; their digests go by that."""
    layer = gzip.compress(b"layer")
    script.expect("GET", "/blob", Reply(307, {"Location": f"{elsewhere.url}/data"}))
    elsewhere.expect("GET", "/data", Reply(headers={"Content-Encoding": "gzip"}, body=layer))
    assert make_pool(script.host).send("GET", "/blob", {}).body == layer


def test_credentials_do_not_follow_to_a_host_before_a_backslash(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_pool: MakePool
) -> None:
    """urllib3 ends a host there, and the standard library takes what stands before the last @ for a name."""
    script.expect("GET", "/blob", Reply(307, {"Location": f"{elsewhere.url}\\@{script.host}/data"}))
    script.expect("GET", "/data", Reply(body=b"data"))
    elsewhere.always("GET", "/", lambda _: Reply(body=b"stolen"))
    assert make_pool(script.host).send("GET", "/blob", SECRET).body == b"data"
    assert elsewhere.requests == []


def test_credentials_follow_on_the_same_host(script: ScriptedRegistry, make_pool: MakePool) -> None:
    script.expect("HEAD", "/a", Reply(307, {"Location": "/b"}))
    script.expect("HEAD", "/b", Reply())
    answer = make_pool(script.host).send("HEAD", "/a", SECRET)
    assert answer.url == f"{script.url}/b"
    assert script.requests[1].headers["authorization"] == SECRET["Authorization"]


@pytest.mark.parametrize("asked", ["/a", "/elsewhere"])
def test_a_place_with_letters_that_no_address_has_is_asked_for_escaped(
    script: ScriptedRegistry, make_pool: MakePool, asked: str
) -> None:
    place = script.url if asked == "/elsewhere" else ""
    script.expect("GET", asked, Reply(307, {"Location": f"{place}/caf\xe9 b?c=\x1b[1m+%20/d"}))
    script.expect("GET", "/caf%E9%20b", Reply(body=b"data"))
    answer = make_pool(script.host).send("GET", asked, {})
    assert answer.body == b"data"
    assert script.requests[1].query == {"c": ["\x1b[1m  /d"]}


def test_a_redirect_whose_body_breaks_off_is_followed_all_the_same(
    script: ScriptedRegistry, make_pool: MakePool
) -> None:
    script.expect("GET", "/a", Reply(307, {"Location": "/b"}, b"moved", cut=2))
    script.expect("GET", "/b", Reply(body=b"data"))
    assert make_pool(script.host).send("GET", "/a", {}).body == b"data"


def test_a_circle_of_redirects_ends(script: ScriptedRegistry, make_pool: MakePool) -> None:
    script.always("GET", "/a", Reply(302, {"Location": "/a"}))
    with pytest.raises(UnexpectedAnswerError, match="redirects"):
        make_pool(script.host).send("GET", "/a", {})


def test_an_upload_is_never_redirected(script: ScriptedRegistry, make_pool: MakePool) -> None:
    script.expect("PUT", "/a", Reply(307, {"Location": "/b"}))
    assert make_pool(script.host).send("PUT", "/a", {}, b"x").status == 307


def test_an_answer_larger_than_any_is_not_taken_in(script: ScriptedRegistry, make_pool: MakePool) -> None:
    script.always("GET", "/a", lambda request: Reply(body=bytes(MAX_ANSWER_SIZE + int(request.query["more"][0]))))
    pool = make_pool(script.host)
    assert len(pool.send("GET", "/a?more=0", {}).body) == MAX_ANSWER_SIZE
    with pytest.raises(UnexpectedAnswerError, match="more than"):
        pool.send("GET", "/a?more=1", {})


@pytest.mark.parametrize(
    ("origin", "location", "leads_to", "kept"),
    [
        ("https://h/v2/", "/v2/u/1?_state=a%2Fb", "https://h/v2/u/1?_state=a%2Fb", True),
        ("https://h/v2/", "u/1", "https://h/v2/u/1", True),
        ("https://h/v2/", "//h/u/1", "https://h/u/1", True),
        ("https://h/v2/", "https://h/u", "https://h/u", True),
        ("https://h/v2/", "https://h:443/u", "https://h:443/u", True),
        ("https://h:443/v2/", "https://h/u", "https://h/u", True),
        ("http://h/v2/", "http://h:80/u", "http://h:80/u", True),
        ("http://h/v2/", "https://h/u", "https://h/u", True),
        ("https://h:5000/v2/", "http://h:5000/u", "https://h:5000/u", True),
        ("https://h/v2/", "http://h/u", "https://h/u", True),
        ("https://h/v2/", "https://h:444/u", "https://h:444/u", False),
        ("http://h:5000/v2/", "http://h/u", "http://h/u", False),
        ("https://h/v2/", "https://evil.h/u", "https://evil.h/u", False),
        ("https://h/v2/", "https://h@evil/u", "https://h@evil/u", False),
        ("https://h/v2/", "https://H/u", "https://H/u", True),
        ("https://h/v2/", "https://h\\@evil/u", "https://h%5C@evil/u", False),
    ],
)
def test_where_a_location_leads_and_whether_credentials_go_along(
    make_pool: MakePool, origin: str, location: str, leads_to: str, kept: bool
) -> None:
    url, headers = make_pool("unused").next_hop(origin, location, {"authorization": "x", "Accept": "y"})
    assert url == leads_to
    assert headers == ({"authorization": "x", "Accept": "y"} if kept else {"Accept": "y"})


@pytest.mark.parametrize(
    "location", ["http://other/u", "ftp://h/u", "file:///etc/passwd", "javascript:x", "https://h:x/u", "https://[h/u"]
)
def test_a_location_that_leads_astray_is_refused(make_pool: MakePool, location: str) -> None:
    with pytest.raises(UntrustedConnectionError) as refusal:
        make_pool("unused").next_hop("https://h/v2/", location, {})
    assert not is_transient(refusal.value)


def test_where_a_location_leads_is_not_told_without_end(make_pool: MakePool) -> None:
    with pytest.raises(UntrustedConnectionError) as refusal:
        make_pool("unused").next_hop("https://h/v2/", f"ftp://h/{'u' * 1_000_000}", {})
    assert len(str(refusal.value)) < 2_000


@pytest.mark.parametrize("reply", [Reply(silent=True, body=b"x", headers={"Content-Length": "9"}), Reply(deaf=True)])
def test_a_peer_that_goes_silent_is_left(script: ScriptedRegistry, make_pool: MakePool, reply: Reply) -> None:
    script.expect("GET", "/a", reply)
    with pytest.raises(TransferStalledError):
        make_pool(script.host, stall_timeout=0.2).send("GET", "/a", {})


def test_a_peer_that_stops_reading_is_left(script: ScriptedRegistry, make_pool: MakePool) -> None:
    script.expect("PUT", "/a", Reply(deaf=True))
    size = 64 * 1024 * 1024
    with pytest.raises(TransferStalledError):
        make_pool(script.host, stall_timeout=0.2).send(
            "PUT", "/a", {"Content-Length": str(size)}, (bytes(1 << 20) for _ in range(64))
        )


def test_sending_has_the_time_of_a_stall_not_of_connecting(script: ScriptedRegistry, make_pool: MakePool) -> None:
    """The peer reads nothing for longer than connecting may take, and then goes on."""
    import threading  # noqa: PLC0415 - only here

    script.expect("PUT", "/a", Reply(201))
    reading = script.hold_bodies()
    timer = threading.Timer(0.6, reading.set)
    timer.start()
    pool = make_pool(script.host, connect_timeout=0.2, stall_timeout=10)
    size = 32 * 1024 * 1024
    answer = pool.send("PUT", "/a", {"Content-Length": str(size)}, (bytes(1 << 20) for _ in range(32)))
    timer.join()
    assert answer.status == 201


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(body=b"0123456789", cut=5)], ids=["reset", "cut short"])
def test_a_broken_connection_may_pass(script: ScriptedRegistry, make_pool: MakePool, reply: Reply) -> None:
    script.expect("GET", "/a", reply)
    with pytest.raises(ConnectionFailedError) as failure:
        make_pool(script.host).send("GET", "/a", {})
    assert is_transient(failure.value)


def test_a_host_that_does_not_answer_is_named(make_pool: MakePool, script: ScriptedRegistry) -> None:
    script.stop()
    with pytest.raises(ConnectionFailedError, match=script.host) as raised:
        make_pool(script.host).send("GET", "/v2/?secret=s", {})
    assert "refused" in str(raised.value), "nobody is there; that is not the same as no answer in time"


def test_where_nothing_listens_or_no_host_is_known_it_says_what_to_look_at(make_pool: MakePool) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(ConnectionFailedError, match=r"nothing listens there: look at host and port"):
            make_pool(f"127.0.0.1:{bound.getsockname()[1]}").send("GET", "/a", {})
    with pytest.raises(ConnectionFailedError, match=r"look at (its name|this machine's DNS)"):
        make_pool("registry.invalid").send("GET", "/a", {})


@pytest.mark.parametrize(("plain_http", "port"), [(True, 80), (False, 443)])
@pytest.mark.parametrize(("host", "name"), [("[::1]", "::1"), ("registry.example", "registry.example")])
def test_a_host_without_a_port_is_reached_at_that_of_its_scheme(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, host: str, name: str, plain_http: bool, port: int
) -> None:
    """The standard library takes the end of an IPv6 address for a port where it is given none."""
    reached: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], *_: object, **__: object) -> None:
        reached.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    with pytest.raises(ConnectionFailedError):
        make_pool(host, plain_http=plain_http).send("GET", "/v2/", {})
    assert reached == [(name, port)]


def test_what_the_body_raises_passes_unchanged(script: ScriptedRegistry, make_pool: MakePool) -> None:
    def body() -> Generator[bytes]:
        yield b"x"
        raise LayoutliftError("the source broke")

    script.always("PUT", "/a", Reply(201))
    with pytest.raises(LayoutliftError, match="the source broke"):
        make_pool(script.host).send("PUT", "/a", {"Content-Length": "5"}, body())


def concrete(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in concrete(child))]


@pytest.mark.parametrize("kind", sorted(set(concrete(urllib3_exceptions.HTTPError)), key=lambda kind: kind.__name__))
def test_every_exception_of_urllib3_has_a_translation(kind: type[urllib3_exceptions.HTTPError]) -> None:
    error = kind.__new__(kind)
    vars(error).update(partial=1, expected=2, length=3)  # what two of them show
    translated = translate(error, "GET", "https://me:pw@h/a?token=t")
    assert isinstance(translated, LayoutliftError)
    assert "pw" not in str(translated)
    assert "token" not in str(translated)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_script(authority: trustme.CA) -> Generator[ScriptedRegistry]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ScriptedRegistry(context)
    yield server
    server.stop()


def test_a_ca_file_makes_its_certificates_trusted(
    tls_script: ScriptedRegistry, authority: trustme.CA, make_pool: MakePool, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls_script.expect("GET", "/v2/", Reply(body=b"ok"))
    pool = make_pool(tls_script.host, plain_http=False, ca_file=str(tmp_path / "ca.pem"))
    assert pool.send("GET", "/v2/", {}).body == b"ok"


def test_a_certificate_that_is_not_trusted_is_refused_for_good(
    tls_script: ScriptedRegistry, make_pool: MakePool
) -> None:
    with pytest.raises(UntrustedConnectionError, match="--ca-file") as refusal:
        make_pool(tls_script.host, plain_http=False).send("GET", "/v2/", SECRET)
    assert not is_transient(refusal.value)
    assert tls_script.requests == []


@pytest.mark.parametrize(
    ("host", "not_after", "hint"),
    [
        ("elsewhere.example", None, "certificate is of another host: correct the address"),
        ("127.0.0.1", datetime(2020, 1, 1, tzinfo=UTC), "renew the certificate"),
    ],
    ids=["of another host", "expired"],
)
def test_a_certificate_that_is_no_good_is_refused_with_what_helps(
    authority: trustme.CA, make_pool: MakePool, tmp_path: Path, host: str, not_after: datetime | None, hint: str
) -> None:
    """Further authorities would not, and TLS is not to be turned off for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, not_after=not_after).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = ScriptedRegistry(context)
    try:
        with pytest.raises(UntrustedConnectionError, match=hint) as refusal:
            make_pool(server.host, plain_http=False, ca_file=str(tmp_path / "ca.pem")).send("GET", "/v2/", SECRET)
        assert "--" not in str(refusal.value)
    finally:
        server.stop()


def test_tls_to_a_registry_without_it_is_refused_with_a_hint(script: ScriptedRegistry, make_pool: MakePool) -> None:
    with pytest.raises(UntrustedConnectionError, match="--plain-http"):
        make_pool(script.host, plain_http=False).send("GET", "/v2/", SECRET)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_a_configuration_error(
    make_pool: MakePool, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="--ca-file"):
        make_pool("h", plain_http=False, ca_file=str(path))
