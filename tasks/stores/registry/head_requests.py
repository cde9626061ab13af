"""Asks what a registry has without reading it; where HEAD is refused, it has to be read."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from tasks.oci.errors import is_transient
from tasks.stores.registry.registry_answers import error_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.stores.registry.oras_provider import OrasProvider
    from tasks.stores.registry.request_retry import RequestRetry
    from tasks.stores.registry.scopes import Scopes
    from tasks.stores.registry.transport.http_answers import HttpAnswer

logger = logging.getLogger(__name__)

_FOUND_OR_NOT = frozenset({HTTPStatus.OK, HTTPStatus.NOT_FOUND})
_REFUSED = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""How proxies say that only GET gets through; no registry should say so (distribution-spec v1.1.1, "Pull")."""


class HeadRequests:
    """HEAD requests for `what`, manifests or blobs, of one registry; safe to share by all workers."""

    def __init__(self, provider: OrasProvider, retry: RequestRetry, what: str) -> None:
        self._provider = provider
        self._retry = retry
        self._what = what
        self._is_taken = True

    def ask(
        self, path: str, scopes: Scopes, attempted: str, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer | None:
        """An answer of 200 or 404; None where only a GET tells more.

        That is so where HEAD is refused, and then it is sent no more; and of what may not be read, as no answer to
        HEAD has words that say why: Harbor's 412 is of what was not scanned or signed yet.

        Raises:
            RegistryError: the registry is in trouble for the moment.
        """

        def attempt() -> HttpAnswer:
            answer = self._provider.do_request(path, "HEAD", None, headers, scopes)
            if answer.status not in _FOUND_OR_NOT and not self._is_refused(answer):
                error = error_of(answer, attempted)
                if is_transient(error):
                    raise error
            return answer

        answer = self._retry(attempt) if self._is_taken else None
        if answer is None or answer.status in _FOUND_OR_NOT:
            return answer
        if self._is_taken and self._is_refused(answer):
            self._is_taken = False
            logger.warning(
                "the target answers %d to HEAD: %s are read instead, which may count as pulls",
                answer.status,
                self._what,
            )
        return None

    def _is_refused(self, answer: HttpAnswer) -> bool:
        """Whether HEAD is not taken; some registries lead it to a store, to an address signed for GET alone."""
        is_elsewhere = answer.status == HTTPStatus.FORBIDDEN and not self._provider.is_own(answer.url)
        return answer.status in _REFUSED or is_elsewhere
