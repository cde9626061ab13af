"""Credentials are found where docker, Podman and the environment keep them, and never shown."""

import base64
import json
import os
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.real_parts import wait_until
from tasks.oci.errors import ConfigurationError
from tasks.stores.registry import credentials
from tasks.stores.registry.credentials import Credentials, find_credentials
from tasks.stores.registry.kept_credentials import KeptCredentials

SECRET = "hunter2"
HELPER = """#!/bin/sh
read server
case "$1 $server" in
"get registry.example") echo '{"Username": "helped", "Secret": "hunter2"}' ;;
"get token.example") echo '{"Username": "<token>", "Secret": "hunter2"}' ;;
"get garbage.example") echo 'hunter2 is not JSON' ;;
"get https://index.docker.io/v1/") echo '{"Username": "hub", "Secret": "hunter2"}' ;;
"get half.example") echo '{"Username": "hunter2"}' ;;
"get list.example") echo '["hunter2"]' ;;
"get slow.example") read go < "$0.go"; echo '{"Username": "late", "Secret": "hunter2"}' ;;
"get broken.example") echo 'hunter2: no keyring'; exit 1 ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


def auth(name: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A home of its own, with a credential helper `docker-credential-fake` on the PATH."""
    helper = tmp_path / "bin" / "docker-credential-fake"
    helper.parent.mkdir()
    helper.write_text(HELPER)
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}{os.pathsep}{os.environ['PATH']}")
    return {"HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


def write(path: str | Path, config: object) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(config if isinstance(config, str) else json.dumps(config))


def docker_file(environment: dict[str, str]) -> str:
    return f"{environment['HOME']}/.docker/config.json"


def podman_file(environment: dict[str, str]) -> str:
    return f"{environment['XDG_RUNTIME_DIR']}/containers/auth.json"


def username(host: str, environment: dict[str, str], prefix: str = "") -> str | None:
    found = find_credentials(host, prefix, environment)
    return None if found is None else found.username


def test_nowhere_is_none(environment: dict[str, str]) -> None:
    assert find_credentials("registry.example", "", environment) is None


def test_places_in_their_order(environment: dict[str, str], tmp_path: Path) -> None:
    named = tmp_path / "named.json"
    places = {
        "user's podman": Path(environment["HOME"], ".config/containers/auth.json"),
        "podman": Path(podman_file(environment)),
        "docker": Path(docker_file(environment)),
    }
    environment["REGISTRY_AUTH_FILE"] = str(named)
    for name, path in places.items():
        write(path, {"auths": {"registry.example": auth(name)}})
        assert username("registry.example", environment) == name
    environment["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {"registry.example": auth("variable")}})
    assert username("registry.example", environment) == "variable"
    write(named, {"auths": {"registry.example": auth("named")}})
    assert username("registry.example", environment) == "named"
    environment |= {"LAYOUTLIFT_TARGET_USERNAME": "said", "LAYOUTLIFT_TARGET_PASSWORD": SECRET}
    assert username("registry.example", environment) == "said"


@pytest.mark.parametrize(
    ("half", "missing"), [("USERNAME", "LAYOUTLIFT_TARGET_PASSWORD"), ("PASSWORD", "LAYOUTLIFT_TARGET_USERNAME")]
)
def test_half_a_login_is_refused_with_what_is_missing(environment: dict[str, str], half: str, missing: str) -> None:
    environment[f"LAYOUTLIFT_TARGET_{half}"] = SECRET
    with pytest.raises(ConfigurationError, match=missing) as raised:
        find_credentials("registry.example", "", environment)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_holds_no_credentials(environment: dict[str, str], content: str) -> None:
    write(docker_file(environment), content)
    write(podman_file(environment), {"auths": {"registry.example": auth("podman")}})
    assert username("registry.example", environment | {"REGISTRY_AUTH_FILE": os.devnull}) == "podman"


def test_a_named_file_that_is_not_there_is_told_where_nothing_else_is_found(environment: dict[str, str]) -> None:
    environment["REGISTRY_AUTH_FILE"] = "/nowhere/auth.json"
    with pytest.raises(ConfigurationError, match=r"REGISTRY_AUTH_FILE names /nowhere/auth\.json, which is not there"):
        find_credentials("registry.example", "", environment)


def test_where_they_were_found_is_known_for_whoever_has_to_mend_them(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"auths": {"registry.example": auth("lifter")}})
    kept = KeptCredentials(lambda: find_credentials("registry.example", "", environment), time.monotonic)
    assert kept.named == "the credentials", "as long as none were found"
    kept.get()
    assert kept.named == f"the credentials of {docker_file(environment)}"
    given = environment | {"LAYOUTLIFT_TARGET_USERNAME": "lifter", "LAYOUTLIFT_TARGET_PASSWORD": SECRET}
    found = find_credentials("registry.example", "", given)
    assert found is not None
    assert found.place == "LAYOUTLIFT_TARGET_USERNAME or --username"


def test_a_file_that_is_no_json_is_said_to_be_none(environment: dict[str, str]) -> None:
    write(docker_file(environment), "{")
    with pytest.raises(ConfigurationError, match=r"config\.json is no JSON$"):
        find_credentials("registry.example", "", environment)


def test_moved_folders_are_honoured(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "d" / "config.json", {"auths": {"a.example": auth("docker")}})
    write(tmp_path / "x" / "containers" / "auth.json", {"auths": {"b.example": auth("podman")}})
    environment |= {"DOCKER_CONFIG": str(tmp_path / "d"), "XDG_CONFIG_HOME": str(tmp_path / "x")}
    assert username("a.example", environment) == "docker"
    assert username("b.example", environment) == "podman"


def refused(path: Path) -> bytes:
    raise PermissionError(13, "Permission denied", str(path))


def test_the_folder_of_who_was_logged_in_before_is_passed_over(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `su`, which leaves XDG_RUNTIME_DIR as it was."""
    hidden, read, may = podman_file(environment), Path.read_bytes, os.access
    monkeypatch.setattr(Path, "read_bytes", lambda path: refused(path) if str(path) == hidden else read(path))
    monkeypatch.setattr(os, "access", lambda path, mode: path != environment["XDG_RUNTIME_DIR"] and may(path, mode))
    assert find_credentials("registry.example", "", environment) is None
    write(f"{environment['HOME']}/.config/containers/auth.json", {"auths": {"registry.example": auth("own")}})
    assert username("registry.example", environment) == "own"


@pytest.mark.parametrize("file", [docker_file, podman_file])
def test_a_file_that_is_there_and_may_not_be_read_is_named(
    environment: dict[str, str], file: Callable[[dict[str, str]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file(environment), {})
    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(ConfigurationError, match=r"the credentials file .*json can't be read: Permission denied"):
        find_credentials("registry.example", "", environment)


def test_a_user_without_a_home_has_what_variables_name(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container whose user has no name."""

    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    del environment["HOME"]
    assert find_credentials("registry.example", "", environment) is None
    places = {
        "XDG_CONFIG_HOME": "containers/auth.json",
        "XDG_RUNTIME_DIR": "containers/auth.json",
        "DOCKER_CONFIG": "config.json",
    }
    for name, file in places.items():
        environment[name] = str(tmp_path / name)
        write(tmp_path / name / file, {"auths": {"registry.example": auth(name)}})
        assert username("registry.example", environment) == name


def test_a_file_without_the_registry_is_passed_over(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"auths": {"other.example": auth("other"), "registry.example": {}}})
    write(podman_file(environment), {"auths": {"registry.example": auth("podman")}})
    assert username("registry.example", environment) == "podman"


@pytest.mark.parametrize("held", ["", "{}", json.dumps({"auths": {"other.example": auth("other")}})])
def test_a_variable_without_the_registry_is_passed_over(environment: dict[str, str], held: str) -> None:
    write(docker_file(environment), {"auths": {"registry.example": auth("docker")}})
    assert username("registry.example", environment | {"DOCKER_AUTH_CONFIG": held}) == "docker"


@pytest.mark.parametrize("held", [SECRET, f'["{SECRET}"]', f'{{"auths": {{"r.example": {{"auth": "!{SECRET}"}}}}}}'])
def test_a_variable_that_holds_no_configuration_is_named_and_not_shown(
    environment: dict[str, str], held: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"^DOCKER_AUTH_CONFIG") as raised:
        find_credentials("r.example", "", environment | {"DOCKER_AUTH_CONFIG": held})
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_the_longest_namespace_wins(environment: dict[str, str]) -> None:
    auths = {"r.example": auth("all"), "r.example/team": auth("team"), "r.example/team/app": auth("app")}
    write(podman_file(environment), {"auths": auths})
    assert username("r.example", environment, "team/app/web") == "app"
    assert username("r.example", environment, "team/other") == "team"
    assert username("r.example", environment, "teams") == "all"
    assert username("r.example:5000", environment) is None


@pytest.mark.parametrize(
    "key",
    [
        *("https://r.example", "https://r.example/", "https://r.example/v2/", "http://r.example"),
        *("https://r.example/v1/", "r.example/", "r.example/v1/"),
    ],
)
def test_keys_may_be_addresses(environment: dict[str, str], key: str) -> None:
    write(docker_file(environment), {"auths": {key: auth("me")}})
    assert username("r.example", environment) == "me"
    assert username("r.example:5000", environment) is None


@pytest.mark.parametrize("key", ["r.example", "R.Example", "https://R.example/v2/", "R.example/team"])
@pytest.mark.parametrize("host", ["r.example", "R.EXAMPLE"])
def test_a_host_is_the_same_in_any_letters(environment: dict[str, str], key: str, host: str) -> None:
    write(docker_file(environment), {"auths": {key: auth("me")}})
    assert username(host, environment, "team") == "me"


def test_a_host_as_it_is_written_comes_before_one_in_other_letters(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"auths": {"R.example": auth("other"), "r.example": auth("me")}})
    assert username("r.example", environment) == "me"
    assert username("R.example", environment) == "other"


def test_helpers_are_asked_for_a_host_in_other_letters_as_they_may_know_it(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"credHelpers": {"registry.example": "fake"}})
    assert username("Registry.Example", environment) == "helped"
    write(docker_file(environment), {"credsStore": "fake"})
    assert username("Registry.Example", environment) == "helped"


def test_a_helper_without_a_name_has_a_host_be_asked_for_in_the_file_as_docker_has_it(
    environment: dict[str, str],
) -> None:
    """So one registry is taken out of what a store is for; docker's own login writes into the file then."""
    config = {"credsStore": "fake", "credHelpers": {"registry.example": ""}}
    write(docker_file(environment), {**config, "auths": {"registry.example": auth("written")}})
    assert username("registry.example", environment) == "written"
    write(docker_file(environment), config)
    assert username("registry.example", environment) is None, "the store is not for this host"
    assert username("docker.io", environment) == "hub"


def test_docker_hub_has_a_key_of_its_own(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"auths": {"https://index.docker.io/v1/": auth("hub")}})
    assert username("registry-1.docker.io", environment) == "hub"
    assert username("Docker.io", environment) == "hub"
    desktop = "https://index.docker.io/v1/access-token"
    write(docker_file(environment), {"auths": {desktop: auth("token"), "https://index.docker.io/v1/": auth("hub")}})
    assert username("index.docker.io", environment) == "hub"
    assert username("registry.example", environment) is None, "its login is for nobody else"


def test_docker_hub_is_known_to_a_store_by_that_key(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"credsStore": "fake"})
    assert username("docker.io", environment) == "hub"
    assert username("other.example", environment) is None


def test_a_password_that_is_no_text_is_refused_and_not_shown(environment: dict[str, str]) -> None:
    given = {"LAYOUTLIFT_TARGET_USERNAME": "me", "LAYOUTLIFT_TARGET_PASSWORD": f"{SECRET}\udcff"}
    with pytest.raises(ConfigurationError, match="is not in UTF-8") as raised:
        find_credentials("r.example", "", environment | given)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_an_entry_may_have_name_and_password_as_they_are(environment: dict[str, str]) -> None:
    """So it is in many of Kubernetes' secrets for pulls."""
    write(docker_file(environment), {"auths": {"a.example": {"username": "me", "password": SECRET}}})
    assert find_credentials("a.example", "", environment) == Credentials("me", SECRET)


@pytest.mark.parametrize(
    "entry", [{"auth": ""}, {"auth": "Og=="}, {"username": "", "password": ""}, {"email": "me@r.example"}], ids=repr
)
def test_an_entry_that_is_empty_is_none_as_it_is_to_docker(environment: dict[str, str], entry: object) -> None:
    write(docker_file(environment), {"auths": {"r.example": entry}})
    assert find_credentials("r.example", "", environment) is None
    write(podman_file(environment), {"auths": {"r.example": auth("me")}})
    assert username("r.example", environment) == "me"


def test_an_entry_with_an_empty_name_beside_what_is_encoded_is_that(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"auths": {"r.example": {"username": "", "password": "", **auth("me")}}})
    assert username("r.example", environment) == "me"


def test_what_is_encoded_may_have_several_lines(environment: dict[str, str]) -> None:
    """The command base64 makes a new one after 76 characters, and docker minds none."""
    long = base64.encodebytes(b"me:" + b"x" * 200).decode()
    assert long.count("\n") > 2
    write(docker_file(environment), {"auths": {"r.example": {"auth": long}}})
    assert find_credentials("r.example", "", environment) == Credentials("me", "x" * 200)


def test_a_password_may_hold_colons_and_identity_tokens_are_told_apart(environment: dict[str, str]) -> None:
    auths = {"a.example": auth("me", "pass:wörd"), "b.example": {**auth("x"), "identitytoken": "identity"}}
    write(docker_file(environment), {"auths": auths})
    found = find_credentials("a.example", "", environment)
    assert found == Credentials("me", "pass:wörd")
    assert base64.b64decode(found.basic().removeprefix("Basic ")).decode() == "me:pass:wörd"
    assert find_credentials("b.example", "", environment) == Credentials(identity_token="identity")


def test_a_helper_of_the_registry_is_asked_before_all_else(environment: dict[str, str]) -> None:
    auths = {"registry.example": auth("written")}
    write(docker_file(environment), {"credHelpers": {"registry.example": "fake"}, "auths": auths})
    assert find_credentials("registry.example", "", environment) == Credentials("helped", SECRET)


def test_a_store_is_asked_and_what_it_does_not_know_is_looked_up(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"credsStore": "fake", "auths": {"other.example": auth("written")}})
    assert username("registry.example", environment) == "helped"
    assert username("other.example", environment) == "written"
    assert find_credentials("token.example", "", environment) == Credentials(identity_token=SECRET)


@pytest.mark.parametrize("host", ["garbage.example", "half.example", "list.example", "broken.example"])
def test_a_helper_that_fails_is_named_and_its_answer_is_not_shown(environment: dict[str, str], host: str) -> None:
    write(docker_file(environment), {"credHelpers": {host: "fake"}})
    with pytest.raises(ConfigurationError, match="docker-credential-fake") as raised:
        find_credentials(host, "", environment)
    assert SECRET not in "".join(traceback.format_exception(raised.value)), "Prefect keeps it, in a flow's log"


def test_who_has_a_helper_that_fails_is_told_how_to_see_why(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"credsStore": "fake"})
    with pytest.raises(ConfigurationError, match=r"see why: echo broken\.example \| docker-credential-fake get$"):
        find_credentials("broken.example", "", environment)


def test_a_helper_that_does_not_answer_is_named_while_it_is_waited_for(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that asks for the password of its store, in a run that nobody looks at."""
    monkeypatch.setattr(credentials, "SLOW_SECONDS", 0.01)
    go = tmp_path / "bin" / "docker-credential-fake.go"
    os.mkfifo(go)
    write(docker_file(environment), {"credsStore": "fake"})
    with ThreadPoolExecutor() as pool:
        found = pool.submit(find_credentials, "slow.example", "", environment)
        try:
            wait_until(lambda: "docker-credential-fake" in caplog.text, what="it is named", deadline_seconds=20)
        finally:
            go.write_text("go\n")
        assert found.result() == Credentials("late", SECRET)
    assert SECRET not in caplog.text


def test_a_helper_that_is_not_installed_is_named(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"credHelpers": {"r.example": "absent"}})
    with pytest.raises(ConfigurationError, match=r"docker-credential-absent, .* r\.example, is not installed"):
        find_credentials("r.example", "", environment)


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        f'{{"auths": "{SECRET}',
        f'["{SECRET}"]',
        {"auths": {"r.example": {"auth": "aHVudGVyMg=="}}},
        {"auths": {"r.example": {"auth": f"!{SECRET}"}}},
        {"auths": {"r.example": {"auth": 5}}},
        {"auths": {"r.example": {"auth": f"é{SECRET}"}}},
        {"auths": {"r.example": {"username": SECRET}}},
    ],
    ids=repr,
)
def test_a_broken_file_is_named_and_its_content_is_not_shown(environment: dict[str, str], content: object) -> None:
    write(docker_file(environment), content)
    with pytest.raises(ConfigurationError, match=r"config\.json") as raised:
        find_credentials("r.example", "", environment)
    shown = "".join(traceback.format_exception(raised.value))
    assert SECRET not in shown
    assert "aHVudGVyMg" not in shown


def test_a_file_of_another_form_is_read_as_empty(environment: dict[str, str]) -> None:
    write(docker_file(environment), {"auths": [], "credHelpers": None, "credsStore": 1})
    assert find_credentials("r.example", "", environment) is None


def test_nothing_is_written(environment: dict[str, str], tmp_path: Path) -> None:
    write(docker_file(environment), {"credHelpers": {"registry.example": "fake"}})
    before = sorted(tmp_path.rglob("*"))
    find_credentials("registry.example", "", environment)
    assert sorted(tmp_path.rglob("*")) == before


def test_credentials_are_not_shown() -> None:
    assert SECRET not in repr(Credentials("me", SECRET, SECRET))
