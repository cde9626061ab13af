"""What to do about each code that a report may name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAG = "(oras tag --oci-layout LAYOUT@DIGEST TAG)"
_NOT_WHERE_NAMES_ARE_SHARED = (
    "Where entries of index.json share a name, oras would leave it to one of them: copy it from there instead "
    "(oras cp --from-oci-layout LAYOUT@DIGEST TARGET/REPOSITORY:TAG)."
)
_WHERE_LOST = (
    "But where the message says that the tag was lost at the source, have layoutlift recover --apply name its image "
    "again there, unless it was taken away on purpose."
)

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        # the run as a whole
        "error": "Read the message; if it does not help, open an issue with the report.",
        "internal_error": "This is a fault of layoutlift: open an issue with the report and the log.",
        "configuration": "Correct the option or file that the message names, and run again.",
        "program_missing": "Install the program that the message names, or leave out what needs it.",
        "program_failed": "Read the end of the program's own output in the message.",
        "regression": "See what changed between the two runs; run again on a quiet machine before you believe it.",
        "refused": "Nothing was changed. Read which rule said no, and change the order or the policy.",
        "lock_held": "Wait until the other run has ended, as migrate --lock-timeout 1h does; "
        "the lock of a run that died ends within two minutes.",
        "conflicts": "Look at the tags named; then choose --on-conflict overwrite, or leave them out with --exclude, "
        "in verify and cutover too.",
        "state": "Make room for the state, make it writable, or see that its bucket answers; then run again.",
        "backup_refused": "Choose another --backup-tag, or remove the tag that has its name at the target.",
        "batch_unfinished": "Nothing to do: the batch is taken up again by itself.",
        "no_layouts": "Mount the bucket, or name the directory that holds the layouts; a registry's own storage "
        "holds none.",
        "nothing_chosen": "Correct --include and --exclude: team is one repository, team/** are all below it, and "
        ":v1 is a tag in all of them; a path begins below SOURCE, without a registry's host, and layoutlift ls shows "
        "what is there.",
        "missing_at_source": "Correct the line that the message names, or take it off the list; a repository is "
        "named as layoutlift ls prints it, without a registry's host.",
        "shard_lost": "See the log of the shard's own run, and run again: what is at the target is not sent twice.",
        "shard_restarted": "Nothing to do: another worker took it up from what was at the target.",
        "interrupted": "Run again: what is already at the target is not sent twice.",
        "incomplete": "See the tags that are refused or failed, each with its reason, and run again.",
        # the source's form
        "invalid": "Have the tag's owner push it again with a current tool; it breaks the OCI specification.",
        "invalid_digest": "Correct the digest in index.json or in the manifest, or push the tag again.",
        "invalid_descriptor": "Correct the entry in index.json or in the manifest, or push the tag again.",
        "invalid_reference": "Give a repository another name with --rename, and a tag another one at the source.",
        "digest_only": f"Give it a tag at the source {_TAG}, or take it by digest with --untagged all, which some "
        f"registries soon delete. {_NOT_WHERE_NAMES_ARE_SHARED}",
        "invalid_manifest": "Push the tag again; the manifest can't be read as its media type says.",
        "invalid_layout": "Restore oci-layout and index.json of this directory from a backup or an object version; "
        "where an index.json was lost for good, docs/cleanup.md says how recover finds what it named.",
        "not_judged": "Mend what the message names, and nothing else: an older index.json would lose what was pushed "
        "since. A file that a writer left below blobs (rsync's, .DS_Store) can be removed when nobody "
        "writes; docs/cleanup.md, What is left alone, says more of all else.",
        "nesting_too_deep": "Look at who wrote this index: it holds indexes in indexes beyond any use.",
        "unsupported_media_type": "Push it as an OCI artifact or image; the tag points at something else.",
        "tag_collision": "Remove all but one of the entries that have this tag in index.json; images of different "
        "names go to a repository each with --split-by-name.",
        "several_images": "Nothing to do if one repository is meant to have them all; else take them apart with "
        "--split-by-name (registries' hosts are left out of it).",
        "tag_of_attached": f"Give the tag back to its image {_TAG}, which index.json lists without one. "
        f"{_NOT_WHERE_NAMES_ARE_SHARED} Let no other oras command write to a store of hauler's. Where the image is "
        "gone, take what was attached to it away (layoutlift delete SOURCE REPOSITORY@DIGEST), or leave the tag out "
        "with --exclude.",
        "signature_without_tag": f"Give it that tag {_TAG}, and its image one of its own; nobody finds it otherwise. "
        f"{_NOT_WHERE_NAMES_ARE_SHARED}",
        "name_collision": "Give one of the two directories another name at the target with --rename, which comes "
        "before --flatten; with --split-by-name, migrate each of the layouts that the message names as a SOURCE of "
        "its own.",
        "no_tags": f"Give it a tag at the source {_TAG}, or take it by digest with --untagged all, which some "
        f"registries soon delete. {_NOT_WHERE_NAMES_ARE_SHARED} Where the entries are the platforms of one image, as "
        "apko writes them, index.json is itself what needs the tag (oras manifest push --oci-layout LAYOUT:TAG "
        "LAYOUT/index.json).",
        "empty_index": "Nothing to do, if all of it was deleted on purpose; else look with layoutlift recover what a "
        "lost write has left: with --apply, it is named again.",
        "referrers_left": "Nothing to do, if nobody needs them; else take them by digest with --untagged all.",
        "order_unknown": "Choose another --order-by, or leave out --newest for this repository.",
        "not_ordered": "Leave them behind with --exclude if they are not wanted, or choose another --order-by.",
        "age_unknown": "Bring them by a run without --newer-than and --older-than, or leave them out with --exclude.",
        "not_dated": "Leave them behind with --exclude if they are not wanted.",
        "too_new": "Nothing to do: a later run brings them when they are of age, and one without --older-than now.",
        "none_of_age": "Nothing to do, unless --newer-than or --older-than is mistyped: 7m are minutes, 7d days.",
        "not_a_manifest": "Nothing to do: registries have no place for it, and no tag names it.",
        "not_a_layout": "Nothing to do, unless these files were meant to be layouts: unpack archives, and see what "
        "others lack.",
        "empty_folder": "Mount again what belongs there, or remove the folder: as long as it is there, nothing that "
        "was in it counts as vanished.",
        # the source's bytes
        "archived": "Restore them, as with aws s3api restore-object, for longer than the migration takes; nothing to "
        "do where that was done: what is restored is listed as archived, too.",
        "content": "Restore the blob from a backup or an object version, or push the tag again.",
        "digest_mismatch": "The bytes were altered: restore the blob from a backup, or push the tag again.",
        "size_mismatch": "The blob was cut off or altered: restore it from a backup, or push the tag again. Where "
        "the message says how many bytes it has at the target, and an index or a descriptor says another size, that "
        "is what is wrong: build and push the image anew.",
        "content_not_found": "Restore the missing blob from a backup or an object version, or push the tag again; "
        "what was saved of an index with some of its platforms, as docker save does, save with all, or one alone.",
        "referrer_lost": "Run migrate --prove-again --depth blobs; if it stays, push the signature or SBOM to the "
        "target once more. But where the message says that the tag names the image itself, push nothing, as that "
        "would overwrite it.",
        "source": "See whether the directory or bucket can be read by this user, and run again.",
        "outside_source": "Replace the link by what it points at, or leave it out, as by --exclude 'NAME**'; nothing "
        "outside the source is read.",
        "link_not_followed": "Nothing to do: what the link points at is read at its own place.",
        "unreadable_directory": "Give this user the right to list and read the directory, or leave it out with all "
        "below it, as by --exclude 'lost+found**'; then run again.",
        "unreadable_entry": "See with ls -l what it is and why this user can't look at it, and run again.",
        "layout_hidden": "Run again. If it stays, update the store or mount, whose listing leaves something out, and "
        "maybe more than this; or, if it is there under another name, leave it out with --exclude.",
        "lost_at_source": "Before a cleanup marks its image, have layoutlift recover --apply name it again at the "
        "source; where that makes a name up, give it its own tag before the next run, which would else delete it at "
        "the target (docs/keeping-in-step.md, Taken away or lost). If it was taken away on purpose, let layoutlift "
        "cleanup apply mark what it left, and run again; or, where the source is not to be written to, leave it "
        "out with --exclude, or delete that tag alone at the target, in the registry's own interface (oras and "
        "skopeo delete the manifest with all its tags). Where the message says that an index can't be read, mend "
        "that first (layoutlift check names it).",
        "unusable_key": "Copy the layout to keys without empty components or dots alone, and run again.",
        "source_read": "Run again; if it stays, look at the mount's log and at the bucket's own.",
        "source_unavailable": "Mount the bucket again, see to its endpoint or credentials, or correct the path; then "
        "run again.",
        "source_write": "Look at the rights on the source, and at the mount's log; then run again.",
        "source_changed": "A writer was quicker: plan again.",
        "index_changed": "Run again: what was written at the source during the run may not be at the target yet.",
        # a zot in place
        "not_served": "Migrate it instead of serving it in place; or correct at the source what the message names.",
        "changed_by_defaults": "Nothing to do under the configuration that `layoutlift zot config` prints.",
        "rename_unused": "Correct --rename if it is mistyped: OLD is a path below SOURCE.",
        "include_unused": "Correct --include if it is mistyped: team is one repository, team/** are all below it, "
        "and :v1 is a tag in all of them; a path begins below SOURCE, without a registry's host, and layoutlift ls "
        "shows what is there.",
        "exclude_unused": "Correct --exclude if it is mistyped, as what it was to leave out comes along; else there "
        "is nothing to do.",
        "policy_unused": "Correct the policy if it is mistyped: a pattern fits a path or tag in full, and the first "
        "policy that fits decides.",
        "not_in_catalog": "Nothing to do for those who know the name; to have it listed, rename the folder.",
        # cleanups
        "lost_manifest": "Look with layoutlift recover --marked what it is; with --apply, that names again all "
        "that it shows.",
        "marked_left_out": "Nothing to do, unless something is missed: layoutlift recover --marked shows what of it "
        "can be named again.",
        "protected_is_hidden": "Run the command that the message names, as long as the quarantine has it.",
        "tag_taken": "Nothing to do, if the new content is meant; else point the tag at the old digest again.",
        # the target's answers
        "conflict": "The target has this tag with other content that we did not write: see whose it is, then choose "
        "--on-conflict overwrite or --rename, or leave it out with --exclude, in verify and cutover too.",
        "conflict_skipped": "Nothing to do: the target's own tag was left alone, as you asked; give verify and "
        "cutover --exclude for it, or they name it.",
        "unsupported_digest": "Push the tag again with a tool that names manifests by sha256, as oras does.",
        "immutable_tag": "Set the target's repository to mutable tags, or give the new content a new tag; at Azure, "
        "unlock it (az acr repository update --write-enabled true).",
        "repository_missing": "Make it at the target, or have layoutlift do so with --create-repositories.",
        "to_create": "Nothing to do: the migration makes it.",
        "new_may_be_public": "Nothing to do if everybody may read them; else make the namespace's default private, "
        "or make private repositories, before the push.",
        "referrers_to_copy": "Nothing to do: the migration brings them.",
        "referrers_copied": "Nothing to do: they came to what is up to date.",
        "untagged_may_go": "Have it come by a tag: list that in place of the digest, or give it one at the source "
        f"{_TAG}; then run again. {_NOT_WHERE_NAMES_ARE_SHARED}",
        "tag_moved": "Nothing to do, unless the tag was refused: the target follows the source.",
        "tag_vanished": "See whether that was on purpose; the target keeps it, unless --delete-vanished is given.",
        "layout_vanished": "See whether that was on purpose; the target keeps its tags, unless --delete-vanished is "
        "given.",
        "to_overwrite": "See whose it is; --backup-tag keeps it under another tag, and --on-conflict refuse or skip "
        "leaves it alone.",
        "tag_overwritten": "Nothing to do, if that was meant; else tag what was kept again, or the digest, as long "
        "as the registry has that.",
        "to_delete": "Nothing to do: the migration deletes it with --delete-vanished.",
        "tag_deleted": f"Nothing to do: the target followed the source. {_WHERE_LOST}",
        "tag_kept": "Nothing to do: others have moved the tag since it was migrated, so it is theirs. "
        f"{_WHERE_LOST}",
        "not_deleted": "Run again when the problems above are mended.",
        "too_many_vanished": "See whether so much was deleted on purpose; raise the limit for one run if it was, or "
        "do what the message says.",
        "deletion_unsupported": "Switch deletion on at the registry, or delete the tags there by its own means.",
        "registry": "Read the registry's answer in the message, and its log.",
        "referrer_conflict": "The target's tag of this name lists no referrers: remove it if nobody needs it.",
        "target_full": "Make room at the target, then run again: what it has already is not sent twice.",
        "target_lacks": "Migrate it first, or clean up without naming a target.",
        "missing_at_target": "Run migrate again, which names what the target does not take; what it lost below a tag "
        "comes again with migrate --prove-again --depth blobs, or content where only that finds it. If it stays, "
        "look for what deletes at the target.",
        "damaged_at_target": "Run layoutlift check first: if that says size_mismatch of the same blob, its manifest "
        "or the source's copy is wrong: mend that first, and remove nothing. Else the target's own copy is damaged, "
        "and most registries keep what they have under a digest: have the blob removed there (its file, or by a "
        "garbage collection), then run migrate --prove-again --depth blobs.",
        "different_at_target": "See who wrote to the target; then migrate with --on-conflict overwrite, or leave the "
        "tag out of migrate and verify with --exclude.",
        "extra_at_target": "Nothing to do, if it vanished at the source, others push to the target, or --backup-tag "
        "keeps there what was overwritten (tag_overwritten of that run); else see who did, and delete it there.",
        "tags_not_listed": "Nothing to do, unless tags that only the target has are looked for: then grant the login "
        "the right to list tags, or have the proxy before the target wait longer for the list, and run again.",
        "authentication": "Log in to the target again (docker login), or correct the user name and password.",
        "authorization_expired": "Run again; if it stays, make the registry's tokens last longer.",
        "permission_denied": "Have the rights to this repository granted; some registries want it made first. "
        "Or have the firewall let it through, where the answer is a page.",
        "manifest_refused": "See the target's answer; some take docker types or artifacts only when set to.",
        "missing_referenced_content": "Run again. If it stays, the target takes no layers with URLs (distribution: "
        "validation.manifests.urls.allow), or no index of build caches; or it is replicated, and another "
        "replica answered; or it loses blobs: look at its log.",
        "payload_too_large": "Raise the body limit of the registry or of the proxy in front of it.",
        "rate_limited": "Run again later, with a lower --max-requests or fewer --jobs.",
        "registry_unavailable": "Run again when the target is well; look at its log.",
        "unexpected_answer": "See whether the address is a registry's, and whether a proxy answers in its place.",
        # the way there
        "transport": "See whether the target can be reached from here, and run again.",
        "connection_failed": "See whether host and port are right and reachable (--plain-http for one without TLS).",
        "transfer_stalled": "Run again; if it stays, look for a proxy that holds uploads back, or use fewer --jobs.",
        "upload_broke_off": "Raise the time that the target, or the proxy before it, gives a request (zot: "
        "http.readTimeout and http.writeTimeout), or have more of the line: a higher --limit-rate, fewer --jobs.",
        "target_unavailable": "Run again when the target is there and well: what it has already is not sent twice.",
        "untrusted_connection": (
            "Name its authority with --ca-file, renew its certificate, or correct the host name; where it names "
            "another host, have it told its own (http.host of distribution; Host and X-Forwarded-Proto of a proxy)."
        ),
    }
)  # fmt: skip


def advice_on(code: str | None) -> str:
    """What to do about a code; of one that nobody knows, what always helps."""
    return ADVICE.get(code or "error", ADVICE["error"])
