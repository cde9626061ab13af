"""Certificates that docker and Podman keep for a registry count here, too: its authorities, and a client's own."""

import datetime as dt
import socket
import ssl
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec

from tasks.oci.errors import ConfigurationError, UntrustedConnectionError
from tasks.stores.registry.transport.http_pool import HttpPool
from tasks.stores.registry.transport.tls_certificates import certificate_folder, tls_context
from tasks.stores.registry.transport.transport_errors import translate
from tests.support.scripted_registry import Reply, ScriptedRegistry

MakePool = Callable[..., HttpPool]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def asks_for_a_certificate(authority: trustme.CA) -> Generator[ScriptedRegistry]:
    """A registry with TLS that lets in nobody without a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ScriptedRegistry(context)
    server.always("GET", "/v2/", Reply(body=b"ok"))
    yield server
    server.stop()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def folder_of(environment: dict[str, str], host: str, place: str = ".config/containers/certs.d") -> Path:
    folder = Path(environment["HOME"]) / place / host
    folder.mkdir(parents=True)
    return folder


def issue(authority: trustme.CA, folder: Path) -> None:
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    own = authority.issue_cert("client.example")
    own.private_key_pem.write_to_path(str(folder / "client.key"))
    own.cert_chain_pems[0].write_to_path(str(folder / "client.cert"))


@pytest.mark.parametrize("place", [".config/containers/certs.d", ".config/docker/certs.d"])
def test_a_registry_that_asks_for_a_certificate_is_shown_that_of_its_folder(
    asks_for_a_certificate: ScriptedRegistry,
    authority: trustme.CA,
    make_pool: MakePool,
    environment: dict[str, str],
    place: str,
) -> None:
    issue(authority, folder_of(environment, asks_for_a_certificate.host, place))
    pool = make_pool(asks_for_a_certificate.host, plain_http=False, environment=environment)
    assert pool.send("GET", "/v2/", {}).body == b"ok"


def test_whoever_has_no_certificate_is_told_where_it_belongs() -> None:
    """As OpenSSL says what a registry in Go answers; the server of these tests only hangs up."""
    said = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)")
    told = translate(said, "GET", "https://r.example/v2/")
    assert isinstance(told, UntrustedConnectionError)
    assert "client.cert and client.key" in str(told)


def test_the_folder_of_another_port_does_not_count(environment: dict[str, str]) -> None:
    folder = folder_of(environment, "r.example:5000")
    assert certificate_folder("r.example:5000", environment) == folder
    assert certificate_folder("r.example", environment) is None
    assert certificate_folder("r.example:443", environment) is None


def test_the_users_own_folder_comes_first(environment: dict[str, str], tmp_path: Path) -> None:
    folder_of(environment, "r.example", ".config/docker/certs.d")
    assert certificate_folder("r.example", environment) == tmp_path / ".config/docker/certs.d/r.example"
    folder_of(environment, "r.example")
    assert certificate_folder("r.example", environment) == tmp_path / ".config/containers/certs.d/r.example"
    moved = folder_of(environment, "r.example", "moved/containers/certs.d")
    assert certificate_folder("r.example", environment | {"XDG_CONFIG_HOME": str(tmp_path / "moved")}) == moved


def test_a_folder_that_others_rights_hide_is_passed_over(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = folder_of(environment, "r.example")
    seen = folder_of(environment, "r.example", ".config/docker/certs.d")
    is_dir = Path.is_dir

    def refused(path: Path) -> bool:
        if path == hidden:
            raise PermissionError
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refused)
    assert certificate_folder("r.example", environment) == seen


def test_a_user_without_a_home_has_no_folder_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no name."""

    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert certificate_folder("r.example", {}) is None


@pytest.mark.parametrize(("missing", "there"), [("client.key", "client.cert"), ("client.cert", "client.key")])
def test_half_a_pair_is_refused_and_named(
    authority: trustme.CA, environment: dict[str, str], missing: str, there: str
) -> None:
    folder = folder_of(environment, "r.example")
    issue(authority, folder)
    (folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=rf"{there}: {missing}, which belongs to it, is not there"):
        tls_context("r.example", None, environment)


@pytest.mark.parametrize("broken", ["ca.crt", "client.cert", "client.key"])
def test_a_file_that_is_no_certificate_or_key_is_refused_and_named(
    authority: trustme.CA, environment: dict[str, str], broken: str
) -> None:
    folder = folder_of(environment, "r.example")
    issue(authority, folder)
    (folder / broken).write_text("none")
    with pytest.raises(ConfigurationError, match=broken.replace("client.key", "client.cert")):
        tls_context("r.example", None, environment)


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_is_asked_for_it(
    authority: trustme.CA, environment: dict[str, str]
) -> None:
    folder = folder_of(environment, "r.example")
    issue(authority, folder)
    key = s.load_pem_private_key((folder / "client.key").read_bytes(), None)
    form = s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret")
    (folder / "client.key").write_bytes(key.private_bytes(*form))
    with pytest.raises(ConfigurationError, match="pass phrase"):
        tls_context("r.example", None, environment)


def test_a_file_for_keys_that_can_not_be_written_is_named_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "gone" / "keys"))
    with pytest.raises(ConfigurationError, match=r"SSLKEYLOGFILE: .*gone/keys: No such file or directory"):
        tls_context("r.example", None, {})


def made_plainly(folder: Path) -> None:
    """An authority (ca.pem) whose constraints are not critical, and a certificate of it that has no word of its key.

    So are those that `openssl x509 -req` made for years, and docker's client trusts them.
    """
    key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name.from_rfc4514_string("CN=authority"), dt.datetime.now(dt.UTC)
    plain = x509.CertificateBuilder().issuer_name(name).serial_number(7).not_valid_before(now)
    plain = plain.not_valid_after(now + dt.timedelta(days=1))
    top = plain.subject_name(name).public_key(key.public_key())
    top = top.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
    host = plain.subject_name(x509.Name.from_rfc4514_string("CN=r.example")).public_key(own.public_key())
    host = host.add_extension(x509.SubjectAlternativeName([x509.DNSName("r.example")]), critical=False)
    for file, certificate in (("ca.pem", top), ("host.pem", host)):
        signed = certificate.sign(key, hashes.SHA256())
        (folder / file).write_bytes(signed.public_bytes(s.Encoding.PEM))
    private = own.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    (folder / "host.key").write_bytes(private)


def test_an_authority_that_docker_trusts_is_trusted_by_each_python(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 3.13 on, Python's own default asks more of it, and the user would be told to name what they named."""
    made_plainly(tmp_path)
    strict, server = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    monkeypatch.setattr(ssl, "create_default_context", lambda: strict)
    server.load_cert_chain(tmp_path / "host.pem", tmp_path / "host.key")
    client = tls_context("r.example", str(tmp_path / "ca.pem"), environment)
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(server.wrap_socket, theirs, server_side=True)
        with client.wrap_socket(ours, server_hostname="r.example") as connected, accepted.result():
            assert connected.getpeercert()
