from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.newest import Newest
from tasks.operations.choosing.selection import Renames, Selection


def chosen(pattern: str, repository: str, tag: str | None = "v1") -> bool:
    return Selection.parse([pattern], []).matches(repository, tag)


@pytest.mark.parametrize(
    ("pattern", "wanted", "unwanted"),
    [
        ("team/*", ["team/app"], ["team", "team/a/b", "xteam/app"]),
        ("team/**", ["team/app", "team/a/b"], ["team", "teams/app"]),
        ("**/app", ["app", "team/app", "a/b/app"], ["myapp", "app/x"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az"]),
        ("**", ["a", "a/b", "."], []),
        ("ap?", ["app"], ["ap", "ap/", "apps"]),
        ("v[0-9]x", ["v1x"], ["vax", "v/x"]),
        ("v[!0-9]x", ["vax"], ["v1x", "v/x"]),
        ("v[^a]x", ["vbx"], ["vax"]),
        ("a[]]b", ["a]b"], ["ab"]),
        ("a[-z]b", ["a-b", "azb"], ["abb"]),
        ("a[b-b]c", ["abc"], ["a-c", "aac"]),
        ("a[b]", ["ab"], ["a-", "a"]),
        ("a[*]b", ["a*b"], ["axb"]),
        ("a[:]b", ["a:b"], ["ab"]),
        ("a.b", ["a.b"], ["axb"]),
        ("regex", ["regex"], ["app"]),
        ("*", ["new\nline"], []),
    ],
)
def test_repository_globs(pattern, wanted, unwanted):
    assert [r for r in wanted if not chosen(pattern, r)] == []
    assert [r for r in unwanted if chosen(pattern, r)] == []


@pytest.mark.parametrize(
    ("pattern", "wanted", "unwanted"),
    [
        ("app:v*", ["v1", "v1/2"], ["1", None]),
        (":v*", ["v1"], ["1", None]),
        ("app", ["anything", None], []),
        (r"app:regex:v\d+", ["v12"], ["v12-rc", "xv1", None]),
        ("app:regex:a|bc", ["a", "bc"], ["abc", "ac"]),
        ("app:regex:a:b", ["a:b"], []),
        ("app:semver:>=1.0 <2.0", ["1.5.0", "v1.5.0"], ["2.0.0", "latest", None]),
        ("app:regex", ["regex"], ["x"]),
        ("app:v[1,2]", ["v1", "v2"], ["v3", "v[1,2]"]),
        (":v[1,2]", ["v1"], ["v3"]),
        ("**:semver", ["semver"], ["1.0.0"]),
    ],
)
def test_tag_parts(pattern, wanted, unwanted):
    assert [t for t in wanted if not chosen(pattern, "app", t)] == []
    assert [t for t in unwanted if chosen(pattern, "app", t)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "", "app:", "app:regex:", "app:semver:", "app:regex:(", "app:regex:" + "(" * 9999,
        "app:regex:a{99999999999}", "app:semver:latest",
        "app:glob:x", "semver:^1.0", "regex:v.*", "/app", "app/", "a//b", "a[b", "a[z-a]", "a[", "app:[",
    ],
)  # fmt: skip
def test_a_bad_pattern_is_named(pattern):
    for lists in (([pattern], []), ([], ["good", pattern])):
        with pytest.raises(ConfigurationError) as raised:
            Selection.parse(*lists)
        assert repr(pattern) in str(raised.value)


def test_exclusion_wins():
    selection = Selection.parse(["team/*", "other"], ["team/secret", "**:*-rc*"])
    assert selection.matches("team/app", "v1")
    assert selection.matches("team/app", None)
    assert selection.matches("other", "v1")
    assert not selection.matches("team/secret", "v1")
    assert not selection.matches("team/app", "v1-rc1")
    assert not selection.matches("elsewhere", "v1")


def test_a_layout_is_taken_whole_where_no_pattern_leaves_a_tag_of_it_out():
    def whole(include, exclude, *, has_tags=True):
        return Selection.parse(include, exclude).takes_whole("team/app", has_tags=has_tags)

    assert whole([], [])
    assert whole(["team/*"], ["other", "other:v1"])
    assert not whole(["other"], [])
    assert not whole([], ["team/app"])
    assert not whole([], ["team/app:v1", "other"])
    assert not whole(["team/app:v1"], [])
    assert whole([], ["team/app:v1"], has_tags=False)
    assert not whole([], ["team/app"], has_tags=False)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a[z-a]", "the range 'z-a' is empty"),
        ("", "it is empty"),
        ("app:", "nothing follows"),
        ("app:glob:x", "no tag has a colon"),
        ("regex:v.*", "write ':regex:v"),
        ("app:v1,v2", "no tag has a comma: each takes a pattern of its own"),
        ("app:v[1,2],v3", "no tag has a comma"),
        ("a[b", "not closed"),
        ("[]", "not closed"),
        ("app:[!]", "not closed"),
        ("a//b", "no slash at its ends"),
        (f"team/app@sha256:{'0' * 64}", "it names a digest"),
        (f"team/app:v1@sha256:{'0' * 64}", "it names a digest"),
        ("localhost:5000/team/app:v1", "it begins with the registry localhost:5000, and a path begins below SOURCE"),
        ("registry.example:5000/app", "registry.example:5000"),
        ("docker://ghcr.io/team/app:v1", "it begins with docker://"),
    ],
)
def test_a_bad_pattern_says_what_is_wrong_with_it(pattern, why):
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        Selection.parse([pattern], [])


def test_a_path_may_look_like_a_host_or_hold_what_a_reference_has() -> None:
    assert chosen("ghcr.io/team/app:v1", "ghcr.io/team/app")
    assert chosen(f"app[@]sha256:{'0' * 64}", "app@sha256", "0" * 64)
    assert chosen("app:5000", "app", "5000")
    assert chosen("app[:]5000/web", "app:5000/web")


def test_patterns_that_fit_no_layout_and_no_tag_are_known() -> None:
    selection = Selection.parse(["team/*", "taem/*", "team/app:v1", "team/app:v7", "team/app:v7", "other"], ["other"])
    fitting = selection.fitting("team/app", ["v1", None])
    assert fitting == {"team/*", "team/app:v1"}
    assert selection.fitting("team/app", None, fitting) == {"team/app:v7"}, "nobody looked at its tags"
    assert selection.unused(fitting, ()) == ["taem/*", "team/app:v7", "other"]
    assert selection.unused(fitting | selection.fitting("other", ()), ()) == ["taem/*", "team/app:v7"]


def test_a_pattern_that_may_fit_what_was_not_read_is_not_called_unused() -> None:
    selection = Selection.parse(["team/app:v7", "**:v8", "other/*"])
    assert selection.unused((), ["team"]) == ["other/*"]
    assert selection.unused((), ["other/x"]) == ["team/app:v7"]
    assert selection.unused((), ["."]) == []


def test_everything_is_the_default():
    assert Selection.parse([], []).is_everything
    assert Selection.parse([], []).matches("any/thing", None)
    assert not Selection.parse(["**"], []).is_everything
    assert not Selection.parse([], ["x"]).is_everything
    assert not Selection.parse(newest=Newest(1)).is_everything


_patterns = st.lists(
    st.sampled_from(["team/*", "team/app", "**", "other", ":v*", "team/app:v1", "other:regex:.*2", "team/**:*"]),
    max_size=3,
)


@given(_patterns, _patterns)
def test_what_is_not_read_holds_nothing_that_is_chosen_and_what_is_taken_whole_all_of_it(include, exclude):
    selection = Selection.parse(include, exclude)
    for repository in ("team/app", "team/secret", "other"):
        chosen = [selection.matches(repository, tag) for tag in (None, "v1", "v2", "latest")]
        assert selection.may_match(repository) or not any(chosen)
        assert all(chosen) or not selection.takes_whole(repository, has_tags=True)
        assert chosen[0] is selection.takes_whole(repository, has_tags=False)


def test_a_layout_of_which_no_tag_can_be_chosen_is_not_read():
    selection = Selection.parse(["team/*:v*"], ["team/secret", "team/app:v1"])
    assert selection.may_match("team/app")
    assert not selection.may_match("team/secret")
    assert not selection.may_match("other")


@given(st.text(max_size=20))
def test_any_pattern_is_taken_or_refused_as_configuration(pattern):
    with suppress(ConfigurationError):
        Selection.parse([pattern], []).matches("team/app", "v1")


def test_renames_are_by_whole_components_and_the_longest_wins():
    renames = Renames.parse(["team=group", "team/app=apps/main", "a=b=c"])
    assert renames.apply("team") == "group"
    assert renames.apply("team/x/y") == "group/x/y"
    assert renames.apply("team/app") == "apps/main"
    assert renames.apply("team/app/sub") == "apps/main/sub"
    assert renames.apply("team/apple") == "group/apple"
    assert renames.apply("teams") == "teams"
    assert renames.apply("a=b/x") == "c/x"
    assert Renames.parse([]).apply("x/y") == "x/y"
    assert Renames.parse([".=root/app"]).apply(".") == "root/app"


def test_a_dot_renames_the_source_itself_and_nothing_below_it():
    renames = Renames.parse([".=apps/main"])
    assert renames.apply(".") == "apps/main"
    assert renames.apply("below") == "below"
    assert renames.unused(["below"]) == ["."]
    assert renames.unused([".", "below"]) == []


def test_renames_that_give_no_repository_its_name_are_known():
    renames = Renames.parse(["team=group", "team/app=apps/main", "taem=x"])
    assert renames.unused(["team/app/sub", "teams"]) == ["taem", "team"]
    assert renames.unused(["team", "team/app", "taem/x"]) == []


def test_renames_are_not_chained():
    assert Renames.parse(["a=b", "b=a"]).apply("a/x") == "b/x"


@pytest.mark.parametrize("text", ["", "team", "=x", "team=", "/a=b", "a=b/", "a=..", "a//b=c", "../a=b", "a=."])
def test_a_bad_rename_is_named(text):
    with pytest.raises(ConfigurationError, match="rename") as raised:
        Renames.parse([text])
    assert repr(text) in str(raised.value)


def test_two_renames_of_one_path():
    with pytest.raises(ConfigurationError, match="same path"):
        Renames.parse(["a=b", "a=c"])


PARTS = ["a", "b", "*", "**", "?", "[ab]", "/", "a*", ":v1"]
PATTERNS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=4)


@given(st.lists(PATTERNS, max_size=2), st.lists(PATTERNS, max_size=2), PATHS, st.integers(1, 4))
def test_a_folder_that_patterns_leave_out_holds_nothing_that_they_choose(
    include: list[str], exclude: list[str], path: list[str], depth: int
) -> None:
    with suppress(ConfigurationError):
        selection = Selection.parse(include, exclude)
        if selection.may_match("/".join(path)):
            assert selection.may_match_below("/".join(path[:depth]))


@pytest.mark.parametrize(
    ("include", "exclude", "is_left_out"),
    [
        ([], ["lost+found**"], True),
        ([], ["lost+found", "lost+found/**"], True),
        ([], ["**"], True),
        (["team/**"], [], True),
        (["team-?/**"], [], False),
        ([], ["lost+found"], False),
        ([], ["lost+found/**"], False),
        ([], ["lost+found**:v1"], False),
        ([], ["lost+found", "lost+found/*"], False),
        (["lost+found/old"], [], False),
        (["**"], [], False),
        ([], [], False),
    ],
)
def test_a_folder_is_left_out_where_all_that_it_may_hold_is(
    include: list[str], exclude: list[str], is_left_out: bool
) -> None:
    assert Selection.parse(include, exclude).may_match_below("lost+found") is not is_left_out
