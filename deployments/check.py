"""Checks that deployments fit the flows: `python -m deployments.check [FILE]`.

Every entrypoint is loaded as a worker would load it, and every set of parameters, schedules' own included, is
validated against the flow's schema: Prefect itself would notice at the first run, which may be at two in the
morning.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEPLOYMENTS = Path(__file__).with_name("prefect.yaml")


def problems(path: Path) -> Iterator[str]:
    """What is wrong with a file of deployments, a line each."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if content.get("pull") != []:
        yield "pull: must be [], or the deploying machine's folder is written into every deployment"
    deployments = content.get("deployments") or []
    if not deployments:
        yield "deployments: there are none"
    names: set[str] = set()
    for deployment in deployments:
        entrypoint = deployment.get("entrypoint", "")
        name = f"{entrypoint.rpartition('.')[2]}/{deployment.get('name')}"
        if name in names:
            yield f"{name}: there are two of this name"
        names.add(name)
        yield from (f"{name}: {problem}" for problem in _problems_of(deployment, entrypoint))


def _problems_of(deployment: Mapping[str, Any], entrypoint: str) -> Iterator[str]:
    if ":" in entrypoint:
        yield f"the entrypoint {entrypoint} is a file; an installed package has a dotted one"
        return
    try:
        schema = parameter_schema(load_flow_from_entrypoint(entrypoint)).model_dump_for_openapi()
    except Exception as error:  # noqa: BLE001 - importing runs anybody's code
        yield f"the entrypoint {entrypoint} can't be loaded: {type(error).__name__}: {error}"
        return
    parameters = deployment.get("parameters") or {}
    yield from _parameter_problems(parameters, schema)
    for schedule in deployment.get("schedules") or []:
        yield from _schedule_problems(schedule)
        if own := schedule.get("parameters"):
            yield from _parameter_problems(parameters | own, schema)


def _parameter_problems(parameters: Mapping[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    for unknown in sorted(parameters.keys() - schema["properties"].keys()):
        yield f"the flow has no parameter {unknown}"
    known = {name: value for name, value in parameters.items() if name in schema["properties"]}
    for error in validate(known, schema, raise_on_error=False, ignore_required=False):
        yield f"parameters.{'.'.join(map(str, error.absolute_path))}: {error.message}"


def _schedule_problems(schedule: Mapping[str, Any]) -> Iterator[str]:
    slug = schedule.get("slug", "(no slug)")
    if schedule.get("active") is not False:
        yield f"the schedule {slug} must be off (active: false) in a file that is deployed as it is"
    try:
        Cron(schedule["cron"], timezone=schedule.get("timezone"))
    except (KeyError, ValueError) as error:
        yield f"the schedule {slug} is none that Prefect takes: {error}"


def main(arguments: Sequence[str]) -> int:
    """Print the problems of the named file, or of the one beside this, and return the exit status."""
    path = Path(arguments[0]) if arguments else DEPLOYMENTS
    found = list(problems(path))
    sys.stdout.writelines(f"{path.name}: {problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
