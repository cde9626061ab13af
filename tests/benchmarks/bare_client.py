"""What one client with nothing else to do reaches: it sends blobs and manifests over raw connections.

It hashes nothing, asks for nothing, retries nothing and proves nothing, so that no honest client in Python can be
much faster. A blob is sent once for each repository.

    python -I bare_client.py SOURCE HOST:PORT CONNECTIONS
"""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

REF_NAME = "org.opencontainers.image.ref.name"
END = b"\r\n\r\n"


class Connection:
    """One kept-alive connection that understands just what registries answer to uploads."""

    def __init__(self, host: str) -> None:
        name, port = host.rsplit(":", 1)
        self.host = host
        self.socket = socket.create_connection((name, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method: str, path: str, body: bytes = b"", media_type: str = "application/octet-stream") -> str:
        """Send a request and return the answer's Location."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if len(body) > 1 << 16:
            self.socket.sendall(head.encode())
            self.socket.sendall(body)
        else:
            self.socket.sendall(head.encode() + body)
        answer = b""
        while END not in answer:
            received = self.socket.recv(1 << 16)
            if not received:
                raise SystemExit(f"{method} {path}: the registry hung up")
            answer += received
        status, _, headers = answer.partition(END)[0].decode().partition("\r\n")
        if not status.startswith("HTTP/1.1 20"):
            raise SystemExit(f"{method} {path}: {answer.decode()}")
        return next((line[10:] for line in headers.split("\r\n") if line.lower().startswith("location: ")), "")


class Client:
    """Copies layouts over a few connections."""

    def __init__(self, host: str, connections: int) -> None:
        self.host = host
        self.idle: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(connections):
            self.idle.put(Connection(host))

    def copy(self, layout: Path) -> None:
        """Copy one layout, tag by tag."""
        connection = self.idle.get()
        sent: set[str] = set()
        for entry in json.loads((layout / "index.json").read_bytes())["manifests"]:
            manifest = _blob(layout, entry["digest"])
            described = json.loads(manifest)
            for blob in (described["config"], *described["layers"]):
                if blob["digest"] not in sent:
                    sent.add(blob["digest"])
                    self._push(connection, layout, blob["digest"])
            path = f"/v2/{layout.name}/manifests/{entry['annotations'][REF_NAME]}"
            connection.send("PUT", path, manifest, entry["mediaType"])
        self.idle.put(connection)

    def _push(self, connection: Connection, layout: Path, digest: str) -> None:
        place = connection.send("POST", f"/v2/{layout.name}/blobs/uploads/")
        path = place.removeprefix(f"http://{self.host}")
        connection.send("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest}", _blob(layout, digest))


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


def main(source: str, host: str, connections: str) -> None:
    """Copy every layout."""
    client = Client(host, int(connections))
    with ThreadPoolExecutor(int(connections)) as hands:
        list(hands.map(client.copy, sorted(Path(source).iterdir())))


if __name__ == "__main__":
    main(*sys.argv[1:])
