"""What stays for the whole process is imported without looking for garbage in it."""

import gc

import pytest

from flows.course.lasting_imports import lasting_imports


def test_nothing_is_searched_meanwhile_nor_what_stays_afterwards() -> None:
    before = gc.get_freeze_count()
    try:
        with lasting_imports():
            meanwhile = gc.isenabled()
            stays = [[] for _ in range(1_000)]
        assert not meanwhile
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(stays)
    finally:
        gc.unfreeze()


def test_an_import_that_fails_leaves_the_search_as_it_was() -> None:
    try:
        with pytest.raises(ImportError), lasting_imports():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
