"""SeaweedFS as the S3 service: one `weed server` with master, volume, filer and S3 gateway."""

from __future__ import annotations

import json
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.stores.local_parts.ports import LOOPBACK, free_ports
from tasks.stores.local_parts.programs import program
from tasks.stores.local_parts.server import Server
from tasks.stores.local_parts.waiting import http_status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HTTP_OK = 200
VACUUM_SECONDS = 60.0
REGION = "us-east-1"
SOCKET_FOLDER = Path("/tmp")  # noqa: S108 - where weed itself puts its sockets, whatever TMPDIR says
LISTENERS = ("master", "volume", "filer", "s3")


class SeaweedFS(Server):
    """An S3 endpoint on loopback with one administrator, whose key pair is made afresh for each object."""

    name = "seaweedfs"
    # Asked politely, it waits for its clients for longer than a test may take. What it has acknowledged is in
    # its files by then, so a killed one starts again with its data.
    stop_signal = signal.SIGKILL
    region = REGION

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._metrics_port, *ports = free_ports(1 + 2 * len(LISTENERS))  # drawn at once, so that none comes twice
        self._ports = dict(zip(LISTENERS, ports[::2], strict=True))
        self._grpc_ports = dict(zip(LISTENERS, ports[1::2], strict=True))
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)

    @property
    def endpoint(self) -> str:
        """The URL that S3 clients are given."""
        return f"http://{LOOPBACK}:{self._ports['s3']}"

    @property
    def metrics_url(self) -> str:
        """Where the server counts its requests, in Prometheus' text format."""
        return f"http://{LOOPBACK}:{self._metrics_port}/metrics"

    def environment(self) -> dict[str, str]:
        """Return the variables by which the AWS SDKs and tools find this endpoint and its credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def client(self) -> S3Client:
        """Return a boto3 client of this endpoint."""
        import boto3  # noqa: PLC0415 - half a second that most users of this module need not pay
        from botocore.config import Config  # noqa: PLC0415

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            config=Config(proxies={}),  # a proxy has no say on loopback
        )

    def create_bucket(self, name: str) -> str:
        """Make a bucket (3 characters at least, as S3 has it) and return its name."""
        self.client().create_bucket(Bucket=name)
        return name

    def reclaim(self) -> None:
        """Give the space of deleted objects back now; on its own it would do so much later."""
        url = f"http://{LOOPBACK}:{self._ports['master']}/vol/vacuum?garbageThreshold=0.001"
        http_status(url, timeout_seconds=VACUUM_SECONDS)

    @property
    def leftovers(self) -> list[Path]:
        """The sockets in the folder for temporary files, by the ports that name them."""
        http = (f"{listener}-{port}" for listener, port in self._ports.items())
        grpc = (f"{listener}-grpc-{port}" for listener, port in self._grpc_ports.items())
        return [SOCKET_FOLDER / f"seaweedfs-{name}.sock" for name in (*http, *grpc)]

    def _command(self) -> list[str]:
        (self.folder / "data").mkdir(exist_ok=True)
        return [
            *(str(program("weed")), "server", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}"),
            *("-dir=data", "-volume.max=4000", "-master.volumeSizeLimitMB=128", "-volume.minFreeSpace=64MiB"),
            *("-filer", "-s3", f"-s3.config={self._write_identities()}"),
            *(f"-{listener}.port={port}" for listener, port in self._ports.items()),
            *(f"-{listener}.port.grpc={port}" for listener, port in self._grpc_ports.items()),
            *(f"-metricsPort={self._metrics_port}", f"-metricsIp={LOOPBACK}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-volume.preStopSeconds=0"),
        ]

    def _environment(self) -> dict[str, str]:
        return {"TMPDIR": str(self.folder)}  # weed's second set of logs

    def _is_ready(self) -> bool:
        can_store = f"http://{LOOPBACK}:{self._ports['master']}/dir/assign"
        return all(http_status(url) == HTTP_OK for url in (f"{self.endpoint}/healthz", can_store))

    def _write_identities(self) -> Path:
        path = self.folder / "identities.json"
        key_pair = {"accessKey": self.access_key, "secretKey": self.secret_key}
        administrator = {"name": "layoutlift", "credentials": [key_pair], "actions": ["Admin", "Read", "Write"]}
        path.touch(mode=0o600)
        path.write_text(json.dumps({"identities": [administrator]}))
        return path
