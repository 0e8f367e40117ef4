"""Writes s3_signatures.json: GET requests of S3 as botocore 1.44.5 signs them.

    python Tests/Goldens/write_s3_signatures.py

Each case is an object of the bucket `bucket`, or a page of a listing where it has `page`: its address, the headers of
the signature, and what it was made of. Keys hold blanks, plus signs, marks and letters beyond ASCII; half of the cases
have a session token."""

import datetime
import json
import random
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

LETTERS = "abcXYZ019 -_.~+&=@:,;!$'()*[]{}%#?\"<>^`|éü漢字🐕"


def word(draw: random.Random, longest: int) -> str:
    return "".join(draw.choice(LETTERS) for _ in range(draw.randint(1, longest)))


def case(draw: random.Random) -> dict:
    key = "/".join(word(draw, 12) for _ in range(draw.randint(1, 4)))
    endpoint = draw.choice(["https://s3.eu-west-1.amazonaws.com", "http://127.0.0.1:9000", "https://host:8443/store"])
    page = word(draw, 30) + "==" if draw.random() < 0.5 else None
    if page:
        query = {"list-type": "2", "prefix": key, "continuation-token": page}
        address = f"{endpoint}/bucket?" + "&".join(f"{k}={quote(v, safe='-_.~')}" for k, v in sorted(query.items()))
    else:
        address = f"{endpoint}/bucket/" + quote(key, safe="/-_.~")
    secret = "".join(draw.choice("abcdefXYZ0123/+") for _ in range(40))
    token = "".join(draw.choice("abcXYZ012/+=") for _ in range(60)) if draw.random() < 0.5 else None
    region = draw.choice(["us-east-1", "eu-west-1", "auto"])
    time = draw.randint(0, 4_000_000_000)
    moment = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).replace(tzinfo=None)
    request = AWSRequest("GET", address)
    with mock.patch("botocore.auth.get_current_datetime", lambda: moment):
        botocore.auth.S3SigV4Auth(Credentials("AKIDEXAMPLE", secret, token), "s3", region).add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return {
        "endpoint": endpoint, "key": key, "page": page, "secret": secret, "token": token, "region": region,
        "time": time, "address": address, "headers": headers,
    }  # fmt: skip


def main() -> None:
    draw = random.Random(4)
    cases = [case(draw) for _ in range(40)]
    path = Path(__file__).with_name("s3_signatures.json")
    path.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
