"""Starts and stops real programs (S3 server, FUSE mounts, registries) on free loopback ports.

Every part is a context manager, says where it listens, writes its log below the folder it was given,
and is ended by its process id. The tests and `make demo` use the same ones.
"""

from infra.real_parts.mounts import Goofys, Mount, Rclone, S3Fs
from infra.real_parts.registries import DebianRegistry, DistributionRegistry, Registry, ZotInPlace, ZotRegistry
from infra.real_parts.tools import find_tool
from infra.real_parts.toxiproxy import ToxicProxy, Toxiproxy
from infra.real_parts.waiting import wait_until
from tasks.stores.local_parts.seaweedfs import SeaweedFS
from tasks.stores.local_parts.server import Server

__all__ = [
    "DebianRegistry",
    "DistributionRegistry",
    "Goofys",
    "Mount",
    "Rclone",
    "Registry",
    "S3Fs",
    "SeaweedFS",
    "Server",
    "ToxicProxy",
    "Toxiproxy",
    "ZotInPlace",
    "ZotRegistry",
    "find_tool",
    "wait_until",
]
