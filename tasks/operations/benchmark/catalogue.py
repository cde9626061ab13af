"""The paths that are known. A file of the user's may add others, or the same with other options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.benchmark_values.paths import Arrives, Command, Origin, PathSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

FUSERMOUNT: Command = ("fusermount3", "-u", "{mountpoint}")
CATALOGUE: Mapping[str, PathSpec] = {
    spec.name: spec
    for spec in (
        PathSpec(
            name="s3fs",
            origin=Origin.PUSHED,
            mount=(
                *("s3fs", "{bucket}:/{prefix}", "{mountpoint}", "-f"),
                *("-o", "url={s3_url}", "-o", "endpoint={region}", "-o", "tmpdir={cache}"),
            ),
            last=("-o", "use_path_request_style"),
            own_credentials=("iam_role", "profile", "passwd_file", "ecs", "credlib"),
            unmount=FUSERMOUNT,
            version=("s3fs", "--version"),
        ),
        PathSpec(
            name="goofys",
            origin=Origin.PUSHED,
            mount=("goofys", "-f", "--endpoint", "{endpoint}", "--region", "{region}"),
            last=("{bucket}:{prefix}", "{mountpoint}"),
            own_credentials=("profile",),
            option=("{option}",),
            unmount=FUSERMOUNT,
            version=("goofys", "--version"),
        ),
        PathSpec(
            name="rclone",
            origin=Origin.PUSHED,
            mount=(
                *(
                    "rclone",
                    "mount",
                    ":s3:{bucket}/{prefix}",
                    "{mountpoint}",
                    "--config",
                    "",
                    "--cache-dir",
                    "{cache}",
                ),
                *("--s3-provider", "Other", "--s3-env-auth", "--s3-region", "{region}"),
                # oras renames what it wrote, which rclone can only do with a cache of files on the disk
                *("--vfs-cache-mode", "writes", "--s3-endpoint", "{endpoint}"),
            ),
            own_credentials=("s3-env-auth", "s3-profile", "s3-shared-credentials-file", "s3-access-key-id"),
            option=("--{option}",),
            unmount=FUSERMOUNT,
            version=("rclone", "version"),
        ),
        PathSpec(
            name="geesefs",
            origin=Origin.PUSHED,
            mount=("geesefs", "-f", "--endpoint", "{endpoint}", "--region", "{region}"),
            last=("{bucket}:{prefix}", "{mountpoint}"),
            own_credentials=("profile", "shared-config", "iam"),
            option=("{option}",),
            unmount=FUSERMOUNT,
            version=("geesefs", "--version"),
        ),
        PathSpec(
            name="mount-s3",
            origin=Origin.UPLOADED,  # it can neither rename nor write into a file twice, which oras push does
            mount=(
                *("mount-s3", "-f", "--read-only", "--prefix", "{prefix}/", "--region", "{region}"),
                *("--force-path-style", "--endpoint-url", "{endpoint}"),
            ),
            last=("{bucket}", "{mountpoint}"),
            own_credentials=("profile", "no-sign-request"),
            option=("--{option}",),
            unmount=FUSERMOUNT,
            version=("mount-s3", "--version"),
        ),
        PathSpec(
            name="native",
            origin=Origin.UPLOADED,
            pull=(
                "{python}",
                "-P",
                "-m",
                "tasks.stores.benchmark.native_copy",
                "{bucket}",
                "{prefix}/junk/blobs/sha256/",
                "{out}",
            ),
            warm_up=("{python}", "-c", "import boto3.s3.transfer"),
            waits=True,
            arrives=Arrives.BLOBS,
            version=("{python}", "-c", "import boto3; print('boto3', boto3.__version__)"),
        ),
        PathSpec(
            name="aws-cli",
            origin=Origin.UPLOADED,
            pull=(
                *("aws", "s3", "cp", "--recursive", "--only-show-errors", "--endpoint-url", "{endpoint}"),
                *("s3://{bucket}/{prefix}/junk/blobs/sha256/", "{out}/"),
            ),
            warm_up=("aws", "s3", "ls", "--endpoint-url", "{endpoint}", "s3://{bucket}/{prefix}/none/"),
            arrives=Arrives.BLOBS,
            version=("aws", "--version"),
            dat_type="aws-cli-s3",
        ),
        PathSpec(
            name="s5cmd",
            origin=Origin.UPLOADED,
            pull=(
                "s5cmd",
                "--endpoint-url",
                "{endpoint}",
                "cp",
                "s3://{bucket}/{prefix}/junk/blobs/sha256/*",
                "{out}/",
            ),
            warm_up=("s5cmd", "version"),
            arrives=Arrives.BLOBS,
            version=("s5cmd", "version"),
        ),
        PathSpec(name="directory", origin=Origin.DIRECTORY, version=("oras", "version")),
        PathSpec(
            name="registry",
            origin=Origin.REGISTRY,
            pull=("oras", "pull", "--no-tty", "{plain_http}", "{registry}:{tag}", "--output", "{out}"),
            version=("oras", "version"),
        ),
    )
}
