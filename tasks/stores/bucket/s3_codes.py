"""What the codes and statuses mean by which S3 stores, and what stands before them, refuse a request."""

from __future__ import annotations

from http import HTTPStatus

_SERVER_ERROR = 500
ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "NotFound", "404"})
NO_UPLOAD = ("NoSuchUpload", "AbortMultipartUpload")
"""Of an upload that is to be given up; of a copy that needs it, it says nothing of what is copied."""
_THROTTLED = frozenset(
    {
        "SlowDown",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "TooManyRequests",
        "BandwidthLimitExceeded",
    }
)
_THROTTLING = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Stores have codes of their own for it, such as MinIO's `SlowDownRead`."""
_PASSING = frozenset({"RequestTimeout", "InternalError", "OperationAborted"})
REJECTED = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "RequestTimeTooSkewed",
        "InvalidSecurity",
        "AccountProblem",
        "UnauthorizedAccess",
        "401",
    }
)
DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403"})
RIGHTS = {
    "ListMultipartUploads": "s3:ListBucketMultipartUploads on the bucket",
    "ListObjectVersions": "s3:ListBucketVersions on the bucket",
    "GetBucketVersioning": "s3:GetBucketVersioning on the bucket",
    "AbortMultipartUpload": "s3:AbortMultipartUpload on the bucket's objects",
    "DeleteObjects": "s3:DeleteObject (for old versions s3:DeleteObjectVersion) on the bucket's objects",
}
"""What is needed for the requests that a cleanup makes besides what reads and writes objects."""
ELSEWHERE = frozenset(
    {
        *("PermanentRedirect", "TemporaryRedirect", "301", "307"),
        *("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    }
)
IN_HOST = frozenset({"SecondLevelDomainForbidden", "PathStyleDomainForbidden"})
"""Alibaba's and Tencent's: the bucket is to be in the host's name."""
LENDING = frozenset(
    {"AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials", "CreateOAuth2Token", "CreateToken"}
)
"""What the SDK asks of others than the store, for credentials to sign with; it does so again in mid-run."""
_NOT_KNOWN = frozenset({"NotImplemented", "MethodNotAllowed", "NotSupported", "UnsupportedOperation"})
_GATEWAYS = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


def may_pass(code: str) -> bool:
    """Whether a code that an answer has for one of several keys is of a failure that may pass."""
    return code in _PASSING or code in _THROTTLED


def is_passing(code: str, status: int) -> bool:
    """Whether an answer is of a failure that may pass, be it of the store or of what it asks for keys."""
    is_of_store = status >= _SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    return may_pass(code) or status in _THROTTLING or is_of_store


def is_throttling(code: str, status: int) -> bool:
    """Whether an answer asks for fewer requests."""
    return code in _THROTTLED or status in _THROTTLING


def is_not_known(code: str, status: int) -> bool:
    """Whether an answer is of a store that does not know what it is asked for."""
    return code in _NOT_KNOWN or status == HTTPStatus.NOT_IMPLEMENTED


def is_of_gateway(code: str, status: int) -> bool:
    """Whether an answer is of what stands before a store that it does not get at: there is no code of S3 in it."""
    return status in _GATEWAYS and code in {"", str(status)}  # the first of a page that can be read as XML


def is_of_key(code: str, message: str) -> bool:
    """Whether an answer is about a key; a denial names bucket and user, which may be called so as well."""
    return code.startswith("KMS.") or ("kms:" if code in DENIED else "kms") in message.lower()
