"""Writes the goldens of Tests/ShardsTests into Tests/Goldens/shards.

Peers: webdataset 1.0.2, whose own reading of each tar is the expected grouping; Python's tarfile and the zstd command
for the tars; xoshiro256** and splitmix64 written below from their definition.
"""
import base64
import bz2
import gzip
import io
import json
import lzma
import pathlib
import subprocess
import tarfile

import webdataset

here = pathlib.Path(__file__).parent / "shards"
here.mkdir(exist_ok=True)


def tar(members, form):
    """A tar of (name, content) pairs; content None makes a folder, a string a symbolic link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as out:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type = tarfile.SYMTYPE
                info.linkname = content
            else:
                info.size = len(content)
            out.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def grouped(path):
    """What webdataset reads: key and members of each sample, in order."""
    source = webdataset.tariterators.tarfile_samples([{"url": str(path)}], handler=webdataset.ignore_and_continue)
    return [
        {
            "key": sample["__key__"],
            "members": {
                name: base64.b64encode(data).decode()
                for name, data in sample.items()
                if not name.startswith("__")
            },
        }
        for sample in source
    ]


names = [
    ("0001.jpg", b"picture one"),
    ("0001.txt", b"caption one"),
    ("folder", None),
    ("folder/0002.seg.PNG", b"segments"),
    ("folder/0002.json", b"{}"),
    ("./0003.jpg", b"picture three"),
    ("README", b"no dot, no sample"),
    ("v1.2/0004.JPG", b"a dot in the folder"),
    ("v1.2/0004.txt", b""),
    ("__meta__/0005.txt", b"metadata"),
    ("__info__", b"metadata"),
    ("__half.txt", b"no metadata"),
    ("0006.txt", b"first of its name"),
    ("0006.txt", b"second of its name"),
    ("0006.jpg", b"beside two captions"),
    ("0007.jpg", "0001.jpg"),
    ("0001.cls", b"the key of the first sample again"),
    ("caf\u00e9.txt", b"composed"),
    ("cafe\u0301.txt", b"decomposed"),
    ("long/" + "n" * 120 + ".txt", b"a name over a hundred bytes"),
    ("0008.tar.gz", b"two dots"),
    ("0009.", b"an empty ending"),
]

files = {
    "gnu.tar": tar(names, tarfile.GNU_FORMAT),
    "pax.tar": tar(names, tarfile.PAX_FORMAT),
    "ustar.tar": tar([n for n in names if len(n[0]) < 100], tarfile.USTAR_FORMAT),
}
files["gnu.tar.gz"] = gzip.compress(files["gnu.tar"], mtime=0)
files["gnu.tar.bz2"] = bz2.compress(files["gnu.tar"])
files["gnu.tar.xz"] = lzma.compress(files["gnu.tar"])
expected = {}
for name, data in files.items():
    (here / name).write_bytes(data)
    expected[name] = grouped(here / name)
(here / "gnu.tar.zst").write_bytes(subprocess.run(["zstd", "-19", "-c"], input=files["gnu.tar"], stdout=-1).stdout)
expected["gnu.tar.zst"] = expected["gnu.tar"]

mask = (1 << 64) - 1


def splitmix64(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def xoshiro256(s):
    def rotl(x, k):
        return ((x << k) | (x >> (64 - k))) & mask

    s = list(s)
    while True:
        yield rotl(s[1] * 5 & mask, 7) * 9 & mask
        t = s[1] << 17 & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 45)


def first(generator, count):
    return [str(next(generator)) for _ in range(count)]


(here / "generators.json").write_text(
    json.dumps(
        {"splitmix64 of 1234567": first(splitmix64(1234567), 6), "xoshiro256 of 1 2 3 4": first(xoshiro256([1, 2, 3, 4]), 12)},
        indent=1,
    )
    + "\n"
)
(here / "groups.json").write_text(json.dumps(expected, indent=1) + "\n")
