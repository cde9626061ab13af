"""How SOURCE and TARGET name a block of a Prefect server, and who refuses to read one. Imports no Prefect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tasks.run_options import RunOptions

_REFERENCE = re.compile(r"block:(?=[0-9-]*[a-z])([a-z0-9][a-z0-9-]*)")
"""What Prefect takes as a block's name; one of digits only would be the port of a host that is called `block`."""
_PLACES = {"source": "the directory or bucket", "target": "the registry"}


def block_name(text: str) -> str | None:
    """The name of the block that a SOURCE or TARGET stands for; None where it is a place itself."""
    named = _REFERENCE.fullmatch(text)
    return named[1] if named else None


def names_block(options: RunOptions) -> bool:
    """Whether the source or the target of a run is a block, which has to be read first."""
    target = options.target.target if options.target is not None else ""
    return block_name(options.source) is not None or block_name(target) is not None


def refuse_blocks(parameters: BaseModel) -> None:
    """Tell whoever names a block to what works without Prefect.

    Raises:
        ConfigurationError: source, target or gate is a block.
    """
    for field, place in _PLACES.items():
        value = getattr(parameters, field, None)
        if isinstance(value, str) and block_name(value):
            raise ConfigurationError(
                f"{field.upper()}: {value} is a block of a Prefect server, which only migrate and verify can read, "
                f"without --standalone; here, give {place} itself"
            )
    gate = getattr(parameters, "gate", None)
    if isinstance(gate, str) and block_name(gate):
        raise ConfigurationError(
            f"--gate: {gate} is a block of a Prefect server, which only flows can read; here, give "
            "the registry itself"
        )
