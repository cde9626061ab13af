"""The code keeps to its own figures, and to a few habits that no linter knows."""

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("flows/**/*.py"), *ROOT.glob("tasks/**/*.py")])
MAX_FILE_LINES = 300
MOST_MODULES = 24
MEDIAN_LINES, P95_LINES, MAX_FUNCTION_LINES = 8, 35, 60
MAX_TASK_STATEMENTS = 10
Function = ast.FunctionDef | ast.AsyncFunctionDef

ALLOWED_LENGTHS: dict[str, str] = {
    "tasks/oci/errors.py": "a catalogue of classes without logic, read in one place, its tree at the top",
}
"""Modules that may be longer, each with its reason."""

ALLOWED_SLEEPS: dict[str, str] = {
    "tasks/stores/local_parts/waiting.py": "waits for programs to start or end, also where no run goes on",
    "tasks/stores/state/run_lock.py": "steps of milliseconds while another process writes it, before the run begins",
}
"""Modules that may call `time.sleep`, each with its reason; waits go through `Stop.wait`, which ends with the run."""

ALLOWED_BROAD_EXCEPTS: dict[str, str] = {
    "flows/scale/dask_work.py": "what a part ends with costs it an attempt and is named in the report, not the run",
    "flows/course/live_limits.py": "a look at the limits that fails must not be the last one",
    "flows/dashboard/shown_progress.py": "a dashboard that does not answer must not fail a migration",
    "tasks/stores/bucket/object_stream.py": "what a range ends with is raised to whoever reads it",
    "tasks/stores/directory/layout_process.py": "a bug costs the request that met it, not the mount, and is told",
    "tasks/operations/work/spare_hands.py": "raises what it caught once the helpers have ended, too",
    "tasks/operations/work/repository_work.py": "a bug costs its own tags and is named in the report, not the run",
    "tasks/operations/running/repository_run.py": "the same when a repository is opened",
}
"""Modules that may catch `Exception`, each with its reason."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def body_of(function: Function) -> list[ast.stmt]:
    """The statements without the docstring."""
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def body_lines(function: Function) -> int:
    body = body_of(function)
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def calls(tree: ast.AST, module: str, name: str) -> bool:
    """Whether some code uses `module.name`, by whichever way of importing it."""
    imported = any(
        isinstance(node, ast.ImportFrom) and node.module == module and any(alias.name == name for alias in node.names)
        for node in ast.walk(tree)
    )
    return imported or any(
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == module
        for node in ast.walk(tree)
    )


def catches_all(tree: ast.AST) -> bool:
    broad = {"Exception", "BaseException"}
    return any(
        isinstance(node, ast.ExceptHandler)
        and (node.type is None or any(isinstance(n, ast.Name) and n.id in broad for n in ast.walk(node.type)))
        and not any(
            isinstance(n, ast.Raise) and n.exc is None for n in ast.walk(node)
        )  # raised again: only tidied up
        for node in ast.walk(tree)
    )


def is_task(function: Function) -> bool:
    used = [node.func if isinstance(node, ast.Call) else node for node in function.decorator_list]
    return any(isinstance(node, ast.Name) and node.id == "task" for node in used)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text()) for path in SOURCES}


@pytest.mark.parametrize("path", [path for path in SOURCES if name_of(path) not in ALLOWED_LENGTHS], ids=name_of)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES


def test_functions_are_short(trees: dict[str, ast.Module]) -> None:
    lengths = {
        f"{name}:{function.lineno} {function.name}": body_lines(function)
        for name, tree in trees.items()
        for function in functions(tree)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_LINES
    assert statistics.quantiles(lengths.values(), n=20)[-1] <= P95_LINES


def test_a_task_only_adds_prefect_to_an_operation(trees: dict[str, ast.Module]) -> None:
    tasks = [function for tree in trees.values() for function in functions(tree) if is_task(function)]
    assert {task.name: len(body_of(task)) for task in tasks if len(body_of(task)) > MAX_TASK_STATEMENTS} == {}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_module_hides_one_of_the_standard_library(path: Path) -> None:
    parts = {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} - {"__init__"}
    assert parts.isdisjoint(sys.stdlib_module_names)


def test_waits_end_with_the_run(trees: dict[str, ast.Module]) -> None:
    assert {name for name, tree in trees.items() if calls(tree, "time", "sleep")} == set(ALLOWED_SLEEPS)


def test_only_who_says_why_catches_everything(trees: dict[str, ast.Module]) -> None:
    assert {name for name, tree in trees.items() if catches_all(tree)} == set(ALLOWED_BROAD_EXCEPTS)


def test_packages_say_in_one_line_what_they_hold_and_nothing_else(trees: dict[str, ast.Module]) -> None:
    """A package that imports its modules would have commands wait for all of them."""
    packages = {name: tree for name, tree in trees.items() if name.endswith("__init__.py")}
    assert {name for name, tree in packages.items() if len(tree.body) != 1 or not ast.get_docstring(tree)} == set()


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    folders = Counter(name_of(path.parent) for path in SOURCES)
    assert {name: count for name, count in folders.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("try: pass\nexcept Exception: pass", True),
        ("try: pass\nexcept: pass", True),
        ("try: pass\nexcept (ValueError, Exception) as e: print(e)", True),
        ("try: pass\nexcept BaseException:\n  close()\n  raise", False),
        ("try: pass\nexcept ValueError: pass", False),
    ],
)
def test_the_check_of_broad_excepts_sees_them(code: str, caught: bool) -> None:
    assert catches_all(ast.parse(code)) is caught


@pytest.mark.parametrize("code", ["import time\ntime.sleep(1)", "from time import sleep\nsleep(1)"])
def test_the_check_of_sleeps_sees_them(code: str) -> None:
    assert calls(ast.parse(code), "time", "sleep")


def test_the_measure_of_a_function_leaves_its_docstring_out() -> None:
    (function,) = functions(ast.parse('def f():\n    """A\n\n    docstring."""\n    a = 1\n\n    return a\n'))
    assert body_lines(function) == 3


def test_what_tests_make_in_a_part_of_the_session_they_make_once() -> None:
    """A worker may leave a module for tests of another and come back; a bucket can't be made twice then."""
    fixtures = [
        f"{name_of(path)} {function.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for function in functions(ast.parse(path.read_text()))
        if any('scope="module"' in ast.unparse(each).replace("'", '"') for each in function.decorator_list)
        and "create_bucket" in ast.unparse(function)
    ]
    assert fixtures == []
