"""Names that registries take are kept; others are mapped where nothing is guessed, or refused."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.digest import Digest
from tasks.oci.errors import DigestOnlyError, InvalidReferenceError
from tasks.oci.reference import (
    IMAGE_NAME,
    REF_NAME,
    TargetAddress,
    is_own_name,
    is_referrers_tag,
    is_repository,
    is_tag,
    map_repository,
    parse_referrers_tag,
    referrers_tag,
    referrers_tag_of,
    repository_of_reference,
    tag_of_annotations,
    tag_of_ref_name,
)
from tests.support.oci_strategies import digests, sha256

# distribution-spec v1.1.1, "Pulling manifests": <name> and <reference> as a tag, as the specification writes them
SPEC_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
SPEC_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
names = st.from_regex(r"[a-z0-9]{1,3}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,3}){0,2}", fullmatch=True)
tags = st.from_regex(SPEC_TAG, fullmatch=True)
odd_text = st.text(alphabet=st.sampled_from("abZ09._-/: @+\n\tÄﬁé²\udcff")) | st.text()


@given(odd_text)
def test_repositories_and_tags_are_exactly_those_of_the_specification(text: str) -> None:
    assert is_repository(text) == (SPEC_NAME.fullmatch(text) is not None)
    assert is_tag(text) == (SPEC_TAG.fullmatch(text) is not None)


@given(names)
def test_a_path_that_registries_take_is_kept(name: str) -> None:
    assert map_repository(name) == name


@given(odd_text)
def test_a_mapped_path_is_a_name_and_maps_to_itself(path: str) -> None:
    try:
        name = map_repository(path)
    except InvalidReferenceError:
        return
    assert is_repository(name)
    assert map_repository(name) == name
    assert name.count("/") == path.count("/")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("team/My App", "team/my-app"),
        ("Tab\tand  spaces", "tab-and-spaces"),
        ("Ärger/ﬁle²", "arger/file2"),
        ("-edge-", "edge"),
        ("a___b", "a-b"),
        ("a/_/b-", None),
        ("日本", None),
        ("a//b", None),
        ("..", None),
        ("", None),
        ("team/\udcff", None),
        ("team/x\udcff", "team/x"),
    ],
)
def test_mapping_by_example(path: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(InvalidReferenceError):
            map_repository(path)
    else:
        assert map_repository(path) == name


@given(tags)
def test_a_bare_tag_is_kept(tag: str) -> None:
    assert tag_of_ref_name(tag) == tag


@given(names, tags)
def test_the_tag_inside_a_full_reference_is_found(name: str, tag: str) -> None:
    for reference in (f"registry.example:5000/{name}:{tag}", f"docker.io/{name}:{tag}", f"{name}:{tag}"):
        assert tag_of_ref_name(reference) == tag
        assert tag_of_ref_name(f"{reference}@{sha256(b'')}") == tag


@pytest.mark.parametrize(
    "ref_name",
    [
        "",
        "v1+build",
        "docker.io/library/nginx",
        "registry.example:5000/app",
        f"app@{sha256(b'')}",
        "a:b:c",
        ":",
        "app:",
        "x" * 129,
        "-v1",
        "v1\n",
        "app:v 1",
        "app:-v1",
        sha256(b""),
    ],
)
def test_a_tag_that_registries_refuse_is_never_changed_into_another(ref_name: str) -> None:
    with pytest.raises(InvalidReferenceError):
        tag_of_ref_name(ref_name)


@pytest.mark.parametrize("ref_name", [f"registry.example:5000/app@{sha256(b'')}", f"app@{sha256(b'')}", sha256(b"")])
def test_what_is_named_by_its_digest_alone_is_told_from_a_tag_that_is_refused(ref_name: str) -> None:
    with pytest.raises(DigestOnlyError, match="by its digest and without a tag"):
        tag_of_ref_name(ref_name)


@given(names, tags)
def test_a_tag_beside_a_digest_is_told_from_a_repository_by_the_whole_reference(name: str, tag: str) -> None:
    """As containerd exports `name:tag@digest`; a digest alone, and another reference beside it, tell of no tag."""
    pinned = f"{tag}@{sha256(b'')}"
    assert tag_of_annotations({REF_NAME: pinned, IMAGE_NAME: f"docker.io/{name}:{pinned}"}) == tag
    for ref_name, image_name in (
        (pinned, f"docker.io/{name}/{pinned}"),
        (pinned, f"docker.io/{name}:other-{pinned}"),
        (f"@{sha256(b'')}", f"docker.io/{name}@{sha256(b'')}"),
    ):
        with pytest.raises(DigestOnlyError):
            tag_of_annotations({REF_NAME: ref_name, IMAGE_NAME: image_name})


@given(names, tags)
def test_the_repository_of_a_whole_reference_is_what_comes_after_the_host(name: str, tag: str) -> None:
    for host in ("docker.io/", "registry.example:5000/", "localhost/", "localhost:5000/", "[::1]:5000/"):
        for end in (f":{tag}", f"@{sha256(b'')}", f":{tag}@{sha256(b'')}", ""):
            assert repository_of_reference(f"{host}{name}{end}") == name


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("alpine:3.19", "alpine"),
        ("team/app:v1", "team/app"),  # as Docker does: a host has a dot or a port
        ("v1", None),
        ("1.2.3", None),
        (sha256(b""), None),
        (f"@{sha256(b'')}", None),
        ("docker.io/Team/App:v1", None),
        ("docker.io/:v1", None),
        ("registry.example:99999/app:v1", None),
        ("team/app:v 1", None),
        ("team/app:", None),
        ("app@v1", None),
        ("a:b:c", None),
        ("../secret:v1", None),
        ("", None),
    ],
)
def test_what_is_no_whole_reference_names_no_repository(reference: str, repository: str | None) -> None:
    assert repository_of_reference(reference) == repository


@given(odd_text)
def test_whatever_names_a_repository_names_one_that_registries_take(text: str) -> None:
    repository = repository_of_reference(text)
    assert repository is None or is_repository(repository)


@pytest.mark.parametrize("ref_name", ["docker.io/library/nginx", "registry.example:5000/app"])
def test_a_reference_without_a_tag_is_not_called_a_tag(ref_name: str) -> None:
    with pytest.raises(InvalidReferenceError, match="which has no tag"):
        tag_of_ref_name(ref_name)


@pytest.mark.parametrize("end", [":v1+build", f"@{sha256(b'')}", "/app"])
def test_of_a_long_image_name_the_middle_is_left_out_and_not_what_is_wrong(end: str) -> None:
    begin = "registry.example:5000/"
    with pytest.raises(InvalidReferenceError) as raised:
        tag_of_ref_name(f"{begin}{'deep/' * 100}app{end}")
    assert f"'{begin}" in str(raised.value)
    assert f"{end}'" in str(raised.value)
    assert len(str(raised.value)) < 300


@given(odd_text)
def test_whatever_tag_is_found_is_one_and_stands_in_the_ref_name(ref_name: str) -> None:
    try:
        tag = tag_of_ref_name(ref_name)
    except InvalidReferenceError:
        return
    assert is_tag(tag)
    assert tag in ref_name


@given(digests)
def test_a_fallback_tag_is_a_tag(digest: Digest) -> None:
    assert is_tag(referrers_tag(digest))


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_a_referrers_tag_names_its_subject(suffix: str) -> None:
    subject = Digest(sha256(b"subject"))
    parsed = parse_referrers_tag(referrers_tag(subject) + suffix)
    assert parsed is not None
    assert (parsed.subject, parsed.suffix) == (subject, suffix)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("suffix", ["", ".sig"])
def test_a_tag_of_its_own_digest_is_a_name_and_no_referrers(algorithm: str, suffix: str) -> None:
    own, other = Digest.of(b"own", algorithm), Digest.of(b"other", algorithm)
    tag = referrers_tag(own) + suffix
    assert is_own_name(tag, own)
    assert not is_own_name(tag, other)
    assert not is_own_name("v1", own)
    assert referrers_tag_of(tag, own) is None
    assert referrers_tag_of(tag, other) == parse_referrers_tag(tag)


@pytest.mark.parametrize(
    "tag", ["v1", "sha256-abc", "sha256-" + "a" * 65, "sha256-" + "A" * 64, "sha512-" + "a" * 64]
)
def test_other_tags_are_versions(tag: str) -> None:
    assert parse_referrers_tag(tag) is None
    assert parse_referrers_tag("sha256-" + "a" * 64 + ".sigs") is None


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_a_tag_of_referrers_may_have_the_first_half_of_a_sha512(suffix: str) -> None:
    for algorithm, length, is_one in [
        *(("sha256", 64, True), ("sha512", 64, True), ("sha512", 128, True)),
        *(("sha256", 128, False), ("sha512", 100, False), ("sha256", 65, False)),
    ]:
        assert is_referrers_tag(f"{algorithm}-{'a' * length}{suffix}") is is_one
    assert not is_referrers_tag("v1")


@pytest.mark.parametrize(
    ("text", "host", "prefix"),
    [
        ("localhost:5000", "localhost:5000", ""),
        ("registry.example/team/x/", "registry.example", "team/x"),
        ("[::1]:5000/a", "[::1]:5000", "a"),
        ("10.0.0.1", "10.0.0.1", ""),
    ],
)
def test_a_target_address_reads_back(text: str, host: str, prefix: str) -> None:
    address = TargetAddress.parse(text)
    assert (address.host, address.prefix) == (host, prefix)
    assert TargetAddress.parse(str(address)) == address
    assert str(address) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        *("", "/a", "https://h/a", "h/Team", "h/a:v1", "h:port", "h/a@b", "h//a", "h/../a", "a b", "h:123456", "h\n"),
        *("h:65536", "h:99999/a", "h:0", "[::1]:65536"),
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        TargetAddress.parse(text)


@pytest.mark.parametrize("text", ["me:pw@localhost:5000", "me:p/w@localhost:5000/a", "me@registry.example"])
def test_a_login_in_a_target_is_sent_to_its_place(text: str) -> None:
    with pytest.raises(
        InvalidReferenceError, match=r"a login has no place in a target .*--password-stdin"
    ) as refusal:
        TargetAddress.parse(text)
    assert "me" not in str(refusal.value).replace("username", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://h/a", "without a scheme"),
        ("h:port", "not a registry host: 'h:port'"),
        ("h:99999", "not a registry host: 'h:99999'; ports go from 1 to 65535"),
        ("h:0/a", "not a registry host: 'h:0'; ports go from 1 to 65535"),
        ("::1", r"not a registry host: '::1'; an IPv6 address stands in brackets: \[::1\]:5000"),
        ("h/Team", "not a prefix"),
        ("h/a:v1", "without a tag"),
        ("/mnt/bucket", "SOURCE comes before TARGET"),
        ("./bucket", "SOURCE comes before TARGET"),
        ("s3://bucket", "SOURCE comes before TARGET"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_a_target(text: str, why: str) -> None:
    with pytest.raises(InvalidReferenceError, match=why):
        TargetAddress.parse(text)


@pytest.mark.parametrize("text", ["me:hunter2@registry.example/a", "https://me:hunter2@registry.example"])
def test_a_refusal_shows_no_password(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as refusal:
        TargetAddress.parse(text)
    assert "hunter2" not in str(refusal.value)


def test_the_prefix_goes_before_the_name_and_the_length_is_bounded() -> None:
    assert TargetAddress("h", "p/q").repository("a/b") == "p/q/a/b"
    assert TargetAddress("h").repository("a") == "a"
    assert TargetAddress("h", "p").repository("") == "p"
    assert TargetAddress("h").repository("a" * 253) == "a" * 253
    with pytest.raises(InvalidReferenceError, match="255"):
        TargetAddress("h").repository("a" * 254)


@pytest.mark.parametrize("text", ["a-" * 50_000, "a" + "-" * 100_000, "a_" * 50_000 + "!", "x:" * 50_000])
def test_hostile_names_are_decided_in_no_time(text: str) -> None:
    started = time.process_time()
    is_repository(text)
    for decide in (map_repository, tag_of_ref_name, TargetAddress.parse):
        try:
            decide(text)
        except InvalidReferenceError:
            continue
    assert time.process_time() - started < 1
