"""What the local Prefect server's process serves: Prefect's own application, imported in less time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.course.lasting_imports import lasting_imports

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app() -> FastAPI:
    """As uvicorn's --factory wants it."""
    with lasting_imports():
        from prefect.server.api.server import create_app as application  # noqa: PLC0415 - it is what takes time

        return application()
