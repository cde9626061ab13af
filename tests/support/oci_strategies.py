"""Hypothesis strategies for values of the OCI specifications, and for what is nearly one."""

import hashlib

from hypothesis import strategies as st

from tasks.oci.descriptor import MAX_SIZE, Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import MANIFESTS

algorithms = st.sampled_from(["sha256", "sha512"])
digests = st.builds(Digest.of, st.binary(max_size=32), algorithms)
media_types = st.one_of(
    st.sampled_from(sorted(MANIFESTS)), st.from_regex(r"[a-z]{1,8}/[a-z0-9.+-]{1,20}", fullmatch=True)
)
annotations = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)
descriptors = st.builds(
    Descriptor,
    media_type=media_types,
    digest=digests,
    size=st.integers(0, MAX_SIZE),
    artifact_type=st.none() | media_types,
    annotations=annotations,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
"""What a decoder of JSON may return."""


@st.composite
def nearly_descriptors(draw: st.DrawFn) -> object:
    """JSON of a descriptor in which at most one field is something else."""
    written = draw(descriptors).to_json()
    field = draw(st.sampled_from(["mediaType", "digest", "size", "annotations", "artifactType"]))
    return draw(st.just(written) | st.just({**written, field: draw(json_values)}) | json_values)


def sha256(content: bytes) -> str:
    """The digest of some content, made without the code under test."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


HOSTILE_DIGESTS = (
    "",
    "sha256",
    "sha256:",
    "sha256:../../../../etc/passwd",
    "../sha256:" + "a" * 64,
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 64 + "\n",
    "\nsha256:" + "a" * 64,
    "sha256:" + "a" * 63 + "/",
    "sha256:" + "a" * 63 + "\0",
    "sha256:" + "\u0661" * 64,
    "SHA256:" + "a" * 64,
    "sha512:" + "a" * 64,
    "sha384:" + "a" * 96,
    "md5:" + "a" * 32,
    "sha256+b64:" + "a" * 64,
)
NOT_TEXT = (None, 1, True, 1.5, b"sha256:" + b"a" * 64, [], {})
