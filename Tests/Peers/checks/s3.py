"""Reads shards from a real S3 server over loopback with the command, and looks at every sample and every refusal.

    python Tests/Peers/checks/s3.py --command .build/release/cascade-adapt [--cuts 20]

The server is moto with authentication on: each signature is computed anew by botocore and compared. `plan` reads all
shards of a configuration; each sample's JSON has its number, so that a filter tells which of them came."""

import argparse
import io
import json
import logging
import os
import random
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

# Read as moto is imported: so many calls go unchecked, in which a user with rights is made.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"
import boto3  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

logging.getLogger("werkzeug").setLevel(logging.ERROR)

RIGHTS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
CONFIGURATION = """
experiment_id: s3
checkpoint_path: checkpoints
output_path: output
model_version: tiny
lr: 1.0e-4
batch_size: 4
image_size: 64
updates: 1
save_every: 1
backup_every: 1
module_filters: [.attn]
rank: 4
effnet_checkpoint_path: effnet.safetensors
previewer_checkpoint_path: previewer.safetensors
generator_checkpoint_path: stage_c.safetensors
"""
# The smallest image there is: 1 x 1, grey.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63680000008200817"
    "7cd72b60000000049454e44ae426082"
)


def shard(numbers: range, ballast: int = 0) -> bytes:
    """A tar of samples with an image, a caption, their number and bytes that nothing compresses."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in numbers:
            noise = random.Random(number).randbytes(ballast)
            members = {"png": PNG, "txt": b"a dog", "json": json.dumps({"number": number}).encode(), "bin": noise}
            for ending, content in members.items():
                info = tarfile.TarInfo(f"{number:06d}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Cutter:
    """Hands connections through to a server, and cuts each of the first few after so many bytes of the answer."""

    def __init__(self, target: tuple[str, int], cuts: int, after: int):
        self.target, self.left, self.after, self.made = target, cuts, after, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, near: socket.socket) -> None:
        far = socket.create_connection(self.target)
        threading.Thread(target=self.forward, args=(near, far), daemon=True).start()
        passed = 0
        while piece := far.recv(1 << 14):
            passed += len(piece)
            if passed > self.after and self.left > 0:
                self.left, self.made = self.left - 1, self.made + 1
                break
            try:
                near.sendall(piece)
            except OSError:
                break
        for end in (near, far):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    @staticmethod
    def forward(near: socket.socket, far: socket.socket) -> None:
        try:
            while piece := near.recv(1 << 14):
                far.sendall(piece)
        except OSError:
            pass


class Checks:
    def __init__(self, command: list[str], folder: Path):
        self.command, self.folder, self.failed = command, folder, 0
        (folder / "s3.yaml").write_text(CONFIGURATION)

    def plan(self, path: str, environment: dict[str, str], *more: str) -> tuple[int, dict, str, float]:
        """Exit status, what the plan says of the data, standard error, seconds."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        began = time.monotonic()
        done = subprocess.run(
            [*self.command, "plan", "s3.yaml", "--json", "--all-data", "--set", f"webdataset_path={path}", *more],
            cwd=self.folder, env={**clean, "HOME": str(self.folder), **environment}, capture_output=True, text=True,
        )  # fmt: skip
        data = json.loads(done.stdout)["data"] if done.returncode == 0 else {}
        return done.returncode, data, done.stderr, time.monotonic() - began

    def tell(self, what: str, holds: bool, figures: str) -> None:
        self.failed += not holds
        print(f"{what}: {figures}{'' if holds else '  WRONG'}", flush=True)

    def reads(self, what: str, path: str, environment: dict[str, str], samples: int, shards: int) -> None:
        status, data, error, seconds = self.plan(path, environment)
        holds = status == 0 and (data["samples"], data["kept"], data["shards"]) == (samples, samples, shards)
        holds = holds and not data["broken"]
        said = f"{data.get('samples')} samples in {data.get('shards')} shards, {seconds:.1f} s"
        self.tell(what, holds, said if status == 0 else f"status {status}: {error}")

    def refuses(self, what: str, path: str, environment: dict[str, str], *words: str) -> None:
        status, _, error, _ = self.plan(path, environment)
        first = next((line for line in error.splitlines() if line.startswith("error:")), error.strip())
        hidden = all(secret not in error for secret in (environment.get("AWS_SECRET_ACCESS_KEY") or "-" * 40,))
        self.tell(what, status == 2 and hidden and all(word in error for word in words), f"status {status}, {first}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True, nargs="+", help="the cascade-adapt to ask")
    parser.add_argument("--cuts", type=int, default=20)
    options = parser.parse_args()
    command = [str(Path(options.command[0]).resolve()), *options.command[1:]]

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    target = server.get_host_and_port()
    url = "http://%s:%d" % target

    def client(service: str, key: str, secret: str):
        return boto3.client(
            service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
        )

    iam = client("iam", "any", "any")
    iam.create_user(UserName="reader")
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(RIGHTS))
    key, secret = made["AccessKeyId"], made["SecretAccessKey"]
    iam_now, s3 = client("iam", key, secret), client("s3", key, secret)
    s3.create_bucket(Bucket="data")

    many = 2300
    for number in range(many):
        s3.put_object(Bucket="data", Key=f"many/x-{number:04d}.tar", Body=shard(range(number, number + 1)))
    odd = ["odd/with space.tar", "odd/plus+.tar", "odd/ü/漢字 é.tar", "odd/a&b=c?d#e.tar", "odd/(x)'!*,;:@$~.tar"]
    for number, name in enumerate(odd):
        s3.put_object(Bucket="data", Key=name, Body=shard(range(number, number + 1)))
    s3.put_object(Bucket="data", Key="odd/readme.txt", Body=b"no tar")
    big, samples = shard(range(400), ballast=8000), 400
    s3.put_object(Bucket="data", Key="big.tar", Body=big)

    with tempfile.TemporaryDirectory() as folder:
        checks = Checks(command, Path(folder))
        keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_ENDPOINT_URL": url}
        checks.reads("a prefix of more than two pages", "s3://data/many/", keys, many, many)
        checks.reads("a brace range", "s3://data/many/x-{0000..0099}.tar", keys, 100, 100)
        checks.reads("odd keys below a prefix", "s3://data/odd/", keys, len(odd), len(odd))
        for name in odd:
            checks.reads(f"the key {name}", f'"s3://data/{name}"', keys, 1, 1)
        checks.reads("the whole bucket", "s3://data", keys, many + len(odd) + samples, many + len(odd) + 1)

        home = Path(folder) / ".aws"
        home.mkdir()
        (home / "credentials").write_text(f"[work]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        (home / "config").write_text(f"[profile work]\nendpoint_url = {url}\nregion = us-east-1\n")
        checks.reads("a profile in ~/.aws", "s3://data/odd/", {"AWS_PROFILE": "work"}, len(odd), len(odd))

        role = iam_now.create_role(RoleName="guest", AssumeRolePolicyDocument=json.dumps(RIGHTS))["Role"]["Arn"]
        iam_now.put_role_policy(RoleName="guest", PolicyName="all", PolicyDocument=json.dumps(RIGHTS))
        lent = client("sts", key, secret).assume_role(RoleArn=role, RoleSessionName="some")["Credentials"]
        token = {
            "AWS_ACCESS_KEY_ID": lent["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": lent["SecretAccessKey"],
            "AWS_SESSION_TOKEN": lent["SessionToken"], "AWS_ENDPOINT_URL": url,
        }  # fmt: skip
        checks.reads("a session token", "s3://data/odd/", token, len(odd), len(odd))
        checks.refuses("a session without its token", "s3://data/odd/", {**token, "AWS_SESSION_TOKEN": ""}, "S3")

        checks.refuses("a wrong secret", "s3://data/odd/", {**keys, "AWS_SECRET_ACCESS_KEY": "w" * 40}, "Signature")
        checks.refuses("an unknown key id", "s3://data/odd/", {**keys, "AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "KeyId")
        checks.refuses("a token nobody gave", "s3://data/big.tar", {**keys, "AWS_SESSION_TOKEN": "t"}, "Token")
        checks.refuses("no credentials", "s3://data/odd/", {"AWS_ENDPOINT_URL": url}, "AWS_SECRET_ACCESS_KEY")
        checks.refuses("a missing bucket", "s3://nobody/odd/", keys, "NoSuchBucket", "s3://nobody/odd/")
        checks.refuses("a missing bucket, by key", "s3://nobody/x.tar", keys, "NoSuchBucket")
        checks.refuses("a missing key", "s3://data/none.tar", keys, "NoSuchKey", "s3://data/none.tar")
        checks.refuses("a prefix of nothing", "s3://data/empty/", keys, "no tar", "s3://data/empty/")

        cutter = Cutter(target, options.cuts, len(big) // (options.cuts + 2))
        through = {**keys, "AWS_ENDPOINT_URL": cutter.address}
        status, data, error, seconds = checks.plan("s3://data/big.tar", through)
        holds = status == 0 and data["samples"] == data["kept"] == samples and not data["broken"]
        checks.tell(
            f"cut {cutter.made} times within {len(big) / 1e6:.1f} MB", holds and cutter.made == options.cuts,
            f"{data.get('samples')} samples, broken {data.get('broken')}, {seconds:.1f} s {error if status else ''}",
        )  # fmt: skip
        # Of each half of the numbers there must be half: a sample lost here and one given twice there would show.
        for condition in ("n % 2 == 0", "n < 200"):
            cutter = Cutter(target, options.cuts, len(big) // (options.cuts + 2))
            filters = f"dataset_filters=[[number, 'lambda n: {condition}']]"
            through["AWS_ENDPOINT_URL"] = cutter.address
            _, data, error, _ = checks.plan("s3://data/big.tar", through, "--set", filters)
            expected = sum(eval(condition, {"n": n}) for n in range(samples))
            checks.tell(
                f"of them with {condition}", data.get("kept") == expected and cutter.made == options.cuts,
                f"{data.get('kept')} of {expected}, cut {cutter.made} times {error if not data else ''}",
            )  # fmt: skip
    server.stop()
    print(f"{checks.failed} checks failed" if checks.failed else "all as it should be")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
