"""A command does not wait for imports of Prefect's that its run has no use for."""

import json
import subprocess
import sys
from uuid import uuid4

from prefect.futures import PrefectDistributedFuture

from flows.migrate import migrate
from tasks.operations.work.planning import Untagged

PROGRAM = """
import sys
from flows.migrate import migrate
migrate.serialize_parameters({"source": "/mnt"})
print(*sorted({"fastapi", "flows.dashboard.block_types"} & set(sys.modules)))
"""


def test_a_flow_s_parameters_are_plain_values_for_the_server() -> None:
    given = {"source": "/mnt", "untagged": Untagged.NONE, "include": ("app/*",), "limit_rate": None, "jobs": 8}
    plain = migrate.serialize_parameters(given)
    assert json.loads(json.dumps(plain)) == given | {"untagged": Untagged.NONE.value, "include": ["app/*"]}


def test_a_flow_takes_the_future_of_a_task_as_any_other_flow_does() -> None:
    """Prefect serializes what it was given, and waits for futures only then."""
    future = PrefectDistributedFuture(uuid4())
    assert migrate.serialize_parameters({"source": future, "target": "localhost:5000"}) == {
        "source": "<PrefectDistributedFuture>",
        "target": "localhost:5000",
    }


def test_a_flow_costs_no_import_of_fastapi_and_none_of_blocks_that_nobody_named() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""
