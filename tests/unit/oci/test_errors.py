"""The tree of exceptions is complete, and each can travel between processes."""

import pickle
import re

import pytest

from tasks.oci import errors
from tasks.oci.errors import LayoutliftError, RegistryError, is_transient


def tree(root: type[LayoutliftError] = LayoutliftError) -> list[type[LayoutliftError]]:
    below = [kind for child in root.__subclasses__() if child.__module__ == errors.__name__ for kind in tree(child)]
    return [root, *below]


KINDS = tree()
TOLD_ALIKE = {
    errors.LayoutMissingError: errors.InvalidLayoutError,
    errors.MaybeWrittenError: errors.SourceChangedError,
}
"""What only the program tells apart: reports name it as the kind that it is one of."""


def listed_with_parents() -> dict[str, str | None]:
    """The tree that the module's docstring draws: every name with the one above it."""
    path: list[str] = []
    parents: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([│ ]*(?:[├└]─ )?)([A-Z]\w+Error)\b", line)
        if match is None:
            continue
        depth = len(match[1]) // 3
        path[depth:] = [match[2]]
        parents[match[2]] = path[depth - 1] if depth else None
    return parents


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    real = {kind.__name__: kind.__base__.__name__ if kind is not LayoutliftError else None for kind in KINDS}
    assert listed_with_parents() == real, "draw it at the top of tasks/oci/errors.py"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_has_a_code_of_its_own_and_says_what_it_is(kind: type[LayoutliftError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    of_one_code = [other for other in KINDS if other.code == kind.code and other not in TOLD_ALIKE]
    assert of_one_code == [TOLD_ALIKE.get(kind, kind)]
    assert (kind.__doc__ or "").strip()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_survives_pickling(kind: type[LayoutliftError]) -> None:
    given = (
        kind("what happened", status=404, codes=("A",)) if issubclass(kind, RegistryError) else kind("what happened")
    )
    copied = pickle.loads(pickle.dumps(given))
    assert type(copied) is kind
    assert str(copied) == "what happened"
    assert vars(copied) == vars(given)


def test_what_may_pass_is_exactly_this() -> None:
    assert {kind.__name__ for kind in KINDS if kind.transient} == {
        "SourceReadError",
        "AuthorizationExpiredError",
        "BatchUnfinishedError",
        "RateLimitedError",
        "RegistryUnavailableError",
        "TransportError",
        "ConnectionFailedError",
        "TransferStalledError",
        "UploadBrokeOffError",
    }


def test_only_our_own_exceptions_may_pass() -> None:
    assert is_transient(errors.ConnectionFailedError("x"))
    assert not any(is_transient(error) for error in (OSError(), TimeoutError(), errors.ContentNotFoundError("x")))
