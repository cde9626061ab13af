"""What a user says is checked before anything is stored: Prefect keeps the parameters of a run, and shows them."""

import re

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from flows.commands.running import checked
from flows.forms import source_parameters
from flows.forms.benchmark_parameters import BenchmarkParameters
from flows.forms.cleanup_parameters import (
    CleanupParameters,
    CleanupPlanParameters,
    DeleteParameters,
    RecoverParameters,
)
from flows.forms.parameters import (
    CheckParameters,
    InPlaceParameters,
    MigrateParameters,
    RunParameters,
    VerifyParameters,
)
from flows.forms.scale_parameters import ScaledMigrateParameters, ScaledVerifyParameters
from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.work.planning import Untagged

MODELS = pytest.mark.parametrize("model", [MigrateParameters, VerifyParameters])


@MODELS
@pytest.mark.parametrize(
    "target", ["user:hunter2@registry.example", "https://user:hunter2@registry.example/team", "hunter2@host:5000"]
)
def test_a_target_with_a_password_in_it_is_refused_and_the_password_not_repeated(
    model: type[BaseModel], target: str
) -> None:
    with pytest.raises(ValidationError):
        model(source="/mnt/bucket", target=target)
    with pytest.raises(ConfigurationError, match="TARGET") as raised:
        checked(model, {"source": "/mnt/bucket", "target": target})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "model", [ScaledMigrateParameters, ScaledVerifyParameters, CleanupParameters, BenchmarkParameters]
)
def test_a_prefect_server_that_is_told_of_the_form_keeps_no_login(model: type[BaseModel]) -> None:
    """It looks at the form alone, before it stores what a run of a deployment is given."""
    schema = model.model_json_schema()
    logins = ["user:hunter2@registry.example", "https://user:hunter2@store", "s3://AKID:hunter2@bucket/team"]
    texts = {"source": [*logins[2:], "s3://AKID:hun/ter2@bucket"], "state": logins[2:], "location": logins[2:]}
    texts |= {"target": logins, "gate": logins, "registry": logins[:1], "endpoint_url": logins[1:2]}
    good = ["s3://bucket/team@corp", "/mnt/a@b:c", "block:team-a", None]
    taken = {"source": good[:3], "state": good, "location": ["s3://bucket", None], "gate": ["registry.example", None]}
    taken |= {"target": ["registry.example:5000/a", "block:harbor"], "endpoint_url": ["https://store:9000", None]}
    fields = {name: Draft202012Validator(schema["properties"][name]) for name in texts.keys() & schema["properties"]}
    if model in {CleanupParameters, BenchmarkParameters}:
        del fields["state"]  # a folder, and nothing else
    assert len(fields) >= 3
    for name, field in fields.items():
        assert not any(field.is_valid(text) for text in texts[name]), name
        assert all(field.is_valid(text) for text in taken.get(name, [None])), name


def test_nothing_is_proved_again_of_what_is_not_asked_for() -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "prove_again": True}
    assert MigrateParameters(**given).to_options().policy.prove_again
    with pytest.raises(ConfigurationError, match="--prove-again: not with --since-last"):
        checked(MigrateParameters, {**given, "since_last": True})


@pytest.mark.parametrize("model", [MigrateParameters, ScaledMigrateParameters])
def test_nothing_is_deleted_where_a_name_may_be_that_of_an_entry_that_can_t_be_read(model: type[BaseModel]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "split_by_name": True}
    assert model(**given).to_options().split_by_name
    with pytest.raises(ConfigurationError, match="--delete-vanished: not with --split-by-name"):
        checked(model, given | {"delete_vanished": True})


@MODELS
def test_who_pays_for_requests_signs_them(model: type[BaseModel]) -> None:
    given = {"source": "s3://bucket", "target": "registry.example"}
    assert model(**given, no_sign_request=True).to_options().bucket_access.anonymous
    assert not model(**given).to_options().bucket_access.anonymous
    with pytest.raises(ValidationError, match="has to sign them"):
        model(**given, no_sign_request=True, request_payer=True)


@pytest.mark.parametrize("model", [CleanupParameters, DeleteParameters, RecoverParameters])
def test_what_changes_a_bucket_can_t_do_so_without_credentials(model: type[BaseModel]) -> None:
    assert "no_sign_request" not in model.model_fields


@MODELS
def test_a_target_is_taken_as_it_is(model: type[BaseModel]) -> None:
    assert model(source="/mnt/bucket", target="registry.example:5000/team").target == "registry.example:5000/team"


@MODELS
@pytest.mark.parametrize(
    "place", ["s3://AKID:hunter2@bucket/team", "s3://AKID:hun/ter2@bucket", "https://user:hunter2@store/bucket"]
)
def test_a_login_in_the_name_of_a_bucket_is_refused_and_not_repeated(model: type[BaseModel], place: str) -> None:
    good = {"source": "s3://bucket/team", "target": "registry.example", "state": "s3://bucket/state"}
    model(**good)
    for field in ("source", "state"):
        with pytest.raises(ConfigurationError, match=f"(?i){field}: ") as raised:
            checked(model, good | {field: place})
        assert "hun" not in str(raised.value)


@MODELS
def test_a_verification_can_prove_the_untagged_manifests_that_a_migration_brings(model: type[RunParameters]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "untagged": "all"}
    assert checked(model, given).to_options().policy.untagged is Untagged.ALL


@MODELS
@pytest.mark.parametrize(
    ("field", "instead"), [("report", "--json prints the report"), ("metrics", "/dev/stdout is standard output")]
)
def test_a_file_of_the_name_that_other_programs_take_for_standard_output_is_refused(
    model: type[RunParameters], field: str, instead: str
) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example"}
    with pytest.raises(ConfigurationError, match=f"--{field}: .* {instead}"):
        checked(model, {**given, field: "-"})
    assert getattr(checked(model, {**given, field: "./-"}), field) == "./-"


@pytest.mark.parametrize("field", ["source", "state", "report", "metrics"])
def test_a_home_that_no_shell_put_in_is_refused_and_not_made_a_folder_of_that_name(field: str) -> None:
    """As in `--state=~/lift`, which bash leaves as it is, and in every file."""
    given = {"source": "/mnt/bucket", "target": "registry.example"}
    for place in ("~", "~/lift"):
        with pytest.raises(ConfigurationError, match=f"({field.upper()}|--{field}): ~.*write the folder in full"):
            checked(MigrateParameters, given | {field: place})
    assert checked(MigrateParameters, given | {field: "./~/lift"})


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (MigrateParameters, "report"),
        (VerifyParameters, "metrics"),
        (CleanupPlanParameters, "output"),
        (CleanupParameters, "state"),
    ],
)
def test_what_is_written_on_this_machine_is_not_taken_for_a_folder_where_a_bucket_is_named(
    model: type[BaseModel], field: str
) -> None:
    """Of `s3://bucket/report.json` the system makes a file below a folder `s3:`, of which nobody hears."""
    place = {"source": "s3://bucket", "target": "registry.example", "policy": "cleanup.yaml"}
    given = {name: value for name, value in place.items() if name in model.model_fields}
    for url in ("s3://AKID:hunter2@bucket/kept", "https://AKID:hunter2@store/kept"):
        with pytest.raises(ConfigurationError, match=f"--{field}: .* of this machine") as raised:
            checked(model, given | {field: url})
        assert "hunter2" not in str(raised.value)
    assert checked(model, given | {field: "s3:/kept"})


@pytest.mark.parametrize("field", ["source", "state", "report", "ca_file", "limits_from", "tags_from"])
def test_a_name_with_a_nul_in_it_is_refused_and_no_error_of_python(field: str) -> None:
    """No argument of a command can hold one; a migration file's string and a parameter of a deployment can."""
    given = {"source": "/mnt/bucket", "target": "registry.example"}
    with pytest.raises(ConfigurationError, match="holds a NUL"):
        checked(MigrateParameters, given | {field: "/srv/a\0b"})


@MODELS
def test_a_name_that_is_not_in_utf_8_is_said_so(model: type[RunParameters]) -> None:
    with pytest.raises(ConfigurationError, match="SOURCE: it is not in UTF-8"):
        checked(model, {"source": "/mnt/caf\udce9", "target": "registry.example"})


@MODELS
@pytest.mark.parametrize(
    "beside",
    [
        {"include": ["app"]},
        {"exclude": ["app"]},
        {"newest": 1},
        {"newer_than": "90d"},
        {"older_than": "6h"},
        {"untagged": "all"},
    ],
)
def test_a_list_is_all_that_chooses(model: type[RunParameters], beside: dict[str, object]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "tags_from": "images.txt"}
    with pytest.raises(ConfigurationError, match="says exactly what comes"):
        checked(model, given | beside)
    assert checked(model, given).to_options().choosing.tags_from == "images.txt"


@MODELS
def test_an_order_without_a_number_is_refused_as_it_has_no_use(model: type[RunParameters]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "order_by": "semver"}
    with pytest.raises(ConfigurationError, match="--order-by: it is a setting of --newest"):
        checked(model, given)
    with pytest.raises(ConfigurationError, match="--newest"):
        checked(model, given | {"newest": 0})
    assert checked(model, given | {"newest": 3}).to_options().choosing.newest == Newest(3, NewestBy.SEMVER)


@MODELS
def test_ages_are_written_as_in_a_policy_and_counted_from_now_on(
    model: type[RunParameters], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_parameters, "time", lambda: 5_000_000.0)
    given = {"source": "/mnt/bucket", "target": "registry.example"}

    def ages(**limits: str) -> Ages | None:
        made = checked(model, given | limits)
        assert made.choosing == made.to_options().choosing
        return made.choosing.ages

    assert ages(newer_than="1w2d", older_than="6h") == Ages(9 * 86_400.0, 6 * 3_600.0, 5_000_000.0)
    assert ages(newer_than="90d") == Ages(90 * 86_400.0, None, 5_000_000.0)
    assert ages(older_than="30m") == Ages(None, 1_800.0, 5_000_000.0)
    assert ages() is None


@MODELS
@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ({"newer_than": "90"}, "--newer-than: a duration is a number with w, d, h, m or s behind it: 30d, 12h, 1w2d"),
        ({"older_than": "2026-01-01"}, "--older-than: a duration is a number with"),
        ({"older_than": "0h"}, "--older-than: it must be an age, such as 6h or 90d"),
        ({"newer_than": f"{'9' * 400}d"}, "--newer-than: it must be an age"),
        (
            {"newer_than": "6h", "older_than": "90d"},
            "--older-than: nothing is at least 90d old and at most 6h, as --newer-than says",
        ),
        ({"newer_than": "24h", "older_than": "1d"}, "--older-than: nothing is at least 1d old and at most 24h"),
    ],
)
def test_ages_that_can_t_be_meant_are_refused_with_what_to_write(
    model: type[RunParameters], ages: dict[str, str], said: str
) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example"}
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        checked(model, given | ages)


@MODELS
def test_what_has_no_tag_has_no_age_and_gets_past_no_quarantine(model: type[RunParameters]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "untagged": "moved"}
    with pytest.raises(ConfigurationError, match="--untagged: not with --older-than: what has no tag has no age"):
        checked(model, given | {"older_than": "6h"})
    assert checked(model, given | {"newer_than": "90d"}).to_options().policy.untagged is Untagged.MOVED


@pytest.mark.parametrize("backup", ["{tag}", "old {tag}", "{tag}-{date}", "old/{tag}", ".{tag}", "{tag}?", "{tag}é"])
def test_a_backup_under_what_is_no_tag_or_the_same_one_is_refused_before_anything_is_asked(backup: str) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "on_conflict": "overwrite"}
    assert MigrateParameters(**given, backup_tag="old_{tag}-{tag}.1").backup_tag
    with pytest.raises(ConfigurationError, match="--backup-tag: it must make another tag of each"):
        checked(MigrateParameters, given | {"backup_tag": backup})


@pytest.mark.parametrize(
    ("field", "text"), [("include", "app:regex:("), ("exclude", ""), ("rename", "app"), ("include", "/app")]
)
def test_a_pattern_or_rename_that_can_t_be_used_is_named_with_its_option(field: str, text: str) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", field: ("team/app=team/web", text)}
    with pytest.raises(ConfigurationError, match=f"^--{field}: .*'{re.escape(text)}'"):
        checked(MigrateParameters, given)


@pytest.mark.parametrize("model", [CheckParameters, InPlaceParameters])
def test_what_only_reads_the_source_is_held_to_a_rate_and_to_no_hours_that_migrations_have(
    model: type[InPlaceParameters],
) -> None:
    assert model.model_fields.keys() & {"limit_rate", "hours", "limits_from"} == {"limit_rate"}
    assert model(source="/mnt/bucket", limit_rate="50M").to_options().limit_rate == 50 * 1024**2
