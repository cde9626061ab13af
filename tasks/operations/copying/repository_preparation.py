"""What must be at a registry before a push: looked for by plans, made by migrations that were told to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.ports import Finding, NewRepositories

if TYPE_CHECKING:
    from typing import TypeAlias

    from tasks.ports import RepositoryKeeper

    Refusal: TypeAlias = tuple[str, str]

REPOSITORY_MISSING = "repository_missing"
TO_CREATE = "to_create"


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares repositories through a registry's keeper, where it has one; `new` None makes none."""

    keeper: RepositoryKeeper | None = None
    new: NewRepositories | None = None

    def refusal(self, repository: str) -> Refusal | None:
        """Why a push to the repository would fail, as code and message.

        Raises:
            RegistryError: the registry does not say.
        """
        if self.new is not None or self._exists(repository):
            return None
        return REPOSITORY_MISSING, (
            f"the target does not have {repository}, and a push does not make it there (see --create-repositories)"
        )

    def announce(self, path: str, repository: str) -> list[Finding]:
        """What a migration would make for the layout at `path`."""
        if self.new is None or self._exists(repository):
            return []
        return [Finding(path, TO_CREATE, f"{repository} would be made at the target")]

    def prepare(self, repository: str) -> None:
        """Make what is missing.

        Raises:
            RegistryError: the registry refuses.
        """
        if self.keeper is not None and self.new is not None and not self._exists(repository):
            self.keeper.create(repository, self.new)

    def has_immutable_tags(self, repository: str) -> bool:
        """Whether tags of the repository can't be moved."""
        return self.keeper is not None and self.keeper.state(repository).immutable_tags

    def _exists(self, repository: str) -> bool:
        return self.keeper is None or self.keeper.state(repository).exists
