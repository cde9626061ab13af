"""What a user can say of a benchmark: the fields of the dashboard's form, and the options of the command."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flows.forms.field_checks import check_address, check_local
from flows.forms.parameter_fields import ADDRESS_FORM, PLACE_FORM, EndpointUrl, PlainHttp
from flows.forms.told_to_pydantic import told_to_pydantic
from tasks.benchmark_values import cases
from tasks.benchmark_values.options import BenchmarkOptions, ContentKind
from tasks.benchmark_values.paths import PathSpec, altered, chosen
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.catalogue import CATALOGUE
from tasks.stores.bucket.s3_address import BucketAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NONE = "none"
LOCAL = "local"


def _place(location: str | None) -> str:
    """Where to measure, after which Prefect names the run; what is no bucket is refused before Prefect stores it."""
    if not location:
        return LOCAL
    if location != LOCAL:
        with told_to_pydantic():
            BucketAddress.parse(location)
    return location


def _registry(address: str | None) -> str | None:
    """As `check_address`: a registry is part of the results, too, and a login in it would be."""
    return check_address(address) if address else None


Location = Annotated[
    str | None,
    Field(
        description="s3://bucket[/prefix] that holds nothing else, or local (the default): SeaweedFS on loopback",
        json_schema_extra=PLACE_FORM,
    ),
    AfterValidator(_place),
]
Sizes = Annotated[
    list[str], Field(description="Sizes of single blobs as head -c takes them, such as '8MiB 1GiB', or none")
]
Multis = Annotated[list[str], Field(description="Several blobs in one artifact, such as 16MiBx8, or none")]
Quick = Annotated[bool, Field(description="Only sizes to 64 MiB, and one multi of that total")]
Paths = Annotated[list[str], Field(description=f"Only these of {', '.join(CATALOGUE)}; by default all that are here")]
Without = Annotated[list[str], Field(description="Not these paths")]
MountOption = Annotated[
    list[str], Field(description="An option for a path's mount, as PATH=OPTION, such as s3fs=iam_role")
]
PathBucket = Annotated[list[str], Field(description="Another bucket for a path, as PATH=BUCKET")]
PathMount = Annotated[list[str], Field(description="A mount of your own for a path, as PATH=FOLDER")]
PathsFile = Annotated[str | None, Field(description="YAML file with further paths")]
Repeats = Annotated[int, Field(description="How often each path pulls each size, cold and warm", ge=1, le=1000)]
Pause = Annotated[float, Field(description="Seconds between two pulls", ge=0, le=3600)]
Content = Annotated[ContentKind, Field(description="What the blobs hold: random text, or random bytes")]
Registry = Annotated[
    str | None,
    Field(
        description="Registry to pull from, too, as host[:port][/prefix], with docker's login to it",
        json_schema_extra=ADDRESS_FORM,
    ),
    AfterValidator(_registry),
]
KeepPageCache = Annotated[bool, Field(description="Don't drop the machine's page cache before cold pulls")]
AllowedLoss = Annotated[
    float, Field(description="Percent of throughput that may be lost against earlier runs", gt=0, lt=100)
]
Out = Annotated[
    str | None,
    Field(description="Folder for the results, by default build/benchmark/RUN"),
    AfterValidator(check_local),
]
DatFile = Annotated[
    str | None,
    Field(description="Write the figures here, too, in the form of the ORAS project's article"),
    AfterValidator(partial(check_local, kind="file")),
]
Uncounted = Annotated[
    bool,
    Field(description="Leave out the extra pulls that count requests to an S3 service other than SeaweedFS here"),
]
Resume = Annotated[bool, Field(description="Go on where the run whose results are in --out was interrupted")]
State = Annotated[
    str | None,
    Field(
        description="Folder for the history and the work in progress; else below $XDG_STATE_HOME or ~/.local/state"
    ),
    AfterValidator(check_local),
]


class BenchmarkParameters(BaseModel):
    """Parameters of `benchmark run`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    location: Location = None
    sizes: Sizes = []
    multis: Multis = []
    quick: Quick = False
    paths: Paths = []
    without: Without = []
    mount_option: MountOption = []
    path_bucket: PathBucket = []
    path_mount: PathMount = []
    paths_file: PathsFile = None
    repeats: Repeats = 3
    pause: Pause = 1.3
    content: Content = ContentKind.TEXT
    endpoint_url: EndpointUrl = None
    registry: Registry = None
    plain_http: PlainHttp = False
    keep_page_cache: KeepPageCache = False
    allowed_loss: AllowedLoss = 30.0
    out: Out = None
    dat_file: DatFile = None
    state: State = None
    uncounted: Uncounted = False
    resume: Resume = False

    def to_options(self) -> BenchmarkOptions:
        """The same as values of the engine.

        Raises:
            ConfigurationError: sizes, paths or their options make no sense.
        """
        paths, named = chosen(self._catalogue(), cases.parted(self.paths), cases.parted(self.without))
        location = None if self.location == LOCAL else self.location
        if location is None and (elsewhere := [path.name for path in paths if path.bucket]):
            raise ConfigurationError(
                f"{elsewhere[0]!r} has a bucket of its own, and the server here has none of yours: "
                "name s3://bucket[/prefix] as LOCATION"
            )
        return BenchmarkOptions(
            location=location,
            cases=cases.parse_cases(*self._labels()),
            paths=paths,
            all_needed=named,
            repeats=self.repeats,
            pause=self.pause,
            content=self.content,
            endpoint_url=self.endpoint_url,
            registry=self.registry,
            plain_http=self.plain_http,
            keep_page_cache=self.keep_page_cache,
            allowed_loss=self.allowed_loss / 100,
            out=self.out,
            dat_file=self.dat_file,
            state=self.state,
            uncounted=self.uncounted,
            resume=self.resume,
        )

    def _labels(self) -> tuple[list[str], list[str]]:
        """Sizes and multis; who gives only one of the two wants only that."""
        singles = cases.QUICK_SINGLES if self.quick else cases.SINGLES
        multis = cases.QUICK_MULTIS if self.quick else cases.MULTIS
        if not self.sizes and not self.multis:
            return list(singles), list(multis)
        sizes = self.sizes or (singles if self.multis == [NONE] else [])
        several = self.multis or (multis if self.sizes == [NONE] else [])
        return _without_none(sizes), _without_none(several)

    def _catalogue(self) -> Mapping[str, PathSpec]:
        known: dict[str, PathSpec] = dict(CATALOGUE)
        if self.paths_file is not None:
            from flows.files.benchmark_path_files import load_paths  # noqa: PLC0415 - most runs have none

            known |= load_paths(Path(self.paths_file), known)
        return altered(known, options=self.mount_option, buckets=self.path_bucket, mounts=self.path_mount)


def _without_none(entries: Iterable[str]) -> list[str]:
    return [label for label in cases.parted(entries) if label != NONE]
