"""Finds the credentials of a registry where docker, Podman and the environment keep them.

Read: `LAYOUTLIFT_TARGET_USERNAME` and `_PASSWORD`, `REGISTRY_AUTH_FILE`, docker's `DOCKER_AUTH_CONFIG` and
`config.json` with its credential helpers, Podman's `auth.json`. Nothing is ever written.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import os
import re
import shlex
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import ConfigurationError
from tasks.stores.home_folder import home_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)

SLOW_SECONDS = 15.0
"""How long a credential helper may take before it is said what is waited for."""
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers say in place of a name when the secret is a token
_AZURE_USER = "00000000-0000-0000-0000-000000000000"
"""Azure's name for the owner of a refresh token (AAD-OAuth.md); it takes the two as a name and password, too."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and password, or an identity token; neither is ever shown. They are good for `lifetime` seconds.

    `place` is where they were found, for whoever has to mend it; empty where the user just gave them.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    lifetime: float = math.inf
    place: str = field(default="", compare=False)

    @classmethod
    def of(cls, username: str, secret: str) -> Credentials:
        """What a name and its secret mean: some names say that the secret is an identity token.

        Raises:
            ConfigurationError: they hold what is no text.
        """
        try:
            f"{username}{secret}".encode()
        except UnicodeEncodeError:  # not chained: it carries the secret with it
            raise ConfigurationError("the name or password for the target is not in UTF-8") from None
        if username == _TOKEN_USER:
            return cls(identity_token=secret)
        if username == _AZURE_USER:
            return cls(username, identity_token=secret)
        return cls(username, secret)

    @property
    def named(self) -> str:
        """What messages call them."""
        return f"the credentials of {self.place}" if self.place else "the credentials"

    def secrets(self) -> tuple[str, ...]:
        """What nobody may be shown, in each form in which it is sent."""
        return self.password, self.identity_token, self.basic().partition(" ")[2]

    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        pair = f"{self.username}:{self.password or self.identity_token}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def find_credentials(
    host: str,
    prefix: str,
    environment: Mapping[str, str],
    grant: Callable[[], Credentials | None] = lambda: None,
    given: Credentials | None = None,
) -> Credentials | None:
    """The credentials for repositories below `host/prefix`, None when there are none.

    What was given for this target alone comes first.
    What a cloud's own API grants comes before what files hold: a login stored there ends after some hours.

    Raises:
        ConfigurationError: of a name and password one is missing, a file that should be read can't be or is not
            there, or a credential helper fails.
    """
    if given is not None:
        return given
    username = environment.get("LAYOUTLIFT_TARGET_USERNAME", "")
    password = environment.get("LAYOUTLIFT_TARGET_PASSWORD", "")
    if username or password:
        _refuse_half(username, password)
        return replace(Credentials.of(username, password), place="LAYOUTLIFT_TARGET_USERNAME or --username")
    if (granted := grant()) is not None:
        return granted
    for place, config in _configurations(environment):
        found = _from_configuration(config, place, host, prefix)
        if found is not None:
            return replace(found, place=place)
    if (named := environment.get("REGISTRY_AUTH_FILE")) and not Path(named).exists():
        raise ConfigurationError(f"REGISTRY_AUTH_FILE names {named}, which is not there")
    return None


def _refuse_half(username: str, password: str) -> None:
    if not password:
        raise ConfigurationError(
            "a user name is given for the target, but no password: set LAYOUTLIFT_TARGET_PASSWORD or use "
            "--password-stdin"
        )
    if not username:
        raise ConfigurationError(
            "a password is given for the target, but no user name: set LAYOUTLIFT_TARGET_USERNAME or use --username"
        )


def _configurations(environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each place holds that may know credentials; none is read before it is asked for."""
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield named, _read(Path(named))
    if held := environment.get("DOCKER_AUTH_CONFIG"):  # docker's own since version 28.3, and GitLab's before
        yield "DOCKER_AUTH_CONFIG", _parse(held, "DOCKER_AUTH_CONFIG")
    for path in _files(environment):
        yield str(path), _read(path)


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where docker and Podman keep what a login stores."""
    if docker := _folder(environment, "DOCKER_CONFIG", ".docker"):
        yield docker / "config.json"
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.X_OK):  # after `su`, it still names the folder of who was there before
        yield Path(runtime) / "containers" / "auth.json"
    if own := _folder(environment, "XDG_CONFIG_HOME", ".config"):
        yield own / "containers" / "auth.json"


def _folder(environment: Mapping[str, str], variable: str, usual: str) -> Path | None:
    """The folder that a variable names, else the usual one; None without a home to have it."""
    if named := environment.get(variable):
        return Path(named)
    try:
        return home_of(environment) / usual
    except ConfigurationError:
        return None


def _from_configuration(config: dict[str, Any], place: str, host: str, prefix: str) -> Credentials | None:
    helpers = _table(config, "credHelpers")
    auths = _table(config, "auths")
    store = config.get("credsStore")
    for key in _keys(host, prefix):
        known = _as_written(key, helpers)
        if isinstance(helper := helpers.get(known), str):
            if helper:
                return _from_helper(helper, known)
            store = None  # to docker, an empty name means that this host's login is in the file
            break
    if isinstance(store, str) and store:
        for server in _servers(host):
            if (found := _from_helper(store, server)) is not None:
                return found
    for key in _keys(host, prefix):
        entry = auths.get(_as_written(key, auths))
        if isinstance(entry, dict) and (found := _from_entry(entry, place, key)) is not None:
            return found
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"the credentials file {path} can't be read: {error.strerror}") from error
    return _parse(content, f"the credentials file {path}")


def _parse(content: str | bytes, named: str) -> dict[str, Any]:
    try:
        config = json.loads(content) if content.strip() else {}  # /dev/null is how some say that there are none
    except (ValueError, RecursionError):  # not chained: a decoding error carries the content with it
        raise ConfigurationError(f"{named} is no JSON") from None
    if not isinstance(config, dict):
        raise ConfigurationError(f"{named} must hold an object")
    return config


def _table(config: dict[str, Any], name: str) -> dict[str, Any]:
    table = config.get(name)
    return table if isinstance(table, dict) else {}


def _as_written(key: str, table: dict[str, Any]) -> str:
    """A key as a table has it: a host means the same in any letters (RFC 3986 section 3.2.2), and as an address."""
    if key in table:
        return key
    wanted = key.lower()
    return next((known for known in table if wanted in {known.lower(), _host_of_address(known)}), key)


def _host_of_address(key: str) -> str | None:
    """The host of a key with a scheme, or a slash at its end; some writers put the API's path behind it, too."""
    scheme, _, rest = key.lower().rpartition("://")
    return re.sub(r"(/v[12])?/?$", "", rest) if scheme in {"http", "https"} or key.endswith("/") else None


def _servers(host: str) -> list[str]:
    """What a store may know a host as."""
    if host.lower() in _DOCKER_HUB:
        return [_DOCKER_HUB_KEY]
    return list(dict.fromkeys((host, host.lower())))


def _keys(host: str, prefix: str) -> Iterator[str]:
    """Podman's keys may name a namespace; the longest match wins (containers-auth.json(5))."""
    parts = prefix.split("/") if prefix else []
    for length in range(len(parts), -1, -1):
        yield "/".join([host, *parts[:length]])
    if host.lower() in _DOCKER_HUB:
        yield _DOCKER_HUB_KEY
        yield from _DOCKER_HUB


def _from_entry(entry: dict[str, Any], place: str, key: str) -> Credentials | None:
    """What an entry says, as docker reads it; None where all it could say is empty, as after a logout."""
    if not any(map(entry.get, ("identitytoken", "username", "password", "auth"))):
        return None
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    if entry.get("username") and all(isinstance(entry.get(name), str) for name in ("username", "password")):
        return Credentials.of(entry["username"], entry["password"])
    try:
        lines = entry["auth"].split()  # the command base64 breaks a long one
        username, colon, password = base64.b64decode("".join(lines), validate=True).decode().partition(":")
    except (KeyError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{place}: the entry for {key} holds no usable credentials") from error
    if not colon:
        raise ConfigurationError(f"{place}: the entry for {key} holds no name and password")
    if not username and not password:
        return None
    return Credentials.of(username, password.rstrip("\0"))


def _from_helper(helper: str, server: str) -> Credentials | None:
    """Ask `docker-credential-<helper>`; docker's own library speaks its protocol."""
    from docker.credentials import Store, errors  # noqa: PLC0415 - slow to import, and rarely needed

    program = f"docker-credential-{helper}"
    if shutil.which(program) is None:
        raise ConfigurationError(f"{program}, which is to know the credentials for {server}, is not installed")
    try:
        with _told_if_slow(f"{program}, which is to know the credentials for {server}, has not answered yet"):
            answer = Store(helper, environment=dict(os.environ)).get(server)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except errors.CredentialsNotFound:
        return None
    except errors.StoreError:  # not chained, nor is the next: such an error carries the answer with it
        raise ConfigurationError(
            f"{program} failed for {server}; to see why: echo {shlex.quote(server)} | {program} get"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        reason = type(error).__name__
        raise ConfigurationError(f"{program} gave no usable answer for {server}: {reason}") from None
    return Credentials.of(username, secret)


@contextmanager
def _told_if_slow(message: str) -> Iterator[None]:
    """Whoever has no terminal does not see that a helper asks for the password of its own store."""
    told = threading.Timer(SLOW_SECONDS, logger.warning, (message,))
    told.daemon = True
    told.start()
    try:
        yield
    finally:
        told.cancel()
