"""A flow takes what its model has, and its form begins with what a command takes as arguments."""

import inspect
from typing import Any

import cloudpickle
import pytest
from prefect.exceptions import ParameterTypeError, SignatureMismatchError
from prefect.utilities.callables import call_with_parameters, get_call_parameters

from flows.benchmark import benchmark
from flows.cleanup import cleanup
from flows.forms.parameters import VerifyParameters
from flows.migrate import migrate
from flows.verify import verify


@pytest.mark.parametrize(
    ("flow", "first"),
    [
        (migrate, ["source", "target", "endpoint_url", "request_payer", "no_sign_request", "include"]),
        (verify, ["source", "target", "endpoint_url", "request_payer", "no_sign_request", "include"]),
        (cleanup, ["source", "policy", "gate", "auto_apply", "approval_within", "i_am_the_only_writer"]),
        (benchmark, ["location", "endpoint_url", "quick"]),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_a_form_begins_with_what_a_run_is_about_and_goes_on_as_help_does(flow: Any, first: list[str]) -> None:
    form = flow.parameters.model_dump()["properties"]
    assert sorted(form, key=lambda name: form[name]["position"])[: len(first)] == first
    for of in (flow.fn, cloudpickle.loads(cloudpickle.dumps(flow)).fn):
        assert list(inspect.signature(of).parameters) == sorted(form, key=lambda name: form[name]["position"])


def test_what_prefect_makes_of_a_call_is_what_the_model_gets() -> None:
    given = get_call_parameters(verify.fn, (), {"source": "/mnt", "target": "localhost:5000", "jobs": "4"})
    assert given.keys() == inspect.signature(verify.fn).parameters.keys()
    taken = verify.validate_parameters(given)
    assert (taken["jobs"], taken["include"]) == (4, [])
    assert VerifyParameters.model_validate({name: taken[name] for name in VerifyParameters.model_fields}).jobs == 4


@pytest.mark.parametrize("wrong", [{"jobs": 0}, {"target": "user:hunter2@host:5000"}])
def test_each_field_is_checked_before_the_run(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterTypeError):
        verify.validate_parameters({"source": "/mnt", "target": "localhost:5000", **wrong})


def test_a_parameter_that_a_flow_does_not_have_is_refused() -> None:
    with pytest.raises(SignatureMismatchError):
        call_with_parameters(verify.fn, {"source": "/mnt", "target": "localhost:5000", "unknown": 1})
