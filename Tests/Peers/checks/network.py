"""Trains over shards of a server on loopback that fails in every way it can, and compares with a run that met no fault.

    python Tests/Peers/checks/network.py --command .build/release/cascade-adapt [--seconds 60]

The listing at the start is cut. In the middle of an epoch connections break off, and for so many seconds the server is
gone: nobody listens at its port. When the run goes on later, shards are answered with 503 for some seconds. The files
it ends with have to be those of the other run, byte for byte."""

import argparse
import os
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from runs import Runs

UPDATES = 40


class Store:
    """A bucket, and what goes wrong with it."""

    def __init__(self, files: dict[str, bytes]):
        self.files = files
        self.port = 0
        self.server = None
        self.cut_listings = 0
        self.busy_until = 0.0
        # After how many shards the server is gone, and for how many seconds.
        self.gone_after, self.gone_seconds = 1 << 60, 0.0
        self.outages = 0
        self.lock = threading.Lock()
        self.open()

    def open(self) -> None:
        store = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                store.answer(self)

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def leave(self) -> None:
        """Closes the port, and opens it again later."""
        self.server.shutdown()
        self.server.server_close()
        time.sleep(self.gone_seconds)
        self.open()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        if "list-type=2" in query:
            keys = "".join(f"<Contents><Key>{name}</Key></Contents>" for name in sorted(self.files))
            body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>".encode()
            cut = self.cut_listings > 0
            self.cut_listings -= cut
            return self.send(request, 200, body, {}, len(body) // 2 if cut else None)
        content = self.files[path.split("/")[-1]]
        if time.monotonic() < self.busy_until:
            return self.send(request, 503, b"", {})
        first, _, last = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        ends = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        headers = {"ETag": '"one"', "Content-Range": ends}
        cut_at = None
        with self.lock:
            self.gone_after -= 1
            if self.gone_after == 0:
                self.outages += 1
                cut_at = len(part) // 2
                threading.Thread(target=self.leave, daemon=True).start()
        self.send(request, 206 if "Range" in request.headers else 200, part, headers, cut_at)

    def send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str], cut: int | None = None
    ) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            if status != 200 or name != "Content-Range":
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body[:cut])
        request.close_connection = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--seconds", type=float, default=60, help="how long the server is gone")
    parser.add_argument("--recipe", default="finetune")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.command, Path(folder))
        runs.call("dataset", "pack", "images", "s.tar", "--shard-samples", "2")
        store = Store({path.name: path.read_bytes() for path in Path(folder).glob("s-*.tar")})
        os.environ.update(
            AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_ENDPOINT_URL=f"http://127.0.0.1:{store.port}"
        )

        def train(run: str, *more: str) -> str:
            words = runs.words(arguments.recipe, f"{arguments.recipe}/{run}", UPDATES)
            done = runs.finish([*words, "--set", "webdataset_path=s3://bucket/", *more])
            if done.returncode != 0:
                sys.exit(f"{run}: {done.stderr}")
            return done.stderr

        train("whole")
        store.cut_listings, store.gone_after, store.gone_seconds = 2, 12, arguments.seconds
        began = time.monotonic()
        said = train("held", "--steps", str(UPDATES // 2))
        print(f"{UPDATES // 2} updates in {time.monotonic() - began:.0f} s, of which {arguments.seconds:.0f} s of outage")
        store.busy_until = time.monotonic() + 20
        began = time.monotonic()
        said += train("held")
        print(f"{UPDATES // 2} updates in {time.monotonic() - began:.0f} s after a resume with 503 for 20 s")
        for line in said.splitlines():
            if "network" in line or "trying again" in line or "left out" in line:
                print(f"  {line}")
        wrong = runs.differences(arguments.recipe, f"{arguments.recipe}/whole", f"{arguments.recipe}/held")
        if store.outages != 1 or store.cut_listings != 0:
            sys.exit("the faults did not come")
        if wrong:
            sys.exit(f"other bytes than without faults: {wrong}")
        print("same bytes as without")


if __name__ == "__main__":
    main()
