"""What zot would not serve, and what its defaults change, is told with its number."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.reports.results import Depth, RepositoryInventory
from tasks.operations.source.source_graph import Census
from tasks.operations.zot.zot_index import ServedIndex
from tasks.operations.zot.zot_work import RepeatedContent, ServedLayout, ZotWork

ONE, TWO, SUBJECT = (Descriptor(IMAGE_MANIFEST, Digest.of(content), 1) for content in (b"1", b"2", b"3"))
GRAPH: Any = SimpleNamespace(archived=())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((ONE,), f"does not show 1 referrer that index.json itself does not list: {ONE.digest}"),
        ((ONE, TWO), f"does not show 2 referrers that index.json itself does not list: {ONE.digest} …"),
    ],
)
def test_referrers_that_are_not_shown_are_counted(content: tuple[Descriptor, ...], said: str) -> None:
    (message,) = findings(RepositoryInventory("app", "", referrers={SUBJECT.digest: content}), RepeatedContent())
    assert message == f"zot {said}"


@pytest.mark.parametrize(("content", "said"), [((ONE,), "1 manifest or blob"), ((ONE, TWO), "2 manifests and blobs")])
def test_content_of_other_repositories_is_counted(content: tuple[Descriptor, ...], said: str) -> None:
    repeated = RepeatedContent()
    for path in ("other", "app"):
        repeated.note(path, content)
    (message,) = findings(RepositoryInventory("app", ""), repeated)
    assert f"leaves one copy of {said} that other repositories have too" in message


def findings(inventory: RepositoryInventory, repeated: RepeatedContent) -> list[str]:
    served = ServedLayout("app", ServedIndex(tags=frozenset(), manifests={}, unknown=0, obstacle=None), ())
    work = ZotWork(inventory, GRAPH, Census(), Depth.MANIFEST, served=served, repeated=repeated)
    return [finding.message for finding in work.finish()]
