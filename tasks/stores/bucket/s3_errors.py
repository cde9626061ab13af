"""The one place where what S3 and its SDK say becomes an error of ours: one line, no traceback, no secret."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from tasks.oci.errors import (
    ConfigurationError,
    ContentNotFoundError,
    LayoutliftError,
    SizeMismatchError,
    SourceError,
    SourceReadError,
    SourceUnavailableError,
    SourceWriteError,
)
from tasks.stores.bucket.s3_codes import (
    ABSENT,
    DENIED,
    ELSEWHERE,
    IN_HOST,
    LENDING,
    NO_UPLOAD,
    REJECTED,
    RIGHTS,
    is_not_known,
    is_of_gateway,
    is_of_key,
    is_passing,
    is_throttling,
)
from tasks.stores.hidden_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "IsPage"  # what an answer has besides that is none of S3, but a page or text for people
_SHOWN = 200
_READING = (
    "s3:ListBucket on the bucket and s3:GetObject on its objects are needed, and --request-payer where the requester "
    "pays"
)
_ELSEWHERE_HINT = "set AWS_REGION or --endpoint-url"
_IN_HOST_HINT = "set addressing_style = virtual below s3 = in the profile"
NO_CREDENTIALS = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.ProfileNotFound,
    sdk.SSOError,
    sdk.TokenRetrievalError,
)
_OTHER_HOST = "it is of another host: correct the endpoint's address"
_CERTIFICATE_HINTS = {
    "expired": "renew it, or correct this machine's clock",
    "not yet valid": "correct this machine's clock, or the certificate",
    "doesn't match": _OTHER_HOST,
    "not valid for": _OTHER_HOST,
    "subjectAltName": "it names no host",
    "CERTIFICATE_VERIFY_FAILED": "AWS_CA_BUNDLE names a file of other authorities",
}
"""What to do, by what Python's TLS says of a certificate; that text is all that the SDK leaves of it."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "record layer failure")
"""What OpenSSL says of an answer that is none of TLS, and says since 3.2."""
_BARE = "400"  # what the SDK makes of an answer that is none of S3, as of a server with TLS to a request without
_OTHER_ENDPOINT = "is the endpoint's address right, and its http:// or https://?"
_UNREACHABLE = (sdk.EndpointConnectionError, sdk.ConnectTimeoutError, sdk.ProxyConnectionError, sdk.SSLError)


class ThrottledError(SourceReadError):
    """The store asks for fewer requests; what was asked will be answered later."""


class GatewayError(SourceReadError):
    """What stands before the store does not get at it, as while that is started anew."""


class ChangedError(SourceReadError):
    """The object is another one by now; it has to be read again from its start."""


class UnwrittenError(SourceWriteError):
    """The store failed at a write, and says nothing by that of what it knows and allows; it may succeed later."""


class SilentError(SourceReadError):
    """Whoever was asked took the request and did not answer, also when it was asked again."""


class GarbledError(SourceReadError):
    """What was answered is nothing that S3 answers, as a page to log in at, or one of something on the way."""

    def __init__(self, name: str, wanted: str = "S3 store") -> None:
        super().__init__(f"what answers for {name} is no {wanted}; {_OTHER_ENDPOINT}")


class UnreachableError(SourceUnavailableError):
    """Nothing answers at the endpoint."""


class NotAdmittedError(SourceUnavailableError):
    """The store does not let us in at all: no or wrong credentials, no such bucket, a wrong endpoint or region."""


class NoCredentialsError(NotAdmittedError):
    """There is nothing to sign requests with."""


class NotKnownError(SourceError):
    """The store does not know this kind of request, or a condition in it."""


class DeniedError(SourceError):
    """The store lets us in, but not to this.

    `denied` says so alone; `needed` what is needed for a request that few make, empty for those that readers and
    writers make: which of these it was tells more.
    """

    def __init__(self, name: str, reason: str, operation: str = "") -> None:
        self.denied = f"access to {name} is denied ({reason})"
        self.needed = f"{RIGHTS[operation]} is needed" if operation in RIGHTS else ""
        super().__init__(f"{self.denied}; {self.needed or _READING}")


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise what the SDK raises within the block as the error of ours that it is; `name` is what was asked for.

    The SDK's own is not chained: it names passwords of proxies, and Prefect keeps the traceback of what ends a flow.

    Raises:
        ContentNotFoundError: there is no such object.
        SizeMismatchError: it ends before the bytes that were asked for.
        ThrottledError, ChangedError, SilentError, GarbledError, SourceReadError: it may be readable later.
        NotAdmittedError, UnreachableError: nothing else of this store can be read either.
        SourceError: it can't be read; the message says why.
    """
    try:
        yield
    except sdk.ClientError as error:
        raise (GarbledError(name) if error.response.get(PAGE) else _of_answer(error, name)) from None
    except ResponseParserError:  # whose text has all of the answer in it
        raise GarbledError(name) from None
    except (sdk.BotoCoreError, HTTPError, OSError) as error:
        raise _of_failure(error, name) from None
    except RecursionError:  # each question where the bucket is, is led elsewhere too, and asked again by the SDK
        raise NotAdmittedError(f"{name} is led elsewhere, and nobody says where to; {_ELSEWHERE_HINT}") from None
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # the SDK's own word for credentials that had expired when they came
            raise
        raise NotAdmittedError(f"no usable credentials for S3: {one_line(str(error))}") from None


@contextmanager
def let_in() -> Iterator[None]:
    """Raise what keeps us out of a bucket as the wrong configuration that it is, as long as nothing was done.

    Raises:
        ConfigurationError: the store does not let us in, or not to this.
    """
    try:
        yield
    except (NotAdmittedError, DeniedError, GarbledError) as error:
        raise ConfigurationError(str(error)) from error


@contextmanager
def answered(name: str) -> Iterator[None]:
    """As `translated`, of a request that is answered: the SDK raises what Python does over a number that is none.

    Raises:
        LayoutliftError: as `translated` does.
        SourceError: what is answered can't be read.
    """
    with translated(name):
        try:
            yield
        except ValueError as error:
            raise SourceError(f"what the store says of {name} can't be read: {one_line(str(error))}") from None


def _of_answer(error: sdk.ClientError, name: str) -> LayoutliftError:
    said: dict[str, Any] = dict(error.response.get("Error", {}))
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = one_line(f"{code or status}: {message}")
    if error.operation_name in LENDING and not is_passing(code, status):
        return _no_credentials(reason)
    if code in ABSENT or (code, error.operation_name) == NO_UPLOAD:
        return ContentNotFoundError(f"{name} does not exist")
    if (of_keeping := _of_keeping(said, code, name)) is not None:
        return of_keeping
    if is_of_key(code, message) and not is_passing(code, status):
        return SourceError(
            f"{name} is encrypted with a KMS key that can't be used ({reason}); kms:Decrypt on the key is needed"
        )
    if code == _BARE and not error.operation_name.startswith("Head"):  # of which the answer has no body
        return SourceError(f"what answers for {name} is no S3 store ({reason}); {_OTHER_ENDPOINT}")
    return _of_refused_read(code, name) or _of_refusal(code, status, name, reason, error.operation_name)


def _of_keeping(said: dict[str, Any], code: str, name: str) -> LayoutliftError | None:
    """What an answer says of the bucket, or of how it keeps the object."""
    if code == "NoSuchBucket":
        return NotAdmittedError(" ".join(("the bucket", *_bucket_in(said), "does not exist")))
    if code == "InvalidObjectState":
        return SourceError(f"{name} is archived ({_storage_class(said)}); restore it first")
    return None


def _bucket_in(said: dict[str, Any]) -> tuple[str, ...]:
    """The name of the bucket that an answer is about, where it says that."""
    named = one_line(str(said.get("BucketName", "")))
    return (named,) if named else ()


def _of_refused_read(code: str, name: str) -> LayoutliftError | None:
    if code in {"PreconditionFailed", "412"}:
        return ChangedError(f"{name} changed while it was read")
    if code in {"ConditionalRequestConflict", "409"}:
        return ChangedError(f"{name} is being written by somebody else")
    if code in {"InvalidRange", "416"}:
        return SizeMismatchError(f"{name} has fewer bytes than its descriptor says")
    return None


def _of_refusal(code: str, status: int, name: str, reason: str, operation: str) -> LayoutliftError:
    if is_throttling(code, status):
        return ThrottledError(f"the store asks to slow down at {name} ({reason})")
    if is_passing(code, status):
        kind: type[SourceError] = GatewayError if is_of_gateway(code, status) else SourceReadError
        return kind(f"{name} can't be read for the moment ({reason})")
    if code in DENIED:
        return DeniedError(name, reason, operation)
    if code in REJECTED:
        return NotAdmittedError(f"the store refuses the credentials ({reason})")
    kind = NotKnownError if is_not_known(code, status) else SourceError
    return _of_address(code, name, reason) or kind(f"{name} can't be read ({reason})")


def _of_address(code: str, name: str, reason: str) -> NotAdmittedError | None:
    """What an answer says of where the bucket is asked for."""
    if code in ELSEWHERE:
        return NotAdmittedError(f"{name} is in another region ({reason}); {_ELSEWHERE_HINT}")
    if code in IN_HOST:
        return NotAdmittedError(f"{name} can't be asked for by its path ({reason}); {_IN_HOST_HINT}")
    return None


def _of_failure(error: Exception, name: str) -> LayoutliftError:
    reason = one_line(str(error))
    if isinstance(error, NO_CREDENTIALS):
        return _no_credentials(reason)
    if (said := _of_certificate(error)) is not None:
        return NotAdmittedError(said)
    if isinstance(error, _UNREACHABLE):
        hint = f"; {_OTHER_ENDPOINT}" if any(sign in str(error) for sign in _NO_TLS) else ""
        return UnreachableError(f"the S3 endpoint does not answer: {reason}{hint}")
    if isinstance(error, sdk.ReadTimeoutError):
        return SilentError(f"{name} can't be read for the moment: {reason}; is that the address of an S3 store?")
    if isinstance(error, sdk.HTTPClientError | sdk.IncompleteReadError | HTTPError | OSError):
        return SourceReadError(f"{name} can't be read for the moment: {reason}")
    return NotAdmittedError(f"{name} can't be asked for: {reason}")


def _no_credentials(reason: str) -> NoCredentialsError:
    return NoCredentialsError(f"no usable credentials for S3: {reason} (AWS_PROFILE, AWS_ACCESS_KEY_ID, …)")


def _of_certificate(error: Exception) -> str | None:
    """What is wrong with an endpoint's certificate, None where the connection only broke."""
    if not isinstance(error, sdk.SSLError):
        return None
    said = str(error.kwargs["error"])  # without the object's address, which may leave no room for it
    hint = next((hint for sign, hint in _CERTIFICATE_HINTS.items() if sign in said), None)
    host = urlsplit(str(error.kwargs["endpoint_url"])).netloc
    return f"the certificate of {host} is not trusted ({one_line(said)}); {hint}" if hint else None


def _storage_class(said: dict[str, Any]) -> str:
    return one_line(str(said.get("StorageClass") or "storage class GLACIER, DEEP_ARCHIVE or an archive tier"))


def one_line(text: str) -> str:
    """What a store says, as messages show it."""
    return without_secrets(" ".join(text.split())).strip(": ")[:_SHOWN]
