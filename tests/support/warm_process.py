"""Imports all that the command needs, and forks for each request: the child goes on as the command."""

import json
import os
import pkgutil
import socket
import sys
from importlib import import_module

from flows.course.lasting_imports import lasting_imports

with lasting_imports():
    import boto3  # noqa: F401 - commands import it only where a bucket is named

    from flows.entry import main
    from tasks import operations, stores

    for package in (operations, stores):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    import_module("flows.cli")

if "prefect" in sys.modules:
    raise ImportError("Prefect reads its settings when it is imported: they are those of each command")


def next_command(connection: socket.socket) -> None:
    """Wait for a request and fork: the child returns and goes on as the command, the parent tells how it ended."""
    while True:
        request, files, _, _ = socket.recv_fds(connection, 1, 4)
        if not request:
            sys.exit(0)
        child = os.fork()
        if child == 0:
            connection.close()
            become(*files)
            return
        for number in files:
            os.close(number)
        tell(connection, child)
        _, status = os.waitpid(child, 0)
        tell(connection, os.waitstatus_to_exitcode(status))


def tell(connection: socket.socket, number: int) -> None:
    connection.sendall(b"%d\n" % number)


def become(described: int, *standard: int) -> None:
    """Take over the arguments, the environment, the folder and the standard streams."""
    with open(described, "rb") as file:
        wanted = json.load(file)
    for number, given in enumerate(standard):
        os.dup2(given, number)
        os.close(given)
    sys.argv[:] = wanted["arguments"]
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["cwd"])


if __name__ == "__main__":
    next_command(socket.socket(fileno=int(sys.argv[1])))
    main()
