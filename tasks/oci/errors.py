"""Every exception that layoutlift raises on purpose, as one tree.

LayoutliftError
├─ ConfigurationError            what the user asked for makes no sense: nothing was done (exit code 2)
│  └─ ProgramMissingError        a program that this needs is not installed
├─ RefusedError                  a safety rule says no: nothing was changed (exit code 3)
│  ├─ LockHeldError              another run works on the same source and target
│  ├─ BackupRefusedError         an overwritten tag can't be kept under the name asked for
│  ├─ TooManyVanishedError       more tags vanished at the source than may be deleted at the target
│  └─ ConflictsError             tags at the target have another digest and --on-conflict is "fail"
├─ SpecError                     content breaks a specification, for good
│  ├─ InvalidDigestError
│  ├─ InvalidDescriptorError
│  ├─ InvalidReferenceError
│  │  └─ DigestOnlyError         an entry is named by its digest, and has no tag
│  ├─ InvalidManifestError
│  ├─ InvalidLayoutError
│  │  ├─ LayoutMissingError      there is no layout at all (reports name it as the one above)
│  │  └─ NotJudgedError          a cleanup does not understand all of it, though its index may be whole
│  ├─ NameCollisionError         several layouts hold images of one name
│  ├─ NestingTooDeepError
│  └─ UnsupportedMediaTypeError
├─ ContentError                  the bytes are not what their descriptor says
│  ├─ DigestMismatchError
│  ├─ SizeMismatchError
│  └─ ContentNotFoundError
├─ SourceError                   the source can't be read
│  ├─ OutsideSourceError         a symbolic link leaves the source
│  ├─ SourceReadError            a read failed; may pass (transient)
│  ├─ SourceUnavailableError     the mount or bucket as a whole is gone
│  ├─ SourceWriteError           the source can't be written to
│  └─ SourceChangedError         somebody else changed a file between our look and our write
│     └─ MaybeWrittenError       … or after our write, whose answer was lost
├─ RegistryError                 the target answered, and the answer is no
│  ├─ AuthenticationError
│  ├─ AuthorizationExpiredError  a token ended while a body was sent (transient)
│  ├─ PermissionDeniedError
│  ├─ ManifestRefusedError
│  │  └─ ImmutableTagError       it has other content under the tag, and keeps it
│  ├─ MissingReferencedContentError   a manifest's child is not there: send the children again
│  ├─ PayloadTooLargeError
│  ├─ ReferrerConflictError      the target's own list of referrers can't be added to
│  ├─ TargetFullError            it has no room left
│  ├─ TargetLacksError           the target does not hold what is to go from the source
│  ├─ ReferrersLostError         the target has referrers but does not list them
│  ├─ MissingAtTargetError       what should be at the target is not
│  ├─ DifferentAtTargetError     what is at the target is something else
│  ├─ DamagedAtTargetError       what is at the target has not the bytes that its digest says
│  ├─ DeletionUnsupportedError   it does not delete
│  ├─ RateLimitedError           (transient)
│  ├─ RegistryUnavailableError   (transient)
│  └─ UnexpectedAnswerError
├─ TransportError                no answer arrived (transient)
│  ├─ ConnectionFailedError
│  ├─ TransferStalledError
│  ├─ UploadBrokeOffError        a large blob broke off in its middle, again and again
│  ├─ TargetUnavailableError     the target as a whole stays away, or lets nothing succeed (not transient)
│  └─ UntrustedConnectionError   TLS says no, or a redirect would leak credentials (not transient)
├─ OrderUnknownError             which tags of a repository are the newest can't be told
├─ AgeUnknownError               how old the images of a repository are can't be told
├─ ProgramFailedError            a program that was started did not do its work
├─ RegressionError               a benchmark measured less than before
├─ StateError                    the ledger or lock can't be read or written
├─ BatchUnfinishedError          parts of a batch failed for the moment (transient)
├─ ShardLostError                part of a run, in a process of its own, ended without a report
├─ InterruptedRunError           the run was told to stop
└─ IncompleteError               raised once at the end of a run in which some tags are not at the target

`transient` says whether the same attempt may succeed a little later; it is the only thing that retries look
at. `code` is the stable name that reports use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class LayoutliftError(Exception):
    """Root of the tree; the message is one line for people."""

    code: ClassVar[str] = "error"
    transient: ClassVar[bool] = False


class ConfigurationError(LayoutliftError):
    """A parameter, option or file is wrong; nothing was done."""

    code = "configuration"


class ProgramMissingError(ConfigurationError):
    """A program that this needs is not installed, or this user may not use it; the message says how to get it."""

    code = "program_missing"


class RefusedError(LayoutliftError):
    """A safety rule forbids the act; nothing was changed."""

    code = "refused"


class LockHeldError(RefusedError):
    """Another run holds the lock of this source and target."""

    code = "lock_held"


class BackupRefusedError(RefusedError):
    """What a tag would overwrite can't be kept under the name that the user asked for."""

    code = "backup_refused"


class TooManyVanishedError(RefusedError):
    """More tags vanished at the source than one run may delete at the target."""

    code = "too_many_vanished"


class ConflictsError(RefusedError):
    """The target has other digests under so many `tags`, and the user asked to stop then."""

    code = "conflicts"

    def __init__(self, message: str, tags: int = 0) -> None:
        super().__init__(message)
        self.tags = tags


class SpecError(LayoutliftError):
    """Content breaks a specification; trying again won't help."""

    code = "invalid"


class InvalidDigestError(SpecError):
    """A digest does not follow the image specification's grammar, or its algorithm is not supported."""

    code = "invalid_digest"


class InvalidDescriptorError(SpecError):
    """A descriptor lacks a field or holds a value of the wrong kind."""

    code = "invalid_descriptor"


class InvalidReferenceError(SpecError):
    """A repository name or tag that the distribution specification does not allow."""

    code = "invalid_reference"


class DigestOnlyError(InvalidReferenceError):
    """A reference names content by its digest alone, which is no tag; it can go by digest."""

    code = "digest_only"


class InvalidManifestError(SpecError):
    """A manifest is not JSON, too large, or not of the form that its media type asks for."""

    code = "invalid_manifest"


class InvalidLayoutError(SpecError):
    """`oci-layout` or `index.json` is missing or can't be understood."""

    code = "invalid_layout"


class LayoutMissingError(InvalidLayoutError):
    """There is no layout at all: `oci-layout` is missing, or no layout has this name."""


class NotJudgedError(InvalidLayoutError):
    """Something in the layout is not understood, so that a cleanup judges nothing there; its index may be whole."""

    code = "not_judged"


class NameCollisionError(SpecError):
    """Several layouts hold images of one repository, and nothing tells which of them is meant."""

    code = "name_collision"


class NestingTooDeepError(SpecError):
    """Indexes are nested deeper than any honest writer nests them."""

    code = "nesting_too_deep"


class UnsupportedMediaTypeError(SpecError):
    """A tag points at something that is not a manifest of a known type."""

    code = "unsupported_media_type"


class ContentError(LayoutliftError):
    """Bytes and descriptor disagree."""

    code = "content"


class DigestMismatchError(ContentError):
    """The bytes read hash to another digest."""

    code = "digest_mismatch"


class SizeMismatchError(ContentError):
    """There are more or fewer bytes than the descriptor says."""

    code = "size_mismatch"


class ContentNotFoundError(ContentError):
    """A blob or manifest that a descriptor names does not exist."""

    code = "content_not_found"


class SourceError(LayoutliftError):
    """The source can't be read."""

    code = "source"


class OutsideSourceError(SourceError):
    """A path leads, by a symbolic link, outside the source, or elsewhere in it where a cleanup is at work."""

    code = "outside_source"


class SourceReadError(SourceError):
    """A read failed in a way that may pass."""

    code = "source_read"
    transient = True


class SourceUnavailableError(SourceError):
    """The source as a whole does not answer, as after a mount died."""

    code = "source_unavailable"


class SourceWriteError(SourceError):
    """Something at the source can't be changed; only cleanup ever tries."""

    code = "source_write"


class SourceChangedError(SourceError):
    """A file at the source is another one than was expected, so it was left alone."""

    code = "source_changed"


class MaybeWrittenError(SourceChangedError):
    """A file is another one than was expected, after a write without an answer, of which it may be made."""


class RegistryError(LayoutliftError):
    """The registry answered with an error.

    `status` is the HTTP status and `codes` the error codes of the answer's body, as the distribution
    specification ("Error Codes") defines them. `retry_after` is for how many seconds it wants no other request, where
    it said so.
    """

    code = "registry"

    def __init__(
        self, message: str, *, status: int = 0, codes: tuple[str, ...] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.codes = codes
        self.retry_after = retry_after


class AuthenticationError(RegistryError):
    """Credentials are missing or wrong."""

    code = "authentication"


class AuthorizationExpiredError(RegistryError):
    """The authorization ended while a body was on its way; a new upload gets a new one."""

    code = "authorization_expired"
    transient = True


class PermissionDeniedError(RegistryError):
    """The credentials are good but don't allow this."""

    code = "permission_denied"


class ManifestRefusedError(RegistryError):
    """The target does not take this manifest."""

    code = "manifest_refused"


class ImmutableTagError(ManifestRefusedError):
    """The target has other content under the tag, and a rule of its own holds that."""

    code = "immutable_tag"


class MissingReferencedContentError(RegistryError):
    """The target says that something the manifest refers to is not there."""

    code = "missing_referenced_content"


class PayloadTooLargeError(RegistryError):
    """The target does not take a body of this size."""

    code = "payload_too_large"


class ReferrerConflictError(RegistryError):
    """What the target keeps under a referrers tag is no list of referrers, and is not overwritten."""

    code = "referrer_conflict"


class ReferrersLostError(RegistryError):
    """The target has referrers but does not list them, so that nobody finds them."""

    code = "referrer_lost"


class MissingAtTargetError(RegistryError):
    """A verification found that something is not at the target."""

    code = "missing_at_target"


class DifferentAtTargetError(RegistryError):
    """A verification found other content at the target than at the source."""

    code = "different_at_target"


class DamagedAtTargetError(RegistryError):
    """A blob at the target has not the size or the bytes that its descriptor says, whatever the source has."""

    code = "damaged_at_target"


class TargetFullError(RegistryError):
    """The target has no room left for what is to be stored; the next attempt would find none either."""

    code = "target_full"


class TargetLacksError(RegistryError):
    """The target does not hold, under the same digest, what is to go from the source."""

    code = "target_lacks"


class DeletionUnsupportedError(RegistryError):
    """The target does not delete what a migration is to delete."""

    code = "deletion_unsupported"


class RateLimitedError(RegistryError):
    """The target asks for fewer requests."""

    code = "rate_limited"
    transient = True


class RegistryUnavailableError(RegistryError):
    """The target is broken or busy for the moment."""

    code = "registry_unavailable"
    transient = True


class UnexpectedAnswerError(RegistryError):
    """The answer is none that the distribution specification foresees."""

    code = "unexpected_answer"


class TransportError(LayoutliftError):
    """No usable answer arrived."""

    code = "transport"
    transient = True


class ConnectionFailedError(TransportError):
    """The connection could not be made, or broke."""

    code = "connection_failed"


class TransferStalledError(TransportError):
    """The peer stopped moving bytes for longer than the stall deadline."""

    code = "transfer_stalled"


class UploadBrokeOffError(TransportError):
    """The requests that were to bring a large blob ended in its middle, one after the other."""

    code = "upload_broke_off"


class TargetUnavailableError(TransportError):
    """The target as a whole is away, or lets nothing succeed, for longer than it is waited for."""

    code = "target_unavailable"
    transient = False


class UntrustedConnectionError(TransportError):
    """The peer's certificate is not trusted, or an answer would lead to a place that is not."""

    code = "untrusted_connection"
    transient = False


class OrderUnknownError(LayoutliftError):
    """Only the newest tags of a repository are wanted, and nothing tells which those are."""

    code = "order_unknown"


class AgeUnknownError(LayoutliftError):
    """Only images of some age are wanted, and nothing tells how old those of a repository are."""

    code = "age_unknown"


class ProgramFailedError(LayoutliftError):
    """A program that was started did not begin, do or end its work; the message says what it left."""

    code = "program_failed"


class RegressionError(LayoutliftError):
    """A benchmark measured less than earlier runs did, by more than is allowed."""

    code = "regression"


class StateError(LayoutliftError):
    """The ledger or lock can't be read or written."""

    code = "state"


class BatchUnfinishedError(LayoutliftError):
    """Parts of a batch failed in a way that may pass; the batch is worth another attempt."""

    code = "batch_unfinished"
    transient = True


class ShardLostError(LayoutliftError):
    """A part of the run that another process was to do ended without saying what came of it."""

    code = "shard_lost"


class InterruptedRunError(LayoutliftError):
    """The run was told to stop before this was done."""

    code = "interrupted"


class IncompleteError(LayoutliftError):
    """The run finished, but not everything that was selected is at the target."""

    code = "incomplete"


def is_transient(error: BaseException) -> bool:
    """Whether the same attempt may succeed a little later."""
    return isinstance(error, LayoutliftError) and error.transient


def _subclasses(kind: type[LayoutliftError]) -> Iterator[type[LayoutliftError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _subclasses(below)


TRANSIENT_CODES = frozenset(kind.code for kind in _subclasses(LayoutliftError) if kind.transient)
"""The codes of errors that may pass."""
