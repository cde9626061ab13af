"""Dependencies point downwards, and what must start quickly does not import what is slow."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOW = ("prefect", "pydantic", "fastapi", "boto3")


def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


def lint_imports(cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return run(program, "--config", cwd / "pyproject.toml", "--no-cache", cwd=cwd)


def test_the_layers_are_kept() -> None:
    outcome = lint_imports()
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_a_broken_layer_would_be_noticed(tmp_path: Path) -> None:
    """The contracts of this project, over a copy of its code in which the values import a store."""
    for path in [ROOT / "pyproject.toml", *sorted([*ROOT.glob("flows/**/*.py"), *ROOT.glob("tasks/**/*.py")])]:
        copied = tmp_path / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes())
    with (tmp_path / "tasks" / "oci" / "digest.py").open("a") as module:
        module.write("\nimport tasks.stores.pacing\n")
    outcome = lint_imports(tmp_path)
    assert outcome.returncode != 0
    assert "tasks.oci.digest -> tasks.stores.pacing" in outcome.stdout


def modules_in(folder: str) -> list[str]:
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / folder).rglob("[a-z]*.py")
    )


def imported_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after some code."""
    outcome = run(
        sys.executable, "-c", f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    )
    assert outcome.returncode == 0, outcome.stderr
    return set(outcome.stdout.split())


def first_that_loads(modules: list[str], unwanted: set[str]) -> str:
    """The first of these modules, imported one after the other, that loads something unwanted; empty if none does."""
    code = f"""
import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
    if not {unwanted!r}.isdisjoint(sys.modules):
        print(module)
        break"""
    outcome = run(sys.executable, "-c", code)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.strip()


def test_no_store_imports_prefect() -> None:
    apart = ("tasks.stores.benchmark", "tasks.stores.local")
    stores = [name for name in modules_in("tasks/stores") if not name.startswith(apart)]
    assert len(stores) > 50
    assert first_that_loads(stores, {"prefect", "pydantic", "fastapi"}) == ""


def test_a_store_that_imports_prefect_would_be_named() -> None:
    assert first_that_loads(["json", "tasks.oci.digest", "decimal"], {"decimal"}) == "decimal"


@pytest.mark.parametrize("package", ["tasks/oci", "tasks/operations"])
def test_values_and_decisions_need_the_standard_library_only(package: str) -> None:
    loaded = imported_by("\n".join(f"import {module}" for module in modules_in(package)))
    assert loaded.isdisjoint({"prefect", "pydantic", "oras", "requests", "urllib3", "boto3", "docker"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["validate", "{source}/nothing.yaml"],
        ["migrate", "-c", "{source}/nothing.yaml", "--standalone"],
        ["ls", "{source}"],
        ["ls", "{source}", "--json"],
        ["plan", "{source}", "{target}", "--plain-http"],
        ["cutover", "{source}", "{target}", "--plain-http"],
        ["migrate", "{source}", "{target}", "--plain-http", "--standalone"],
        ["verify", "{source}", "{target}", "--plain-http", "--standalone"],
    ],
    ids=lambda arguments: arguments[0] + "".join(a for a in arguments if a.startswith("--")),
)
def test_what_needs_no_server_does_not_import_prefect(tmp_path: Path, no_registry: str, arguments: list[str]) -> None:
    """The source is empty and the target is no registry: how a command ends does not matter here."""
    state = tmp_path / "state"
    (tmp_path / "source").mkdir()
    given = [argument.format(source=tmp_path / "source", target=no_registry) for argument in arguments]
    code = f"""
import os, sys
os.environ["XDG_STATE_HOME"] = {str(state)!r}
sys.argv = ["layoutlift", *{given!r}]
from flows.cli import main
sys.stdout, shown = sys.stderr, sys.stdout
try:
    main()
except SystemExit:
    pass
sys.stdout = shown"""
    assert imported_by(code).isdisjoint({"prefect", "fastapi", "sqlalchemy"})


def test_the_probe_would_notice_prefect() -> None:
    assert "json" in imported_by("import json")
    assert set(SLOW).isdisjoint(imported_by("pass"))
