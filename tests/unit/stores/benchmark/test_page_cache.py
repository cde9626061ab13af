import os
from pathlib import Path

import pytest

from tasks.oci.errors import StateError
from tasks.stores.benchmark import page_cache


def test_caches_that_may_not_be_dropped_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(page_cache, "_DROP", tmp_path)
    with pytest.raises(StateError, match="can't be written"):
        page_cache.drop()
