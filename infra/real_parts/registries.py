"""Real OCI registries as migration targets: Debian's distribution 2.8, distribution 3 and zot."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.real_parts.passwords import write_htpasswd
from infra.real_parts.tools import find_tool
from infra.real_parts.waiting import http_status
from tasks.stores.local_parts.ports import LOOPBACK, free_port
from tasks.stores.local_parts.registry import distribution_configuration, distribution_environment
from tasks.stores.local_parts.server import Server

HTTP_OK = 200
HTTP_UNAUTHORIZED = 401
Login = tuple[str, str]


class Registry(Server):
    """A registry that keeps its storage below its folder; with a login, it asks for basic authentication."""

    program: str

    def __init__(self, folder: Path, *, login: Login | None = None) -> None:
        super().__init__(folder)
        self.login = login
        self.port = free_port()
        self.storage = self.folder / "storage"

    @property
    def host(self) -> str:
        """The registry as it stands before the repository in a reference."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The registry as a URL, without a slash at the end."""
        return f"http://{self.host}"

    @abstractmethod
    def _configuration(self) -> dict[str, Any]:
        """Return the content of the registry's configuration file."""

    def _command(self) -> list[str]:
        self.storage.mkdir(exist_ok=True)
        path = self.folder / "config.json"
        path.write_text(json.dumps(self._configuration(), indent=2))  # JSON is YAML, too
        return [str(find_tool(self.program)), "serve", str(path)]

    def _is_ready(self) -> bool:
        expected = HTTP_OK if self.login is None else HTTP_UNAUTHORIZED
        return http_status(f"{self.url}/v2/") == expected

    def _htpasswd(self) -> Path | None:
        if self.login is None:
            return None
        username, password = self.login
        return write_htpasswd(self.folder / "htpasswd", username=username, password=password)


class _Distribution(Registry):
    """What the two generations of distribution have in common."""

    def _configuration(self) -> dict[str, Any]:
        htpasswd = self._htpasswd()
        auth = {"auth": {"htpasswd": {"realm": "layoutlift", "path": str(htpasswd)}}} if htpasswd else {}
        return {**distribution_configuration(self.host, self.storage), **auth}

    def _whole_environment(self) -> dict[str, str]:
        return distribution_environment()


class DebianRegistry(_Distribution):
    """Distribution 2.8 as Debian ships it: no referrers API, and the most common target by far."""

    name = program = "docker-registry"


class DistributionRegistry(_Distribution):
    """Distribution 3: stricter about manifests than 2.8, and without a referrers API, too."""

    name = "distribution"
    program = "registry"


class ZotRegistry(Registry):
    """Zot: has the referrers API; takes docker's media types only when told to."""

    name = program = "zot"

    def _configuration(self) -> dict[str, Any]:
        htpasswd = self._htpasswd()
        auth = {"auth": {"htpasswd": {"path": str(htpasswd)}}} if htpasswd else {}
        return {
            "distSpecVersion": "1.1.1",
            "storage": {"rootDirectory": str(self.storage), "dedupe": False, "gc": False},
            "http": {"address": LOOPBACK, "port": str(self.port), "compat": ["docker2s2"], **auth},
            "log": {"level": "warn"},
        }


class ZotInPlace(ZotRegistry):
    """Zot over somebody else's files: by a configuration that was made for it, but for the port and own folder."""

    def __init__(self, folder: Path, *, configuration: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._given = configuration
        self._variables = environment

    def _configuration(self) -> dict[str, Any]:
        storage = dict(self._given["storage"])
        if "storageDriver" in storage:
            storage["rootDirectory"] = str(self.storage)
        return {**self._given, "storage": storage, "http": {**self._given["http"], "port": str(self.port)}}

    def _environment(self) -> dict[str, str]:
        return dict(self._variables)
