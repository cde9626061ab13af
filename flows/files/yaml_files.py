"""Reads YAML files into models, and says of each mistake in which line and field it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from flows.files.mistakes import in_our_words
from flows.files.yaml_loader import Loader
from flows.files.yaml_variables import expand
from tasks.oci.errors import ConfigurationError
from tasks.stores.given_files import read_within

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

MAX_FILE_SIZE = 4 * 1024 * 1024
"""Bytes; nobody writes more by hand, and YAML takes many times a file's size in memory."""
_Model = TypeVar("_Model", bound=BaseModel)
_Place = tuple[int | str, ...]


def load_model(path: Path, model: type[_Model], variables: Mapping[str, str] | None = None) -> _Model:
    """The content of a YAML file as a model; with `variables`, `${NAME}` in its values stands for theirs.

    Raises:
        ConfigurationError: it can't be read, is no YAML, or breaks the model; a line for each mistake, as
            `FILE:LINE: FIELD: what is wrong`.
    """
    return parse_model(text_of(read_file(path), path), model, name=str(path), variables=variables)


def parse_model(text: str, model: type[_Model], *, name: str, variables: Mapping[str, str] | None = None) -> _Model:
    """As `load_model`, of text that `name` stands for in errors."""
    node, content, mistakes = _parsed(text, name, variables)
    if not isinstance(content, dict):
        raise _refusal(name, mistakes or [(1, "it must hold fields and values, such as version: 1")])
    try:
        found = model.model_validate(content)
    except ValidationError as error:
        raise _refusal(name, [*mistakes, *_further(error, model, node, {line for line, _ in mistakes})]) from None
    if mistakes:
        raise _refusal(name, mistakes)
    return found


def _parsed(
    text: str, name: str, variables: Mapping[str, str] | None
) -> tuple[yaml.Node | None, object, list[tuple[int, str]]]:
    """The tree of a YAML text, its content, and what is wrong with its keys and variables, each with its line."""
    try:
        node = yaml.compose(text, Loader=Loader)
        mistakes = [(line, f"{key}: is given twice") for line, key in _repeated_keys(node, set())]
        if variables is not None:
            mistakes += [(line, f"{field}: {wrong}") for line, field, wrong in expand(node, variables)]
        content = Loader("").construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{name}:{line}: this is no YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{name}: this is no YAML: {str(error)[:200]}") from None
    return node, content, mistakes


def mistakes_in(text: str, found: Iterable[tuple[_Place, str]], *, name: str) -> ConfigurationError:
    """The error for text that fits its model and can't be used all the same: what is wrong at which place."""
    return _refusal(name, _mistakes(found, yaml.compose(text, yaml.SafeLoader)))


def top_fields(path: Path) -> frozenset[str]:
    """The names of a file's outermost fields; none where it is no mapping.

    Raises:
        ConfigurationError: it can't be read.
    """
    try:
        node = yaml.compose(text_of(read_file(path), path), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return frozenset()  # whoever loads it says where it is broken
    return frozenset(str(key.value) for key, _ in node.value) if isinstance(node, yaml.MappingNode) else frozenset()


def read_file(path: Path) -> bytes:
    """What a file holds, the same each time where a shell makes it of a command's output.

    Raises:
        ConfigurationError: it can't be read, or is larger than anybody writes by hand.
    """
    return read_within(path, MAX_FILE_SIZE, f"is larger than {MAX_FILE_SIZE} bytes")


def text_of(raw: bytes, path: Path) -> str:
    """What was read from `path` as text.

    Raises:
        ConfigurationError: it is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8") from error


def _refusal(name: str, mistakes: Iterable[tuple[int, str]]) -> ConfigurationError:
    in_order = sorted(mistakes, key=lambda each: each[0])
    return ConfigurationError("\n".join(f"{name}:{line}: {wrong}" for line, wrong in in_order))


def _further(
    error: ValidationError, model: type[BaseModel], node: yaml.Node | None, told: Container[int]
) -> Iterator[tuple[int, str]]:
    """What the model says, but for lines of which it is told already why their value is not the one meant."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    found = _mistakes(((each["loc"], in_our_words(each, model)) for each in details), node)
    return ((line, wrong) for line, wrong in found if line not in told)


def _mistakes(found: Iterable[tuple[_Place, str]], node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    for place, wrong in found:
        shown, line = _nearest(node, place)
        yield line, f"{'.'.join(map(str, shown)) or '(the file)'}: {wrong}"


def _nearest(node: yaml.Node | None, place: Sequence[int | str]) -> tuple[_Place, int]:
    """What of a place exists in the file, and its line; a missing field is at the line of what lacks it."""
    shown: list[int | str] = []
    line = node.start_mark.line + 1 if node is not None else 1
    for step in place:
        below = _below(node, step)
        if below is not None:
            node, line = below
            shown.append(step)
        elif step == place[-1]:
            shown.append(step)
    return tuple(shown), line


def _below(node: yaml.Node | None, step: int | str) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):  # what is merged in (`<<`) comes before what wins over it
            if key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line + 1
    return None


def _repeated_keys(node: Any, looked_at: set[int]) -> Iterator[tuple[int, str]]:
    """YAML takes the last of several equal keys in silence; whoever wrote them meant all."""
    if id(node) in looked_at:  # by an alias: a few lines of them stand for millions of nodes
        return
    looked_at.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen:
                yield key.start_mark.line + 1, str(key.value)
            seen.add(str(key.value))
            yield from _repeated_keys(value, looked_at)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value, looked_at)
