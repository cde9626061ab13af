"""What TLS to a registry trusts and shows: the system's authorities, a file's, and what docker and Podman keep.

They keep it in a folder `certs.d/HOST[:PORT]`: authorities in `*.crt`, the client's own certificate in `*.cert` and
its key beside it in `*.key` (containers-certs.d(5)). Nothing is ever written.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError
from tasks.stores.home_folder import home_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def tls_context(host: str, ca_file: str | None, environment: Mapping[str, str]) -> ssl.SSLContext:
    """What trusts the system's authorities, whose reading takes 25 ms of processor, and what is kept for `host`.

    Raises:
        ConfigurationError: a file can't be read, is no certificate or key, or half of a pair is missing.
    """
    try:
        context = ssl.create_default_context()
    except OSError as error:  # the file for keys that a variable names, as for Wireshark, is opened here
        if error.filename is None:
            raise
        raise ConfigurationError(f"SSLKEYLOGFILE: {error.filename}: {error.strerror}") from error
    # Python's default since 3.13; private authorities often lack what it asks, which docker does not
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file is not None:
        _trust(context, ca_file, f"--ca-file {ca_file}")
    if (folder := certificate_folder(host, environment)) is not None:
        for authority in sorted(folder.glob("*.crt")):
            _trust(context, str(authority), str(authority))
        for certificate, key in _pairs(folder):
            _show(context, certificate, key)
    return context


def certificate_folder(host: str, environment: Mapping[str, str]) -> Path | None:
    """The first folder that is kept for a host, None where there is none or others' rights hide it."""
    return next((place / host for place in _places(environment) if _is_there(place / host)), None)


def _places(environment: Mapping[str, str]) -> list[Path]:
    parents = [Path("/etc/containers"), Path("/etc/docker")]
    with suppress(ConfigurationError):  # without a home there is nothing of the user's own
        own = Path(environment.get("XDG_CONFIG_HOME") or home_of(environment) / ".config")
        parents = [own / "containers", own / "docker", *parents]
    return [parent / "certs.d" for parent in parents]


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except PermissionError:
        return False


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    for found in sorted([*folder.glob("*.cert"), *folder.glob("*.key")]):
        other = found.with_suffix(".key" if found.suffix == ".cert" else ".cert")
        if not other.exists():
            raise ConfigurationError(f"{found}: {other.name}, which belongs to it, is not there")
        if found.suffix == ".cert":
            yield found, other


def _trust(context: ssl.SSLContext, path: str, named: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:
        raise ConfigurationError(f"{named}: {error}") from error


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_pass_phrase)
    except OSError as error:
        raise ConfigurationError(f"{certificate} and {key.name}: {error}") from error


def _no_pass_phrase() -> str:
    """Without an answer, OpenSSL would ask the terminal."""
    raise ConfigurationError("a key in certs.d wants a pass phrase; keep one without, as docker needs it, too")
