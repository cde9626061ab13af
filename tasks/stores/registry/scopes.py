"""Scopes: what a token is asked for, and is good for (distribution docs/spec/auth/scope.md)."""

from __future__ import annotations

from tasks.stores.registry.challenges import Challenge, parse_challenges

Scopes = tuple[str, ...]

_LONGEST_SCOPE = 1_000  # characters


def repository_scope(repository: str, *, write: bool) -> str:
    """The scope of a repository (distribution docs/spec/auth/scope.md)."""
    return f"repository:{repository}:{'pull,push' if write else 'pull'}"


def scopes_after(refusal: str, asked: Scopes) -> Scopes:
    """The scopes to ask for after a refusal's `WWW-Authenticate`, which names what is needed (token.md).

    That counts where it is more of the same repository than was asked for: Azure lists tags for whoever asked for
    `metadata_read`. Else what was asked for is asked for again.
    """
    bearers = (each for each in parse_challenges(refusal) if each.scheme == "bearer")
    named = next(bearers, Challenge("", {})).parameters.get("scope", "")
    place, _, needed = named.rpartition(":")
    for scope in asked if len(named) <= _LONGEST_SCOPE else ():
        its_place, _, actions = scope.rpartition(":")
        if place == its_place and not set(needed.split(",")) <= set(actions.split(",")):
            return tuple(named if each == scope else each for each in asked)
    return asked
