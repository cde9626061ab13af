"""The login at Google's registry that pods take from the metadata server, as the manifest has it."""

import json
import os
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from infra.real_parts import DebianRegistry, Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "infra" / "kubernetes" / "google-login.yaml"
TOKEN = "ya29.of-an-hour"


class Metadata(BaseHTTPRequestHandler):
    """Google's metadata server, which answers nobody who does not say that it is meant."""

    def do_GET(self) -> None:
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        known = self.path == path and self.headers["Metadata-Flavor"] == "Google"
        self.send_response(200 if known else 403)
        self.end_headers()
        answer = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
        self.wfile.write(json.dumps(answer if known else {}).encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def metadata() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """The volume of the ConfigMap, as Kubernetes mounts it."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name, text in yaml.safe_load(MANIFEST.read_text())["data"].items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o555)
    return folder


def test_pods_log_in_at_google_s_registry_with_what_the_metadata_server_gives_them(
    layoutlift: Layoutlift,
    own_registry: Callable[..., Registry],
    credentials: Path,
    metadata: str,
    tmp_path: Path,
) -> None:
    registry = own_registry(DebianRegistry, login=("oauth2accesstoken", TOKEN))
    layout = LayoutBuilder(tmp_path / "bucket" / "app")
    layout.image("v1")
    layout.write()
    config = credentials / "config.json"
    text = config.read_text().replace("europe-docker.pkg.dev", registry.host)
    config.unlink()
    config.write_text(text)
    (path,) = re.findall(r"name: PATH, value: \"(\S+)\"", MANIFEST.read_text())
    environment = {
        "PATH": path.replace("/credentials", str(credentials)) + f":{os.environ['PATH']}",
        "DOCKER_CONFIG": str(credentials),
        "GCE_METADATA_HOST": metadata,
    }
    done = layoutlift.migrate(tmp_path / "bucket", registry.host, environment=environment)
    assert done.outcomes == {"app:v1": "copied"}


def test_a_pod_is_told_how_the_volume_takes_the_place_of_the_secret_s() -> None:
    manifest = MANIFEST.read_text()
    assert "configMap: { name: google-login, defaultMode: 0555 }" in manifest
    assert yaml.safe_load(manifest)["metadata"]["name"] == "google-login"
    image = (ROOT / "infra" / "Dockerfile").read_text()
    assert "PATH=/opt/layoutlift/bin:" in image, "where its Python is"
    assert "../infra/kubernetes/google-login.yaml" in (ROOT / "docs" / "registries.md").read_text()
