"""What a verification is to say, told from what the registry has."""

from tests.support.migration_choice import Choice
from tests.support.migration_model import Model
from tests.support.migration_world import Told


def check_verified(model: Model, choice: Choice, told: Told) -> None:
    """Each row is right, and so are the exit code, the moment of equality, and what the target has besides."""
    assert (told.writes, told.blobs_sent) == ([], 0)
    hurt = {path for path in model.layouts(choice) if model.broken(model.world.layouts[path])}
    opened = [path for path in model.layouts(choice) if model.repository(path) is not None]
    wanted = {
        (path, tag): digest for path in model.layouts(choice) for tag, digest in model.chosen(path, choice).items()
    }
    wanted |= {(path, digest): digest for path in opened for digest in model.untagged(path, choice)}
    unsure = {place for place in wanted.keys() ^ told.rows.keys() if place[0] in hurt}
    assert told.rows.keys() - unsure == wanted.keys() - unsure
    for (path, tag), digest in wanted.items():
        if path not in opened:
            assert told.rows[path, tag] == "name_collision"
        elif path not in hurt:
            assert (told.rows[path, tag] == "up_to_date") is is_right(model, choice, path, tag, digest), (path, tag)
    bad = any(word != "up_to_date" for word in told.rows.values())
    if bad or len(opened) < len(model.layouts(choice)) or not model.world.layouts:
        assert told.code == 1
    elif told.rows and not hurt:
        assert told.code == 0
        assert told.equal_at is not None or model.world.remains
    assert told.equal_at is None or told.code == 0
    said = {message.split()[0].partition("/")[2] for _, message in told.of("extra_at_target")}
    assert said == {
        f"{repository}:{tag}"
        for path in opened
        for repository, tag in model.registry.tags
        if repository == path.lower() and tag not in model.world.layouts[path].tags and not tag.startswith("sha256-")
    }


def is_right(model: Model, choice: Choice, path: str, tag: str, digest: str) -> bool:
    """Whether the target has a tag with all below it, and lists what refers to that, as deep as it is looked at."""
    repository, layout = path.lower(), model.world.layouts[path]
    if tag != digest and model.registry.tags.get((repository, tag)) != digest:
        return False
    roots = [digest, *(model.referrers(layout, digest) if choice.referrers else ())]
    listed = [each for each in model.below(*roots) if model.subject(each) is not None] if choice.referrers else []
    return all(is_there(model, choice, repository, each) for each in roots) and all(
        model.lists(repository, each) for each in listed
    )


def is_there(model: Model, choice: Choice, repository: str, digest: str) -> bool:
    stored = model.registry.stored(repository)
    if not all(each in stored.manifests for each in model.below(digest)):
        return False
    return choice.depth == "manifest" or model.is_whole(repository, digest, rotten=choice.depth == "content")
