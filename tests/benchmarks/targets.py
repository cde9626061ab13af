"""Fresh registries that count their requests, and what can be put between them and a client."""

import json
import re
import sys
import urllib.request
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.real_parts import DebianRegistry, DistributionRegistry, Registry, Server, ZotRegistry, find_tool
from infra.real_parts.waiting import http_status
from tasks.stores.local_parts.ports import LOOPBACK, free_port
from tests.benchmarks.workloads import Workload

_REQUESTS = re.compile(
    r'^registry_http_requests_total\{.*handler="(?P<handler>\w+)",method="(?P<method>\w+)"\} (?P<count>[0-9.e+]+)',
    re.MULTILINE,
)
OK = 200
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no say on loopback


class _Counting(Registry):
    """Distribution tells on a second port how many requests it had; that costs it next to nothing."""

    def _configuration(self) -> dict[str, Any]:
        configuration = super()._configuration()
        self.debug_port = free_port()
        configuration["http"]["debug"] = {
            "addr": f"{LOOPBACK}:{self.debug_port}",
            "prometheus": {"enabled": True, "path": "/metrics"},
        }
        return configuration


class CountingDebian(_Counting, DebianRegistry):
    """Distribution 2.8."""


class CountingDistribution(_Counting, DistributionRegistry):
    """Distribution 3."""


REGISTRIES: dict[str, type[Registry]] = {
    "docker-registry 2.8": CountingDebian,
    "distribution 3": CountingDistribution,
    "zot": ZotRegistry,
}


def requests_of(registry: Registry) -> Counter[str] | None:
    """How many requests it had by handler and method (`manifest get` is a pull); None where it does not tell."""
    if not isinstance(registry, _Counting):
        return None
    text = _read(f"http://{LOOPBACK}:{registry.debug_port}/metrics")[1]
    counted: Counter[str] = Counter()
    for match in _REQUESTS.finditer(text):
        counted[f"{match['handler']} {match['method']}"] += round(float(match["count"]))
    return counted


def tags_in(registry: Registry, workload: Workload) -> int:
    """How many of the tags that should have arrived the registry lists."""
    expected = set(workload.tag_names)
    return sum(len(expected & set(_tags(registry.url, name))) for name in workload.repository_names)


def _tags(url: str, repository: str) -> Iterator[str]:
    page: str | None = f"{url}/v2/{repository}/tags/list"
    while page is not None:
        try:
            link, text = _read(page)
        except OSError:  # a repository that never arrived
            return
        yield from json.loads(text)["tags"] or ()
        match = re.match(r"<([^>]*)>", link or "")
        page = match and (match[1] if "://" in match[1] else url + match[1])


def _read(url: str) -> tuple[str | None, str]:
    with _direct.open(url, timeout=60) as answer:
        return answer.headers.get("Link"), answer.read().decode()


class Between(Server):
    """Something that clients talk to instead of the registry."""

    def __init__(self, folder: Path, upstream: str) -> None:
        super().__init__(folder)
        self.upstream = upstream
        self.port = free_port()

    @property
    def host(self) -> str:
        """What clients are told is the registry."""
        return f"{LOOPBACK}:{self.port}"

    @abstractmethod
    def observed(self) -> dict[str, float]:
        """What it saw, for the measurement."""


class FarAway(Between):
    """Toxiproxy, which adds a delay to every packet of an open connection, half of it each way."""

    name = "toxiproxy"
    delay_milliseconds = 50

    def __init__(self, folder: Path, upstream: str) -> None:
        super().__init__(folder, upstream)
        self.control_port = free_port()

    @property
    def _control(self) -> str:
        return f"http://{LOOPBACK}:{self.control_port}"

    def start(self) -> "FarAway":
        """Start it and set the delay."""
        super().start()
        self._set("/proxies", {"name": "registry", "listen": self.host, "upstream": self.upstream, "enabled": True})
        for stream in ("upstream", "downstream"):
            toxic = {"type": "latency", "stream": stream, "attributes": {"latency": self.delay_milliseconds}}
            self._set("/proxies/registry/toxics", toxic)
        return self

    def observed(self) -> dict[str, float]:
        """Nothing that it would tell."""
        return {}

    def _set(self, path: str, what: dict[str, Any]) -> None:
        request = urllib.request.Request(self._control + path, json.dumps(what).encode())
        _direct.open(request, timeout=10).close()

    def _command(self) -> list[str]:
        return [str(find_tool("toxiproxy-server")), "-host", LOOPBACK, "-port", str(self.control_port)]

    def _is_ready(self) -> bool:
        return http_status(f"{self._control}/version") == OK


class Throttling(Between):
    """Answers 429 above a rate; `retry_after` is how it says when to come back: seconds, date or none."""

    name = "throttling"
    requests_per_second = 50
    retry_after = "none"

    def observed(self) -> dict[str, float]:
        """How many requests it let pass and refused, and over how long a time."""
        counts = json.loads(_read(f"http://{self.host}/-/counts")[1])
        return {name: float(value) for name, value in counts.items()}

    def _command(self) -> list[str]:
        program = Path(__file__).parent / "throttling_proxy.py"
        rate = str(self.requests_per_second)
        return [sys.executable, str(program), str(self.port), self.upstream, rate, self.retry_after]

    def _is_ready(self) -> bool:
        return http_status(f"http://{self.host}/-/counts") == OK


class ThrottlingBySeconds(Throttling):
    """Retry-After is a number of seconds."""

    retry_after = "seconds"


class ThrottlingByDate(Throttling):
    """Retry-After is a date."""

    retry_after = "date"


LINKS: dict[str, type[Between]] = {
    "far": FarAway,
    "throttled": Throttling,
    "throttled, seconds": ThrottlingBySeconds,
    "throttled, date": ThrottlingByDate,
}
