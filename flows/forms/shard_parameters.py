"""What the flow of a shard is told: by the run that it is a part of, never by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from flows.forms.parameters import MigrateParameters, PairParameters, VerifyParameters
from flows.forms.source_parameters import Parameters
from tasks.operations.running.shards import quoted, unquoted
from tasks.ports import Shard


class ShardParameters(Parameters):
    """The fields of a `Shard` by their names, beside what the whole run was told."""

    settings: PairParameters
    run: Annotated[str, Field(description="The run that this is a part of")]
    number: Annotated[int, Field(description="Which part it is", ge=1)]
    of: Annotated[int, Field(description="Among how many parts rates are shared out", ge=1)] = 1
    repositories: Annotated[list[str], Field(description="Paths at the source, percent-encoded", min_length=1)]
    layouts: Annotated[
        list[str] | None,
        Field(description="Where these are, if the source is split by name; percent-encoded"),
    ] = None
    listed: Annotated[
        str | None, Field(description="Mark of what the run's list says of these, which has to be the same here")
    ] = None
    moment: Annotated[
        float | None, Field(description="The moment from which the run counts ages, in seconds since 1970")
    ] = None

    def to_shard(self) -> Shard:
        """The shard that is told of."""
        paths, layouts = unquoted(self.repositories), unquoted(self.layouts or ())
        return Shard(self.run, self.number, paths, self.of, layouts, self.listed, self.moment)


class MigrateShardParameters(ShardParameters):
    """Parameters of a part of a migration."""

    settings: Annotated[MigrateParameters, Field(description="Parameters of the migration")]


class VerifyShardParameters(ShardParameters):
    """Parameters of a part of a verification."""

    settings: Annotated[VerifyParameters, Field(description="Parameters of the verification")]


def told_of(shard: Shard) -> dict[str, Any]:
    """The fields that tell of a shard; what it does not have is left out."""
    paths = {"repositories": quoted(shard.repositories), "layouts": quoted(shard.layouts) or None}
    return {name: value for name, value in (asdict(shard) | paths).items() if value is not None}
