"""A configuration under which zot serves a source in place and changes nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SPECIFICATION = "1.1.1"
ADDRESS, PORT = "127.0.0.1", "5000"


def zot_configuration(storage: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The content of a configuration file of zot.

    `storage` says where the layouts lie, and names below `prefix` (empty, or with a slash at its end) can be read
    by everybody who reaches the address, which is this machine's own. Nobody can write: whoever still pushes
    through a mount would otherwise lose to zot, or it to them.
    """
    readers = {"repositories": {f"{prefix}**": {"anonymousPolicy": ["read"]}}}
    return {
        "distSpecVersion": SPECIFICATION,
        "storage": {**storage, "dedupe": False, "gc": False},
        "http": {"address": ADDRESS, "port": PORT, "compat": ["docker2s2"], "accessControl": readers},
        "log": {"level": "info"},
    }
