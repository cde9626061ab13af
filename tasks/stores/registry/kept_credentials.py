"""Keeps the credentials that were found: a helper is a program that takes its time, and may ask a cloud for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError, ConnectionFailedError
from tasks.stores.hidden_secrets import remember
from tasks.stores.registry.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

NONE_CONFIGURED = (
    "none is configured; log in with docker or podman, or set LAYOUTLIFT_TARGET_USERNAME and "
    "LAYOUTLIFT_TARGET_PASSWORD"
)
USED_SHARE = 0.8
"""Of the life of credentials or a token: a request that takes long must not outlive what it was sent with."""


class KeptCredentials:
    """Finds them when they are first asked for, and again at the end of their life; safe to share by all workers."""

    def __init__(self, find: Callable[[], Credentials | None], clock: Callable[[], float]) -> None:
        self._find = find
        self._clock = clock
        self._lock = threading.Lock()
        self._has_found = False
        self._named = Credentials().named
        self._kept: tuple[Credentials, float] | None = None

    @property
    def is_kept(self) -> bool:
        """Whether there are some that were found before, and may be refused by now."""
        return self._kept is not None

    @property
    def are_found(self) -> bool:
        """Whether there were any when they were last looked for."""
        return self._has_found

    @property
    def named(self) -> str:
        """What messages call those that were found last."""
        return self._named

    def forget(self) -> None:
        """Have them found anew when they are asked for next."""
        self._kept = None

    def get(self) -> Credentials | None:
        """What is kept, else what is found.

        Where something was found before, who hands it out may be away for the moment: a credential helper asks over
        the network that the registry is on, and fails with it.

        Raises:
            ConfigurationError: the credentials can't be found, and never were.
            ConnectionFailedError: they were, and can't be had for the moment.
        """
        with self._lock:
            kept = self._kept
            if kept is not None and self._clock() < kept[1]:
                return kept[0]
            found = self._found()
            self._kept = None if found is None else (found, self._clock() + found.lifetime * USED_SHARE)
            return found

    def _found(self) -> Credentials | None:
        try:
            found = self._find()
        except ConfigurationError as error:
            if not self._has_found:
                raise
            raise ConnectionFailedError(str(error)) from None
        self._has_found = found is not None
        self._named = (found or Credentials()).named
        for secret in () if found is None else found.secrets():
            remember(secret)  # some registries repeat it in words of their own
        return found
