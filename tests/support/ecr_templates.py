"""Templates by which Amazon ECR makes repositories, beside moto, which does not know them."""

from typing import Any

import pytest
from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

MOTOS_ACCOUNT = "123456789012"


def template(prefix: str, *scenarios: str) -> dict[str, Any]:
    """One that counts in these scenarios (`DescribeRepositoryCreationTemplates`)."""
    return {"prefix": prefix, "appliedFor": list(scenarios)}


def answer_with_templates(monkeypatch: pytest.MonkeyPatch, *templates: dict[str, Any]) -> None:
    """Have moto's ECR answer that there are these, for as long as a test takes."""

    def describe(response: ECRResponse) -> ActionResult:
        del response
        return ActionResult({"registryId": MOTOS_ACCOUNT, "repositoryCreationTemplates": list(templates)})

    monkeypatch.setattr(ECRResponse, "describe_repository_creation_templates", describe, raising=False)
