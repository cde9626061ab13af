"""Deletes tags and manifests at a registry (distribution-spec v1.1.1 "Deleting tags", "Deleting Manifests")."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tasks.oci.errors import PermissionDeniedError
from tasks.registry_ports import Deletion
from tasks.stores.registry.registry_answers import deletion_of
from tasks.stores.registry.scopes import repository_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.stores.registry.oras_provider import OrasProvider
    from tasks.stores.registry.request_retry import RequestRetry
    from tasks.stores.registry.transport.http_answers import HttpAnswer
    from tasks.stores.registry.transport.http_pool import HttpPool


class ManifestDeletion:
    """Deletes at one registry; safe to share by all workers."""

    def __init__(self, provider: OrasProvider, pool: HttpPool, retry: RequestRetry) -> None:
        self._provider = provider
        self._pool = pool
        self._retry = retry
        self._has_scope = True

    def delete(self, repository: str, reference: str, may_delete: Callable[[], bool]) -> Deletion:
        """Delete what `reference` names; pauses that the registry asked for are over before `may_delete` is asked."""
        path = self._provider.container(repository).manifest_path(reference)

        def attempt() -> Deletion:
            if not self._pool.after_pauses(may_delete):
                return Deletion.LEFT
            return deletion_of(self._ask(repository, path), f"DELETE {path}")

        return self._retry(attempt)

    def _ask(self, repository: str, path: str) -> HttpAnswer:
        """Ask by the scope of a deletion; Quay's token server says 400 of that, and lets delete whoever may push."""
        send = partial(self._provider.do_request, path, "DELETE", None, None)
        to_push = repository_scope(repository, write=True)
        if self._has_scope:
            try:
                return send((f"{to_push},delete",))
            except PermissionDeniedError as refusal:
                if refusal.status != HTTPStatus.BAD_REQUEST:
                    raise
        answer = send((to_push,))
        self._has_scope = answer.status == HTTPStatus.FORBIDDEN
        return answer
