"""Prefect's settings, changed for what a block of code runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.context import SettingsContext, get_settings_context

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def changed_settings(part: str, name: str, value: object) -> Iterator[None]:
    """Have one setting, `name` in its `part`, be another.

    Prefect's `temporary_settings` reads all of them anew, from the environment and files, which takes a run of some
    seconds 40 ms of processor each time.
    """
    context = get_settings_context()
    changed = getattr(context.settings, part).model_copy(update={name: value})
    with SettingsContext(profile=context.profile, settings=context.settings.model_copy(update={part: changed})):
        yield
