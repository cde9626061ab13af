"""The command's own frame, before any command of it does something, and what it says of its options."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows import cli
from flows.cli import main
from flows.files.policy_example import EXAMPLE
from flows.server import prefect_server
from tests.support.layouts import LayoutBuilder


def shown(*arguments: str, **environment: str) -> str:
    """What the command prints, as bytes of any encoding that has ASCII."""
    program = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    ended = subprocess.run(program, env=os.environ | environment, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    return ended.stdout.decode("latin-1")


@pytest.mark.parametrize(
    "arguments", [("ls",), ("ls", "--json"), ("check",), ("check", "--json"), ("check", "--help")]
)
def test_output_that_can_not_be_written_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "bucket" / "app")
    for number in range(200):
        layout.image(f"v{number}", layers=[b"layer"])
    layout.write()
    program = [
        sys.executable,
        "-c",
        "from flows.cli import main; main()",
        arguments[0],
        layout.path.parent,
        *arguments[1:],
    ]
    with Path("/dev/full").open("wb") as full:
        environment = os.environ | {"LAYOUTLIFT_STATE": str(tmp_path / "state")}
        ended = subprocess.run(program, env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.stderr == b"layoutlift: the output can't be written: No space left on device\n"
    assert ended.returncode == 1


def ended_with_full_standard_error(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """As of a line for cron that ends with `2>>log`, on a disk that is full."""
    program = [sys.executable, "-c", "from flows.cli import main; main()", *map(str, arguments)]
    with Path("/dev/full").open("wb") as full:
        return subprocess.run(
            program, env=os.environ | environment, stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )


def test_standard_error_that_can_not_be_written_keeps_no_mapping_from_its_run(tmp_path: Path) -> None:
    mappings = ""
    for name in ("one", "two"):
        layout = LayoutBuilder(tmp_path / name / "app")
        layout.image("v1", layers=[b"layer"])
        layout.write()
        mappings += f"- {{source: {tmp_path / name}, target: localhost:1}}\n"
    file, state = tmp_path / "file.yaml", tmp_path / "state"
    file.write_text(f"version: 1\nmappings:\n{mappings}")
    ended = ended_with_full_standard_error("check", "-c", file, "--state", state)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "2 of 2 mappings complete")
    assert len(list(state.rglob("report.json"))) == 2


@pytest.mark.parametrize(("arguments", "code"), [(("nowhere",), 2), ((".", "--nope"), 2), ((), 2)])
def test_last_words_that_can_not_be_written_leave_the_exit_code(
    arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    ended = ended_with_full_standard_error("check", *arguments, LAYOUTLIFT_STATE=str(tmp_path), LAYOUTLIFT_NOPE="1")
    assert ended.returncode == code


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ('RuntimeError("can\'t start new thread")', "no further thread can be started: raise the limit"),
        ("MemoryError()", "there is no memory left"),
    ],
    ids=["threads", "memory"],
)
def test_a_machine_that_gives_no_more_is_one_line(error: str, said: str, tmp_path: Path) -> None:
    """As under the limits of a container, or of systemd's TasksMax; a traceback says nothing of these."""
    layout = LayoutBuilder(tmp_path / "bucket" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    program = f"""
import threading
from flows.cli import main

def refuse(*_, **__):
    raise {error}

threading._start_new_thread = threading._start_joinable_thread = refuse
main()
"""
    environment = os.environ | {"LAYOUTLIFT_STATE": str(tmp_path / "state")}
    command = [sys.executable, "-c", program, "check", layout.path.parent]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_terminal_of_any_encoding_gets_the_text(encoding: str) -> None:
    assert "regex:" in shown("plan", "--help", PYTHONIOENCODING=encoding)


def test_what_an_encoding_lacks_is_shown_as_escapes() -> None:
    assert "\\u2026" in shown("plan", "--help", PYTHONIOENCODING="latin-1")


def said(*arguments: str) -> str:
    return " ".join(CliRunner().invoke(main, arguments, terminal_width=300).output.split())


def test_help_says_which_options_can_be_given_several_times() -> None:
    for command in ("migrate", "ls"):
        helped = said(command, "--help")
        for option in ("include", "exclude"):
            assert "can be given several times" in helped.partition(f"--{option} ")[2].partition(" --")[0], option


@pytest.mark.parametrize("group", ["", "alerts", "benchmark", "cleanup", "server", "zot"])
def test_the_list_of_commands_says_of_each_what_it_does_in_full(group: str) -> None:
    helped = CliRunner().invoke(main, [*group.split(), "--help"]).output
    assert "..." not in helped.partition("Commands:")[2]
    assert helped.count("\n") > 5


def test_commands_are_listed_as_the_work_goes() -> None:
    helped = CliRunner().invoke(main, ["--help"]).output.partition("Commands:")[2].partition("Examples:")[0]
    listed = [line.split()[0] for line in helped.splitlines() if line.strip()]
    assert listed[:6] == ["ls", "check", "plan", "migrate", "verify", "cutover"]
    assert sorted(listed) == sorted({*main.commands, *cli.ELSEWHERE})


def test_a_source_that_is_not_there_is_named_before_a_server_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(prefect_server, "ensure_server", lambda *_: pytest.fail("a server was started for nothing"))
    for command in ("migrate", "verify"):
        ended = CliRunner().invoke(main, [command, str(tmp_path / "nowhere"), "localhost:1"])
        assert ended.exit_code == 2
        assert ended.output == (
            f"layoutlift: the source {tmp_path}/nowhere is not a directory; is the bucket mounted there?\n"
        )


def test_a_target_that_does_not_let_us_in_is_named_before_a_server_is_started(
    no_registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that is mistyped: a server would be left running for nothing."""
    monkeypatch.setattr(prefect_server, "ensure_server", lambda *_: pytest.fail("a server was started for nothing"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for unset in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(unset, raising=False)
    for command in ("migrate", "verify"):
        ended = CliRunner().invoke(main, [command, str(tmp_path), no_registry, "--plain-http"])
        assert (ended.exit_code, ended.output.count("\n")) == (2, 1)
        assert f"http://{no_registry}/v2/" in ended.output
    assert prefect_server.status().address is None


def test_a_target_is_not_asked_beforehand_where_a_server_runs_already(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    used: list[str] = []
    monkeypatch.setattr("flows.server.embedded._load", lambda name: lambda **_: used.append(name))
    monkeypatch.setattr(prefect_server, "client_environment", lambda _: {})
    monkeypatch.setenv("PREFECT_API_URL", "http://localhost:1/api")
    ended = CliRunner().invoke(main, ["verify", str(tmp_path), "localhost:1", "--plain-http"])
    assert (ended.exit_code, used) == (0, ["verify"])


NO_REGISTRY = "registry can't be measured: there is no registry"


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (("local",), "weed is not installed: install layoutlift[benchmark], or put it on PATH"),
        (("s3://bucket", "--paths", "native"), "native can't be measured: oras is not installed: see "),
        (("s3://bucket", "--paths", "registry"), f"{NO_REGISTRY}: name one with --registry\n"),
        (("s3://bucket",), "none of the paths can be measured here: fusermount3 is not installed: "),
    ],
)
def test_that_nothing_can_be_measured_is_told_before_a_server_is_started(
    options: tuple[str, ...], missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(prefect_server, "ensure_server", lambda *_: pytest.fail("a server was started for nothing"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.delenv("LAYOUTLIFT_TOOLS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = CliRunner().invoke(main, ["benchmark", "run", *options])
    assert (ended.exit_code, ended.output.count("\n")) == (2, 1)
    assert ended.output.startswith(f"layoutlift: {missing}")


@pytest.mark.parametrize("source", ["app:v1", "oci:app"])
def test_a_source_that_is_named_as_other_tools_do_is_told_how_to_name_it(source: str, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    ended = CliRunner().invoke(main, ["plan", str(tmp_path / source), "localhost:1"])
    assert (ended.exit_code, "name the directory alone, and tags by --include" in ended.output) == (2, True)


@pytest.mark.parametrize("command", [("plan",), ("migrate", "--standalone"), ("verify",)])
def test_a_registry_before_a_directory_is_told_which_comes_first(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnt").mkdir()
    ended = CliRunner().invoke(main, [*command, "localhost:1", "mnt"])
    said = "the source localhost:1 is a registry, and the target mnt a directory: SOURCE comes before TARGET"
    assert (ended.exit_code, ended.output) == (2, f"layoutlift: {said}\n")


@pytest.mark.parametrize(
    ("source", "advice"), [("images.tar", "is a file; .* unpack an archive"), ("s3:/bucket", "named as s3://bucket")]
)
def test_a_source_of_another_kind_is_told_what_it_may_be(
    source: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images.tar").touch()
    ended = CliRunner().invoke(main, ["plan", source, "localhost:1"])
    assert (ended.exit_code, bool(re.search(advice, ended.output))) == (2, True)


def test_a_missing_argument_is_named_as_the_help_names_it() -> None:
    assert "Missing argument 'SOURCE'." in said("migrate")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_standard_output_that_is_closed_is_no_fault(options: tuple[str, ...], tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    program = [sys.executable, "-c", "from flows.cli import main; main()", "ls", str(tmp_path), *options]
    ended = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *program], stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [("ls", "{}"), ("check", "{}"), ("check", "s3://"), ("migrate", "--help")])
def test_output_that_nobody_reads_ends_a_command_as_it_ends_others(
    arguments: tuple[str, str], tmp_path: Path
) -> None:
    """As in `layoutlift … 2>&1 | head -1`: not all was read, which is no sign that something is wrong."""
    layout = LayoutBuilder(tmp_path / "source" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    given = (each.format(tmp_path / "source") for each in arguments)
    program = [sys.executable, "-c", "from flows.cli import main; main()", *given]
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    reader, writer = os.pipe()
    os.close(reader)
    error = subprocess.PIPE if arguments[-1] != "s3://" else writer
    ended = subprocess.run(program, stdout=writer, stderr=error, check=False, env=environment)
    os.close(writer)
    assert (ended.returncode, ended.stderr or b"") == (141, b"")


def test_standard_error_that_is_closed_is_no_fault(tmp_path: Path) -> None:
    """Its descriptor would else go to the next file that is opened, as to the ledger."""
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    program = [sys.executable, "-c", "from flows.cli import main; main()", "check", str(tmp_path)]
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    ended = subprocess.run(
        ["sh", "-c", '"$@" 2>&-', "sh", *program], stdout=subprocess.PIPE, check=False, env=environment
    )
    assert (ended.returncode, b"report: " in ended.stdout) == (0, True)


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (("--tags-from", "-"), b"--tags-from: standard input lists nothing"),
        (("--username", "me", "--password-stdin"), b"--password-stdin: standard input holds no password"),
    ],
    ids=["tags", "password"],
)
def test_standard_input_that_is_closed_has_nothing(reader: tuple[str, ...], words: bytes, tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from flows.cli import main; main()", "plan", str(tmp_path), "localhost:1"]
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    ended = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *program, *reader], capture_output=True, check=False, env=environment
    )
    assert (ended.returncode, ended.stderr.count(b"\n"), ended.stderr[:12]) == (2, 1, b"layoutlift: ")
    assert words in ended.stderr


@pytest.mark.parametrize(
    "line",
    [
        ["check", "{source}", "--metrics", "{name}"],
        ["cutover", "{source}", "localhost:1", "--output", "{name}/x.csv"],
        ["cleanup", "plan", "{source}", "--policy", "{policy}", "--output", "{name}"],
        ["delete", "{source}", "app:v1", "--output", "{name}"],
    ],
    ids=lambda line: line[0],
)
def test_a_file_that_can_not_even_be_looked_at_is_named(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that is closed to this user; root is kept out of none, but by a name that is too long."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    layout = LayoutBuilder(tmp_path / "bucket" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    (policy := tmp_path / "policy.yaml").write_text(EXAMPLE)
    known = {"source": tmp_path / "bucket", "policy": policy, "name": tmp_path / ("n" * 300)}
    ended = CliRunner().invoke(main, [word.format(**known) for word in line])
    assert (ended.exit_code, "n" * 300 in ended.stderr, "can't be written" in ended.stderr) == (2, True, True)


def test_a_directory_that_is_not_there_gets_no_configuration_for_zot(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["zot", "config", str(tmp_path / "absent")])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "is not a directory" in ended.stderr


@pytest.mark.parametrize(("typed", "offered"), [("mig", "migrate"), ("cleanup plan --pol", "--policy")])
def test_a_shell_is_told_how_a_word_may_go_on(typed: str, offered: str) -> None:
    words = ["layoutlift", *typed.split()]
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    ended = CliRunner().invoke(
        main, [], prog_name="layoutlift", env={**asked, "_LAYOUTLIFT_COMPLETE": "bash_complete"}
    )
    assert ended.stdout.split() == [f"plain,{offered}"]


def test_completion_passes_over_a_command_of_another_tool() -> None:
    asked = {"COMP_WORDS": "layoutlift copy ", "COMP_CWORD": "2", "_LAYOUTLIFT_COMPLETE": "bash_complete"}
    ended = CliRunner().invoke(main, [], prog_name="layoutlift", env=asked)
    assert (ended.exception, "copy" in ended.output) == (None, False)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LAYOUTLIFT_JOBS", "many", "'--jobs' (LAYOUTLIFT_JOBS): 'many' is not a valid integer"),
        ("LAYOUTLIFT_JOBS", "0", "--jobs (LAYOUTLIFT_JOBS): it must be greater"),
        ("LAYOUTLIFT_DEPTH", "deep", "'--depth' (LAYOUTLIFT_DEPTH): 'deep' is not one of"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, said: str) -> None:
    ended = CliRunner().invoke(main, ["check", "/nowhere"], env={variable: value})
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_a_wrong_value_that_was_typed_is_nobody_elses() -> None:
    ended = CliRunner().invoke(main, ["check", "/nowhere", "--jobs", "0"], env={"LAYOUTLIFT_JOBS": "8"})
    assert ended.stderr == "layoutlift: --jobs: it must be greater than or equal to 1\n"


GATE_BLOCK = "block:x is a block of a Prefect server, which only flows can read; here, give the registry itself"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ls", ".", "--changed", "x y"), "layoutlift: --changed: not a registry host: 'x y'\n"),
        (("delete", ".", "a:b", "--gate", "x y"), "layoutlift: --gate: not a registry host: 'x y'\n"),
        (("delete", ".", "a:b", "--gate", "block:x"), f"layoutlift: --gate: {GATE_BLOCK}\n"),
    ],
)
def test_an_address_that_is_none_is_told_by_its_option(arguments: tuple[str, ...], said: str) -> None:
    ended = CliRunner().invoke(main, arguments)
    assert (ended.exit_code, ended.stderr) == (2, said)
