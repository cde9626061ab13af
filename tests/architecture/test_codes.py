"""Every code that a report can show comes with a line on what to do, which no linter knows of."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.oci.codes import Problem, Refused, Remark
from tasks.operations.reports.advice import ADVICE

ROOT = Path(__file__).parents[2]
SAY_CODES = {"Finding", "RefusedEntry", "TagPlan", "TagResult", "_failed", "_note", "_note_unopened", "_result"}
"""What is called with a code."""
MEMBERS = {each.__name__: each for each in (Problem, Refused, Remark)}
CODE = re.compile(r"[a-z]+(_[a-z]+)+|conflict")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def texts_of(tree: ast.Module) -> dict[str, str]:
    """The constants of a module that are texts, by name."""
    found = {}
    for each in tree.body:
        if isinstance(each, ast.Assign):
            [name], text = each.targets, each.value
            if isinstance(name, ast.Name) and isinstance(text, ast.Constant) and isinstance(text.value, str):
                found[name.id] = text.value
    return found


def arguments_of_calls(tree: ast.Module) -> Iterator[ast.expr]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in SAY_CODES:
            yield from call.args
            yield from (each.value for each in call.keywords if each.arg == "code")


@pytest.fixture(scope="module")
def codes() -> set[str]:
    """The codes that the source text itself gives to findings and tags: as texts, by a constant or as members."""
    paths = [path for top in ("flows", "tasks") for path in (ROOT / top).rglob("*.py")]
    trees = {module_of(path): ast.parse(path.read_text()) for path in paths}
    texts = {module: texts_of(tree) for module, tree in trees.items()}
    said = set()
    for module, tree in trees.items():
        known = dict(texts[module])
        for each in ast.walk(tree):
            if isinstance(each, ast.ImportFrom):
                there = texts.get(each.module or "", {})
                known |= {name.name: there[name.name] for name in each.names if name.name in there}
        for each in arguments_of_calls(tree):
            text = known.get(each.id) if isinstance(each, ast.Name) else getattr(each, "value", None)
            if isinstance(text, str) and CODE.fullmatch(text):
                said.add(text)
        said |= {
            MEMBERS[each.value.id][each.attr]
            for each in ast.walk(tree)
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id in MEMBERS
        }
    return said


def test_codes_are_found_however_they_are_written(codes: set[str]) -> None:
    assert {"tag_collision", "no_layouts", "conflict", "lost_manifest", "to_delete", "internal_error"} <= codes


def test_every_finding_has_advice(codes: set[str]) -> None:
    assert sorted(codes - set(ADVICE)) == []


def test_every_code_that_there_is_is_said_by_somebody(codes: set[str]) -> None:
    assert sorted({*Problem, *Refused, *Remark} - codes) == []
