"""Says which of Prefect's settings is wrong, where Prefect can't be imported, or can't connect, with it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from tomllib import TOMLDecodeError
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CORRECT = "correct the variable PREFECT_… or the profile that has it"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_FILES = "profiles.toml, or a prefect.toml, pyproject.toml or .env in this folder"


@contextmanager
def wrong_settings_told() -> Iterator[None]:
    """Make an error of ours, in one line, of what an import of Prefect raises about its settings.

    A value is not shown: it may be a secret.

    Raises:
        ConfigurationError: a variable PREFECT_…, a profile or a file holds what Prefect does not take, or can't be
            read.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        if (wrong := _wrong(error)) is None:
            raise
        raise ConfigurationError(wrong) from error


def refuse_missing_certificates() -> None:
    """See to a file of which Prefect, and its server, say no more than "No such file", even where none is needed.

    Raises:
        ConfigurationError: the variable that names it names no file.
    """
    name = next((each for each in ("PREFECT_API_SSL_CERT_FILE", "SSL_CERT_FILE") if os.environ.get(each)), None)
    if name is not None and not os.path.isfile(os.environ[name]):  # noqa: PTH113 - as false where it may not be looked at
        raise ConfigurationError(f"{name}: there is no file {os.environ[name]}; correct the variable, or unset it")


def refuse_unusable_proxies() -> None:
    """See to the proxies that Prefect's client reads as soon as there is one, even for a server on this machine.

    A value is not shown: a proxy's address may hold a password.

    Raises:
        ConfigurationError: a variable says what it can't use.
    """
    names = [name for name, value in os.environ.items() if value and name.lower() in _PROXIES]
    if not names:
        return
    import ssl  # noqa: PLC0415 - with httpx

    import httpx  # noqa: PLC0415 - with Prefect, which needs it anyway

    try:
        httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).close()  # one of its own takes long to make
    except (httpx.InvalidURL, ImportError, ValueError):
        *others, last = names
        which = f"one of {', '.join(others)} and {last}" if others else last
        raise ConfigurationError(
            f"Prefect's client can't use what {which} says: it takes proxies of http and https, and in NO_PROXY no "
            "networks of IPv6 and no addresses in brackets; correct that"
        ) from None


def _wrong(error: ValueError | OSError) -> str | None:
    """What is wrong with which setting; None where an error is about none."""
    from pydantic import ValidationError  # noqa: PLC0415 - loaded with Prefect

    if isinstance(error, ValidationError) and error.title.endswith("Settings"):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return f"Prefect does not take {field} of its {error.title}: {first['msg']}; {_CORRECT}"
    if type(error).__name__ == "SettingsError":  # of a package that only Prefect needs: it is not imported for this
        return f"Prefect can't read its settings: {str(error).splitlines()[0]}; {_CORRECT}"
    if isinstance(error, TOMLDecodeError):
        return f"Prefect can't read a file of its settings ({_FILES}): {error}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"Prefect can't be loaded: {error.filename}: {error.strerror}"
    return None
