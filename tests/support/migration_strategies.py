"""What trials of migrations draw: content, options, and deaths.

There are few layouts, tags and blobs, so that writers, others and runs meet at the same ones.
"""

from hypothesis import strategies as st

from tasks.operations.in_step.vanished import DeletionLimits
from tests.support.cleanup_world import image, image_index
from tests.support.migration_choice import Choice
from tests.support.migration_lives import Death, Stumble

LAYOUTS = [*["app", "lib/web"] * 8, "App"]
TAGS = ["v1", "v1", "v2", "v2", "v3", "old-v1"]
images = st.lists(st.integers(0, 2), max_size=1).map(image)
indexes = st.lists(images, min_size=1, max_size=2).map(image_index)
artifacts = st.one_of(images, images, indexes, indexes.map(lambda each: image_index([each])))
paths, tags = st.sampled_from(LAYOUTS), st.sampled_from(TAGS)
seldom = st.integers(0, 9).map(lambda number: number == 0)
choices = st.builds(
    Choice,
    on_conflict=st.sampled_from(["refuse", "refuse", "skip", "overwrite", "fail"]),
    backup=st.booleans(),
    include=st.sampled_from(["", "", "", "app", "lib/**", ":v1"]),
    exclude=st.sampled_from(["", "", "", "App", ":v2"]),
    newest=st.sampled_from([None, None, None, 1, 2]),
    untagged=st.sampled_from(["none", "none", "moved", "all"]),
    referrers=st.sampled_from([True, True, True, False]),
    depth=st.sampled_from(["manifest", "manifest", "blobs", "content"]),
    since_last=st.booleans(),
    limits=st.sampled_from(
        [None, None, DeletionLimits(None, None), DeletionLimits(1, None), DeletionLimits(100, 50.0)]
    ),
    fail_fast=seldom,
)
usual = st.builds(
    Choice,
    since_last=st.booleans(),
    limits=st.sampled_from([DeletionLimits(None, None), DeletionLimits(None, None), DeletionLimits(1, 50.0), None]),
    on_conflict=st.sampled_from(["overwrite", "refuse", "skip"]),
    backup=st.booleans(),
)
some = st.one_of(usual, usual, choices)
shares = st.sampled_from([0.0, 0.5, 1.0])
deaths = st.one_of(
    st.builds(Death, steps=st.integers(0, 60), kept=shares), st.builds(Death, writes=st.integers(1, 4), kept=shares)
)
stumbles = st.builds(Stumble, requests=st.integers(1, 30), arrives=st.booleans())
pushes = st.tuples(st.integers(1, 8), st.integers(0, 5), artifacts)
"""Before how many reads of blobs others push what to which of the tags."""
