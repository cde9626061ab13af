"""What the model learns from a run: what became known to later ones, by what the registry saw and the run said."""

from tasks.oci.codes import Problem, Remark
from tests.support.migration_checks import UNANSWERED, Check
from tests.support.migration_model import CONFLICTS, Known, Model, Place
from tests.support.migration_registry import HOST, Write
from tests.support.migration_world import Told


def learn(check: Check, told: Told) -> None:
    """What the model knows from now on."""
    model, choice = check.model, check.choice
    wrote = {(each.repository, each.reference): each for each in reversed(told.writes)}  # the first counts
    tags = model.registry.tags
    model.moved_by_others -= {place for place, write in wrote.items() if tags.get(place) == write.digest}
    if told.code == 3:
        return
    for path in check.opened:
        rows = {tag: word for (of, tag), word in told.rows.items() if of == path}
        is_spared = told.code is not None and check._is_spared(path.lower())
        for tag, digest in model.chosen(path, choice).items():
            place = (path.lower(), tag)
            if told.code is None:
                _doubt(check, path, place, digest, wrote=place in wrote)
            elif rows[tag] in {"copied", "up_to_date"}:
                if not is_spared:
                    _note(model, path, place, digest, wrote.get(place), rows[tag])
            elif rows[tag] not in CONFLICTS:
                _doubt(check, path, place, digest, wrote=place in wrote)
        is_clean = told.code is not None and rows.keys() and all(w in {"copied", "up_to_date"} for w in rows.values())
        is_clean = is_clean or (told.code is not None and not rows)
        no_harm = {*Remark, Problem.LOST_AT_SOURCE}  # which is about a tag that the layout has no more
        is_clean = is_clean and not any(each.path == path and each.code not in no_harm for each in told.findings)
        now = (model.world.layouts[path].index, choice.settings)
        if told.code is None:
            model.migrated.setdefault(path, False)
            model.spared.setdefault(path, []).append(now)
        else:
            model.migrated[path] = "interrupted" not in rows.values() or model.migrated.get(path, False)
            model.spared[path] = [now] if is_clean else []
    _learn_deletions(check, told)
    model.look_for_holes()


def _note(model: Model, path: str, place: Place, digest: str, write: Write | None, word: str) -> None:
    prior = model.known.get(place)
    if write is not None and write.before != digest:
        brought = True if word == "copied" else None  # it had no answer, and the tag was found there when asked again
    elif prior is not None and prior.digest == digest:
        brought = prior.brought
    else:
        brought = None if digest in model.doubtful.get(place, ()) else False
    model.known[place] = Known(digest, path, brought)
    model.doubtful.pop(place, None)
    model.coming.pop(place, None)
    if model.registry.tags.get(place) == digest:
        model.moved_by_others.discard(place)


def _doubt(check: Check, path: str, place: Place, digest: str, *, wrote: bool) -> None:
    """A run that died may have noted anything of what it did."""
    model, prior = check.model, check.model.known.get(place)
    doubtful = model.doubtful.setdefault(place, set())
    doubtful.add(digest)
    if prior is not None and prior.digest != digest:
        doubtful.add(prior.digest)
    if wrote:
        model.coming.setdefault(place, set()).add((digest, path))
    is_known = prior is not None and prior[:2] == (digest, path) and (prior.brought or not wrote)
    if model.registry.tags.get(place) == digest and not is_known:
        was_brought = prior is not None and prior.brought is not False  # and is noted so still, if this was not noted
        model.known[place] = Known(digest, path, None if wrote or was_brought else False, is_certain=False)


def _learn_deletions(check: Check, told: Told) -> None:
    model = check.model
    if check.choice.limits is None:
        return
    done = {message.split()[0].removeprefix(f"{HOST}/") for _, message in told.of("tag_deleted", "tag_kept")}
    is_open = told.code is None or bool(told.of(*UNANSWERED))
    for place, known in check.vanished.items():
        if is_open and ":".join(place) not in done:
            model.known[place] = known._replace(brought=known.brought and None, is_certain=False)
        elif ":".join(place) in done:
            del model.known[place]
            model.doubtful.pop(place, None)
            model.coming.pop(place, None)
            for path in model.spared:
                if path.lower() == place[0]:
                    model.spared[path] = []
    _learn_what_was_lost(check, done, is_open=is_open)
    for path in check.gone:
        left = [each for each in model.known.values() if each.layout == path and each.brought is not False]
        was_touched = any(":".join(place) in done for place, each in check.vanished.items() if each.layout == path)
        if told.code is None or not any(each.brought and each.is_certain for each in left):
            model.migrated[path] = False  # a complete run forgets a layout that left nothing to delete
        if was_touched and not left:
            model.migrated.pop(path, None)


def _learn_what_was_lost(check: Check, done: set[str], *, is_open: bool) -> None:
    """What the target has no more, or has from others, is forgotten."""
    model = check.model
    for place in check.lost.keys() & model.known.keys():
        known = model.known[place]
        if ":".join(place) in done:
            del model.known[place]
            model.doubtful.pop(place, None)
        elif is_open and check.is_others(place):
            model.known[place] = known._replace(brought=known.brought and None, is_certain=False)
