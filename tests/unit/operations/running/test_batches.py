"""No entry is lost between batches, and however many entries there are, the batches are few."""

from tasks.operations.running.batches import MAX_BATCHES, MIN_BATCH, Slice, plan_batches


def test_large_repositories_are_cut_and_small_ones_share_a_batch() -> None:
    assert plan_batches({}) == ()
    assert plan_batches({"a": 2 * MIN_BATCH - 1}) == ((Slice("a"),),)
    assert plan_batches({"a": 2 * MIN_BATCH}) == ((Slice("a", 0, MIN_BATCH),), (Slice("a", MIN_BATCH, None),))
    assert plan_batches({"a": MIN_BATCH - 1, "b": 1, "c": 5, "d": 5}) == (
        (Slice("a"), Slice("b")),
        (Slice("c"), Slice("d")),
    )


def test_empty_repositories_have_some_weight_too() -> None:
    sizes = dict.fromkeys(map(str, range(MIN_BATCH + 1)), 0)
    assert [len(batch) for batch in plan_batches(sizes)] == [MIN_BATCH, 1]


def test_however_many_entries_there_are_the_batches_are_few() -> None:
    batches = plan_batches({"large": 1000 * MAX_BATCHES, "small": 1})
    assert MAX_BATCHES <= len(batches) <= MAX_BATCHES + 1
    starts = [part.start for (part,) in batches if part.path == "large"]
    assert starts == list(range(0, 1000 * MAX_BATCHES, starts[1]))
