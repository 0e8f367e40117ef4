"""Trains a tiny run with the command, then reads its logs with the packages that will be asked to: TensorBoard's
EventAccumulator, W&B's reader of `.wandb` files, and `wandb sync` against a server on loopback. Every number and
image has to stand under its step, in each of them as in metrics.jsonl.

    python Tests/Peers/checks/logs.py --command .build/release/cascade-adapt
    python Tests/Peers/checks/logs.py --run output/my_run           only looks at a run that is there

The run is killed and resumed on its way, so the logs also have to show no step twice. It has a running mean and a
validation loss; a LoRA follows, whose layers and tokens learn at rates of their own."""

import argparse
import base64
import hashlib
import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROBLEMS: list[str] = []


def check(is_so: bool, what: str) -> None:
    if not is_so:
        PROBLEMS.append(what)
        print(f"  WRONG: {what}")


def same(ours: float | None, theirs: float, is_single: bool = False) -> bool:
    """Whether a number of metrics.jsonl, where null is no number, is another log's."""
    if ours is None or math.isnan(ours):
        return not math.isfinite(theirs)
    return theirs == (struct.unpack("f", struct.pack("f", ours))[0] if is_single else ours)


def expected(run: Path) -> tuple[dict[str, dict[int, float]], dict[int, bytes]]:
    """The scalars by name and step, and the previews by step, from metrics.jsonl and the files beside it."""
    scalars: dict[str, dict[int, float]] = {}
    steps = []
    for line in (run / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        steps.append(step := values.pop("step"))
        for name, value in values.items():
            scalars.setdefault(name, {})[step] = value
    check(steps == list(range(1, len(steps) + 1)), f"metrics.jsonl has the steps {steps[:3]} … {steps[-3:]}")
    held_out = run / "held_out.json"
    if held_out.exists():
        scalars.setdefault("validation_loss", {})[0] = json.loads(held_out.read_text())["before"]
    images = {int(path.stem): path.read_bytes() for path in run.glob("[0-9]" * 6 + "*.jpg")}
    return scalars, images


def compare(name: str, run: Path, scalars: dict[str, list[tuple[int, float]]], images, is_single: bool) -> None:
    wanted, files = expected(run)
    check(set(scalars) == set(wanted), f"{name} has {sorted(scalars)}, metrics.jsonl {sorted(wanted)}")
    count = 0
    for key, points in scalars.items():
        steps = [step for step, _ in points]
        check(steps == sorted(wanted.get(key, {})), f"{name}: the steps of {key} are {steps[:5]} …")
        for step, value in points:
            ours = wanted.get(key, {}).get(step)
            check(same(ours, value, is_single), f"{name}: {key} at {step} is {value}, not {ours}")
            count += 1
    shown = [step for step, *_ in images]
    check(shown == sorted(files), f"{name}: images at {shown}, files of {sorted(files)}")
    for step, content, width, height in images:
        check(content == files.get(step), f"{name}: the image at {step} is another")
        check((width, height) == jpeg_size(content), f"{name}: the image at {step} has another size")
    print(f"{name}: {count} scalars of {len(scalars)} names, {len(images)} images")


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height by the frame's header."""
    place = 2
    while content[place + 1] not in (0xC0, 0xC1, 0xC2):
        place += 2 + struct.unpack(">H", content[place + 2 : place + 4])[0]
    height, width = struct.unpack(">HH", content[place + 5 : place + 9])
    return width, height


def tensorboard(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = {"scalars": 0, "images": 0}
    events = EventAccumulator(str(run / "tensorboard"), size_guidance=everything).Reload()
    scalars = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }
    check(events.Tags()["images"] in ([], ["preview"]), f"TensorBoard: images {events.Tags()['images']}")
    images = [
        (event.step, event.encoded_image_string, event.width, event.height)
        for tag in events.Tags()["images"]
        for event in events.Images(tag)
    ]
    compare("TensorBoard", run, scalars, images, is_single=True)


def history(lines: list[dict], read) -> tuple[dict[str, list[tuple[int, float]]], list]:
    """Scalars and images of a run's history; `read` gives the content of a media file."""
    scalars: dict[str, list[tuple[int, float]]] = {}
    images = []
    for line in lines:
        for key, value in line.items():
            if isinstance(value, dict):
                content = read(value["path"])
                check(value["_type"] == "image-file", f"W&B: {key} is a {value['_type']}")
                check(value["size"] == len(content), f"W&B: the size of {value['path']}")
                check(value["sha256"] == hashlib.sha256(content).hexdigest(), f"W&B: the hash of {value['path']}")
                images.append((line["_step"], content, value["width"], value["height"]))
            elif not key.startswith("_"):
                scalars.setdefault(key, []).append((line["_step"], float(value)))
    steps = [line["_step"] for line in lines]
    check(steps == sorted(set(steps)), f"W&B: the history's steps are {steps[:5]} …")
    return scalars, images


def wandb_reader(run: Path) -> Path | None:
    """Reads the offline run with the package's own reader and messages."""
    if not (run / "wandb").exists():
        return None
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    folders = sorted((run / "wandb").glob("offline-run-*"))
    check(len(folders) == 1, f"W&B: {len(folders)} offline runs")
    folder = folders[0]
    store = DataStore()
    store.open_for_scan(str(next(folder.glob("run-*.wandb"))))
    kinds, lines = [], []
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kinds.append(record.WhichOneof("record_type"))
        if kinds[-1] == "history":
            lines.append({item.nested_key[0]: json.loads(item.value_json) for item in record.history.item})
            check(lines[-1]["_step"] == record.history.step.num, f"W&B: step {record.history.step.num}")
        if kinds[-1] == "run":
            check(folder.name.endswith(record.run.run_id), f"W&B: the run is {record.run.run_id}")
            check(record.run.start_time.seconds > 0 and record.run.project != "", "W&B: start and project")
    check(kinds[:2] == ["header", "run"] and kinds[-1] == "exit", f"W&B: records {kinds[:2]} … {kinds[-1]}")
    compare("W&B's reader", run, *history(lines, lambda path: (folder / "files" / path).read_bytes()), is_single=False)
    return folder


class Server(BaseHTTPRequestHandler):
    """As much of W&B's server as an upload asks for."""

    requests: list[tuple[str, str, bytes]] = []

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self) -> None:  # noqa: N802
        self.answer(b"{}")

    def do_PUT(self) -> None:  # noqa: N802
        Server.requests.append(("PUT", self.path, self.body()))
        self.answer(b"")

    def do_POST(self) -> None:  # noqa: N802
        body = self.body()
        Server.requests.append(("POST", self.path, body))
        answer: dict = {}
        if self.path == "/graphql":
            asked = json.loads(body)
            query, variables = asked["query"], asked.get("variables") or {}
            project = {"id": "p", "name": "project", "entity": {"id": "e", "name": "us"}}
            if "upsertBucket" in query:
                bucket = {"id": "b", "name": variables.get("name"), "displayName": "run", "project": project}
                answer = {"upsertBucket": {"bucket": bucket, "inserted": True}}
            elif "createRunFiles" in query:
                host = f"http://{self.headers['Host']}"
                files = [
                    {"name": name, "uploadUrl": f"{host}/files/{base64.urlsafe_b64encode(name.encode()).decode()}"}
                    for name in variables["files"]
                ]
                answer = {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
            elif "viewer" in query or "Viewer" in query:
                answer = {"viewer": {"id": "v", "entity": "us", "username": "us", "teams": {"edges": []}}}
            elif "serverInfo" in query or "ServerInfo" in query:
                answer = {"serverInfo": None}
            answer = {"data": answer}
        self.answer(json.dumps(answer).encode())

    def log_message(self, *_) -> None:
        pass


def wandb_upload(run: Path, folder: Path) -> None:
    """Has `wandb sync` upload the run to a server here, and looks at what came."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {
            "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_API_KEY": "0" * 40, "HOME": home,
            "WANDB_DIR": home, "WANDB_ERROR_REPORTING": "false",
        }
        command = [str(Path(sys.executable).parent / "wandb"), "sync", str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    server.shutdown()
    check(done.returncode == 0, f"wandb sync: {done.stdout}{done.stderr}")
    lines: dict[int, str] = {}
    exit_code = None
    files = {}
    for method, path, body in Server.requests:
        if method == "PUT":
            files[base64.urlsafe_b64decode(path.rsplit("/", 1)[1]).decode()] = body
        elif path.endswith("/file_stream"):
            sent = json.loads(body)
            chunk = (sent.get("files") or {}).get("wandb-history.jsonl")
            for place, line in enumerate(chunk["content"] if chunk else []):
                lines[chunk["offset"] + place] = line
            exit_code = sent.get("exitcode", exit_code)
    check(list(lines) == list(range(len(lines))), "wandb sync sends the history's lines one behind another")
    check(exit_code == 0, f"wandb sync sends exit status {exit_code}")
    decoded = [json.loads(line) for line in lines.values()]
    compare("wandb sync", run, *history(decoded, lambda path: files.get(path, b"")), is_single=False)
    (folder / f"run-{folder.name.rsplit('-', 1)[1]}.wandb.synced").unlink(missing_ok=True)


def report(run: Path) -> None:
    """The page asks nothing of a network and holds each curve's last value."""
    page = (run / "report.html").read_text()
    check("http:" not in page and "https:" not in page, "report.html: names an address")
    found = re.search(r'id="curves">(.*?)</script>', page, re.DOTALL)
    curves = [series for chart in json.loads(found.group(1)) for series in chart]
    wanted, files = expected(run)
    check(len(curves) == len(wanted), f"report.html: {len(curves)} curves of {len(wanted)}")
    shown = [int(step) for step in re.findall(r'data-step="(\d+)"', page)]
    check(bool(shown) == bool(files) and set(shown) <= set(files), f"report.html: previews of {shown}")
    print(f"report.html: {len(curves)} curves, {len(shown)} previews, {len(page) / 1e6:.2f} MB")


def look(run: Path) -> None:
    tensorboard(run)
    if folder := wandb_reader(run):
        wandb_upload(run, folder)
    report(run)


CONFIGURATION = """
experiment_id: run
checkpoint_path: checkpoints
output_path: output
model_version: tiny
lr: 1.0e-3
batch_size: 2
image_size: 64
updates: 30
warmup_updates: 5
save_every: 5
backup_every: 1000
webdataset_path: data.tar
shuffle_buffer: 8
validation_path: data.tar
validation_triples: 4
effnet_checkpoint_path: models/effnet_encoder.safetensors
previewer_checkpoint_path: models/previewer.safetensors
clip_text_model_name: models/clip-text
clip_image_model_name: null
wandb_project: cascade </script> adapt
wandb_entity: somebody
ema_start_iters: 3
ema_iters: 1
ema_beta: 0.9
"""

# What makes it a LoRA's.
LORA = """
generator_checkpoint_path: checkpoints/run/generator.safetensors
module_filters: ['.attn']
rank: 2
train_tokens: [['[thing]', '^number</w>']]
lora_lr: 2.0e-3
token_lr: 1.0e-4
"""


def prepare(command: str, folder: Path) -> Path:
    """Images, drawn encoders and a configuration."""
    import numpy
    from PIL import Image

    random = numpy.random.default_rng(1)
    (folder / "images").mkdir()
    for number in range(8):
        pixels = random.integers(0, 256, (4, 4, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(folder / f"images/{number}.png")
        (folder / f"images/{number}.txt").write_text(f"<b>number {number}</b>")
    tokenizer = Path(__file__).resolve().parents[3] / "models/clip-tokenizer"
    for words in (
        ["dataset", "pack", "images", "data.tar"],
        ["models", "draw", "tiny", "-o", "models", "--data", "data.tar", "--tokenizer", str(tokenizer)],
    ):
        subprocess.run([str(Path(command).resolve()), *words, "--quiet"], cwd=folder, check=True)
    configuration = folder / "run.yaml"
    configuration.write_text(CONFIGURATION)
    return configuration


def train(command: str, folder: Path) -> list[Path]:
    """A finetune of the tiny architecture from nothing, killed on its way and resumed, and a LoRA on it."""
    configuration = prepare(command, folder)
    start = [str(Path(command).resolve()), "finetune", configuration.name]
    run = folder / "output" / "run"
    first = subprocess.Popen(start, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    metrics = run / "metrics.jsonl"
    while first.poll() is None and (not metrics.exists() or metrics.read_text().count("\n") < 17):
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    at = metrics.read_text().count("\n")
    again = subprocess.run(start, cwd=folder, capture_output=True, text=True)
    check(again.returncode == 0 and "resumed at update" in again.stderr, again.stderr)
    check("wandb sync" in again.stderr, "the run's last words name no `wandb sync`")
    print(f"killed after {at} updates, then trained to the end")
    (folder / "lora.yaml").write_text(CONFIGURATION.replace("id: run", "id: lora").replace(": 30", ": 6") + LORA)
    done = subprocess.run([start[0], "lora", "lora.yaml"], cwd=folder, capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    wanted, _ = expected(folder / "output/lora")
    check({"lr", "lora_lr", "token_lr"} <= set(wanted), f"the LoRA's rates are not logged: {sorted(wanted)}")
    return [run, folder / "output/lora"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--run", type=Path, help="a run's output folder; without it one is trained")
    arguments = parser.parse_args()
    if arguments.run:
        look(arguments.run)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for run in train(arguments.command, Path(folder)):
                Server.requests.clear()
                look(run)
    if PROBLEMS:
        sys.exit(f"{len(PROBLEMS)} things are wrong")
    print("all as it should be")


if __name__ == "__main__":
    main()
