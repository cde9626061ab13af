"""A digest that exists is safe to join to a path."""

import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError
from tests.support.oci_strategies import HOSTILE_DIGESTS, NOT_TEXT, digests


@given(digests)
def test_a_digest_is_its_text_and_reads_back(digest: Digest) -> None:
    assert Digest(str(digest)) == str(digest) == f"{digest.algorithm}:{digest.encoded}"
    assert hash(digest) == hash(str(digest))


@given(digests)
def test_a_digest_survives_pickling_as_a_digest(digest: Digest) -> None:
    copied = pickle.loads(pickle.dumps(digest))
    assert copied == digest
    assert type(copied) is Digest


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_digest_of_content_is_the_hash_that_python_computes(algorithm: str) -> None:
    digest = Digest.of(b"content", algorithm)
    assert digest.encoded == hashlib.new(algorithm, b"content").hexdigest()
    hasher = digest.hasher()
    hasher.update(b"content")
    assert hasher.hexdigest() == digest.encoded


@pytest.mark.parametrize("text", HOSTILE_DIGESTS)
def test_hostile_text_is_no_digest(text: str) -> None:
    with pytest.raises(InvalidDigestError):
        Digest(text)


@pytest.mark.parametrize("value", NOT_TEXT, ids=repr)
def test_what_is_not_text_is_no_digest(value: object) -> None:
    with pytest.raises(InvalidDigestError):
        Digest(value)


@given(st.text() | st.builds("sha256:{}".format, st.text(alphabet="abcdef0123456789./\n\0", max_size=70)))
def test_whatever_is_accepted_has_no_character_that_leads_elsewhere(text: str) -> None:
    try:
        digest = Digest(text)
    except InvalidDigestError:
        return
    assert set(digest.encoded) <= set("0123456789abcdef")
    assert len(digest.encoded) == 2 * digest.hasher().digest_size


def test_a_refusal_shows_only_the_beginning_of_long_text() -> None:
    with pytest.raises(InvalidDigestError) as refusal:
        Digest("x" * 1_000_000)
    assert len(str(refusal.value)) < 200
