from __future__ import annotations

import pytest

from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.semver import Constraint, parse_version

CASES = [
    (">=1.0 <2.0", ["1.0.0", "v1.9.9"], ["0.9.9", "2.0.0", "1.5.0-rc.1"]),
    (">=1.0, <2.0", ["1.0.0"], ["2.0.0"]),
    (">= 1.0 < 2.0", ["1.0.0"], ["2.0.0"]),
    ("^1.2", ["1.2.0", "1.99.0"], ["1.1.9", "2.0.0", "2.0.0-rc.1"]),
    ("^0.2.3", ["0.2.3", "0.2.9"], ["0.2.2", "0.3.0"]),
    ("^0.0.3", ["0.0.3"], ["0.0.4"]),
    ("^0.0", ["0.0.9"], ["0.1.0"]),
    ("^0.x", ["0.9.9"], ["1.0.0"]),
    ("~1.2.3", ["1.2.3", "1.2.9"], ["1.2.2", "1.3.0"]),
    ("~1", ["1.9.0"], ["2.0.0"]),
    ("1.x", ["1.0.0", "1.9.9"], ["2.0.0", "0.9.0", "1.0.0-rc.1"]),
    ("1.2.*", ["1.2.7"], ["1.3.0"]),
    ("=1.2.3", ["1.2.3", "v1.2.3", "1.2.3+build"], ["1.2.4", "1.2.3-rc.1"]),
    ("v1.2.3", ["1.2.3"], ["1.2.4"]),
    ("*", ["0.0.0", "9.9.9"], ["1.0.0-rc.1", "latest"]),
    ("<1.0 || >=2.1.0", ["0.5.0", "2.1.0"], ["1.0.0", "2.0.9"]),
    (">1.2", ["1.3.0"], ["1.2.9", "1.3.0-rc.1"]),
    ("<=1.2", ["1.2.9"], ["1.3.0"]),
    (">1.2.3", ["1.2.4"], ["1.2.3"]),
    (">=1.2.3-rc.2", ["1.2.3-rc.2", "1.2.3-rc.10", "1.2.3", "1.3.0"], ["1.2.3-rc.1", "1.3.0-rc.5", "1.2.3-beta"]),
    ("^1.2.3-beta", ["1.2.3-beta.1", "1.5.0"], ["1.2.3-alpha", "1.2.4-beta", "2.0.0"]),
    (">=1.0.0-rc.1 <2.0.0", ["1.0.0-rc.1"], ["2.0.0-rc.1"]),
]


@pytest.mark.parametrize(("text", "wanted", "unwanted"), CASES)
def test_constraint(text, wanted, unwanted):
    constraint = Constraint.parse(text)
    assert [v for v in wanted if not constraint.allows(v)] == []
    assert [v for v in unwanted if constraint.allows(v)] == []


@pytest.mark.parametrize(
    "text",
    ["", "||", "1.0 ||", "latest", ">", "1.2.3.4", "1.x.3", "1.2-rc", ">*", "!=1.0", "^^1", "01.2.3", "1.2.3-01"],
)
def test_bad_constraint(text):
    with pytest.raises(ConfigurationError):
        Constraint.parse(text)


@pytest.mark.parametrize(
    "tag", ["latest", "1.2", "1", "v", "01.2.3", "1.2.3-", "1.2.3-01", "vv1.2.3", "\u0661.2.3", "9" * 5000]
)
def test_what_is_no_version_matches_nothing(tag):
    assert parse_version(tag) is None
    assert not Constraint.parse("*").allows(tag)


def test_the_order_of_the_specification():
    ordered = (
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 2.0.0"
    )
    keys = [parse_version(text) for text in ordered.split()]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
