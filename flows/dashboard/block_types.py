"""Prefect's blocks for sources and targets: a place with the credentials for it, kept encrypted by the server.

`prefect block register -m flows.dashboard.block_types` makes both known to a server; then they are filled in at the
dashboard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from prefect.blocks.core import Block
from pydantic import AfterValidator, Field, SecretStr, model_validator

from flows.forms.field_checks import check_address, check_endpoint, check_storage
from tasks.oci.registry_profiles import RegistryKind
from tasks.stores.bucket.s3_address import BucketLogin
from tasks.stores.registry.credentials import Credentials

if TYPE_CHECKING:
    from typing import Self


class RegistryTarget(Block):
    """A registry to migrate to, with the credentials for it; name it as `block:NAME` where a target is asked for."""

    _block_type_name: ClassVar[str] = "layoutlift target"
    _block_type_slug: ClassVar[str] = "layoutlift-target"
    _description: ClassVar[str] = "A registry to migrate to, with the credentials for it."

    registry: Annotated[str, AfterValidator(check_address)] = Field(
        description="The registry, as host[:port][/prefix]", min_length=1
    )
    username: str | None = Field(default=None, description="Name to log in with; <token> if the secret is a token")
    password: SecretStr | None = Field(default=None, description="Password, or token, that goes with the name")
    plain_http: bool = Field(default=False, description="Talk to it over plain HTTP; credentials travel unencrypted")
    ca_file: str | None = Field(default=None, description="PEM file of further authorities, on the worker's machine")
    registry_kind: RegistryKind = Field(
        default=RegistryKind.AUTO, description="Whose registry it is, where its host does not tell"
    )

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if bool(self.username) != bool(self.password and self.password.get_secret_value()):
            raise ValueError("username and password go together")
        return self

    @property
    def credentials(self) -> Credentials | None:
        """What to log in with; without, they are looked for where they always are."""
        if not self.username or self.password is None:
            return None
        return Credentials.of(self.username, self.password.get_secret_value())


class LayoutSource(Block):
    """A tree of layouts, with the keys of its bucket; name it as `block:NAME` where a source is asked for."""

    _block_type_name: ClassVar[str] = "layoutlift source"
    _block_type_slug: ClassVar[str] = "layoutlift-source"
    _description: ClassVar[str] = "A tree of OCI image layouts, with the keys of the bucket that it is in."

    source: Annotated[str, AfterValidator(check_storage)] = Field(
        description="s3://bucket[/prefix], or a directory on the worker's machine", min_length=1
    )
    endpoint_url: Annotated[str | None, AfterValidator(check_endpoint)] = Field(
        default=None, description="Endpoint of an S3 server other than Amazon's"
    )
    aws_access_key_id: str | None = Field(default=None, description="Key to the bucket")
    aws_secret_access_key: SecretStr | None = Field(default=None, description="Secret that goes with the key")
    aws_session_token: SecretStr | None = Field(default=None, description="Token that goes with a passing key")
    profile: str | None = Field(default=None, description="In place of a key: profile in the worker's AWS files")
    region: str | None = Field(default=None, description="Region of the bucket")
    request_payer: bool = Field(default=False, description="Pay for the requests, where the requester pays")

    @model_validator(mode="after")
    def _key_is_whole(self) -> Self:
        if bool(self.aws_access_key_id) != bool(_plain(self.aws_secret_access_key)):
            raise ValueError("aws_access_key_id and aws_secret_access_key go together")
        if _plain(self.aws_session_token) and not self.aws_access_key_id:
            raise ValueError("aws_session_token goes with a key")
        if self.aws_access_key_id and self.profile:
            raise ValueError("give either a key or a profile")
        return self

    @property
    def login(self) -> BucketLogin:
        """What the SDK is to use in place of what it finds; what is empty it still looks for."""
        return BucketLogin(
            profile=self.profile or None,
            region=self.region or None,
            access_key_id=self.aws_access_key_id or None,
            secret_access_key=_plain(self.aws_secret_access_key),
            session_token=_plain(self.aws_session_token),
        )


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() or None if secret is not None else None
