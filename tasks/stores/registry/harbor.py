"""Harbor's own API beside its registry: projects, which a push does not make (API v2.0)."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from tasks.registry_ports import RepositoryState
from tasks.stores.registry.registry_answers import error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.registry_ports import NewRepositories
    from tasks.stores.registry.credentials import Credentials
    from tasks.stores.registry.request_retry import RequestRetry
    from tasks.stores.registry.transport.http_answers import HttpAnswer
    from tasks.stores.registry.transport.http_pool import HttpPool

_PROJECTS = "/api/v2.0/projects"
_NOT_SAID = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_MADE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT})
_EXPECTED = _NOT_SAID | _MADE | {HTTPStatus.NOT_FOUND}


class HarborProjects:
    """See `RepositoryKeeper`: what must exist is the project, the first part of a repository's name."""

    def __init__(self, pool: HttpPool, retry: RequestRetry, find: Callable[[], Credentials | None]) -> None:
        self._pool = pool
        self._retry = retry
        self._find = find
        self._lock = threading.Lock()
        self._there: set[str] = set()

    def state(self, repository: str) -> RepositoryState:
        """See `RepositoryKeeper.state`; a robot account may not be let to ask, and then the push will show it."""
        project = repository.partition("/")[0]
        with self._lock:
            if project in self._there:
                return RepositoryState()
            answer = self._send("HEAD", f"{_PROJECTS}?project_name={quote(project)}", f"asking for {project}")
            if answer.status == HTTPStatus.NOT_FOUND:
                return RepositoryState(exists=False)
            self._there.add(project)
            return RepositoryState()

    def create(self, repository: str, settings: NewRepositories) -> None:
        """See `RepositoryKeeper.create`; the project is private."""
        project = repository.partition("/")[0]
        metadata = {"public": "false", "auto_scan": str(settings.scan_on_push).lower()}
        body = json.dumps({"project_name": project, "metadata": metadata}).encode()
        answer = self._send("POST", _PROJECTS, f"making the project {project}", body)
        if answer.status not in _MADE:
            raise error_of(answer, f"making the project {project}")

    def _send(self, method: str, path: str, attempted: str, body: bytes | None = None) -> HttpAnswer:
        def attempt() -> HttpAnswer:
            credentials = self._find()
            headers = {} if credentials is None else {"Authorization": credentials.basic()}
            if body is not None:
                headers["Content-Type"] = "application/json"
            answer = self._pool.send(method, path, headers, body)
            if answer.status not in _EXPECTED:
                raise error_of(answer, attempted)
            return answer

        return self._retry(attempt)
