"""A registry is asked for before a benchmark begins; what that leaves in it is deleted, or named."""

import json
import os
from pathlib import Path

import pytest

from tasks.benchmark_values.paths import Command
from tasks.oci.errors import ConfigurationError, ProgramFailedError
from tasks.stop import Stop
from tasks.stores.benchmark.registry_area import refuse_unreachable, remove_from_registry
from tasks.stores.benchmark.timed_command import TimedCommand


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for name in ("aa", "bb", "cc"):
        (blobs / name).touch()
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:bb"}]}))
    return tmp_path


def test_the_manifest_goes_first_then_what_it_named(layout: Path) -> None:
    asked: list[tuple[str, dict[str, str | None]]] = []

    def run(command: Command, values: dict[str, str | None]) -> None:
        asked.append((command[1], values))

    assert remove_from_registry(layout, "8MiB", "host/name", run) == []
    assert asked == [("manifest", {"tag": "8MiB"}), ("blob", {"blob": "aa"}), ("blob", {"blob": "cc"})]


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("manifest", "host/name:8MiB is still in the registry: 405"),
        ("blob", "2 blobs of host/name:8MiB wait for the registry's own collection: 405"),
    ],
)
def test_what_may_not_be_deleted_is_named(layout: Path, refused: str, said: str) -> None:
    def run(command: Command, _: dict[str, str | None]) -> None:
        if command[1] == refused:
            raise ProgramFailedError("405")

    assert remove_from_registry(layout, "8MiB", "host/name", run) == [said]


URL = "https://host:5000/v2/name/manifests/absent"
UNKNOWN = "tls: failed to verify certificate: x509: certificate signed by unknown authority"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f'Error: Head "{URL}": http: server gave HTTP response to HTTPS client',
            "http: server gave HTTP response to HTTPS client (a registry without TLS needs --plain-http)",
        ),
        (
            f'Head "{URL}": {UNKNOWN}',
            f"{UNKNOWN} (SSL_CERT_FILE names a file of other authorities)",
        ),
        (
            f'Head "{URL}": dial tcp 127.0.0.1:5000: connect: connection refused',
            "dial tcp 127.0.0.1:5000: connect: connection refused",
        ),
        ("Error: basic credential not found", "basic credential not found (log in with docker or oras)"),
    ],
    ids=["without TLS", "untrusted", "away", "without a login"],
)
def test_a_registry_that_nobody_gets_at_is_told_before_anything_is_measured(said: str, told: str) -> None:
    def run(*_: object) -> None:
        raise ProgramFailedError(f"oras ended with status 1: {said}")

    with pytest.raises(ConfigurationError) as refused:
        refuse_unreachable("host:5000/layoutlift-benchmark/run", run)
    assert str(refused.value) == f"--registry host:5000: {told}"


def test_so_is_one_that_takes_the_question_and_does_not_answer(tmp_path: Path) -> None:
    oras = TimedCommand(("sleep", "600"), folder=tmp_path, environment=os.environ, log=tmp_path / "log", patience=0.3)

    def run(*_: object) -> None:
        oras.run(Stop())

    with pytest.raises(ConfigurationError, match=r"^--registry host:5000: it did not answer within 0 s$"):
        refuse_unreachable("host:5000/layoutlift-benchmark/run", run)


@pytest.mark.parametrize("said", ["not found", f'HEAD "{URL}": response status code 401: Unauthorized'])
def test_a_registry_that_answers_is_measured(said: str) -> None:
    def run(*_: object) -> None:
        raise ProgramFailedError(f"oras ended with status 1: Error: {said}")

    refuse_unreachable("host:5000/name", run)
