"""Writes json_documents.json: values as Python's json module (CPython 3.11) reads and writes them.

    python3 Tests/Goldens/write_json_documents.py

Each case holds a text with every character outside ASCII escaped, the same document in compact UTF-8 with sorted keys,
and, for a number, the bits of the double.
"""

import json
import pathlib
import random
import struct

rng = random.Random(20240807)
ALPHABETS = ["abc \"\\/\b\f\n\r\t\x00\x1f\x7f", "éßþÿ", "日本語한글", "😀🧑‍🚀\U0010ffff", "e\u0301é\u2028\u2029\ufeff"]


def text():
    return "".join(rng.choice(rng.choice(ALPHABETS)) for _ in range(rng.randrange(12)))


def value(depth):
    kind = rng.randrange(7 if depth else 5)
    if kind == 5:
        return [value(depth - 1) for _ in range(rng.randrange(5))]
    if kind == 6:
        return {text(): value(depth - 1) for _ in range(rng.randrange(14))}
    return [None, rng.random() < 0.5, rng.randrange(-(2**63), 2**63), text(), rng.randrange(100)][kind]


cases = []
for _ in range(40):
    document = value(4)
    cases.append(
        {
            "escaped": json.dumps(document, indent=rng.choice([None, 2])),
            "sorted": json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        }
    )
numbers = ["0.1", "1e-05", "-0.0", "5e-324", "1.7976931348623157e308", "123456789012345678901234567890"]
numbers += ["9007199254740993.0", "2.2250738585072011e-308", "0.3e+1", "1e-400", "1e16", "6.02214076e23"]
numbers += [repr(struct.unpack("<d", rng.randbytes(8))[0]) for _ in range(60)]
for number in numbers:
    double = float(json.loads(number))
    if double == double and abs(double) != float("inf"):
        cases.append({"number": number, "bits": struct.pack(">d", double).hex()})
path = pathlib.Path(__file__).with_name("json_documents.json")
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
