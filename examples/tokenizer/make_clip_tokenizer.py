"""Makes CLIP's vocab.json and merges.txt from the merges that open-clip-torch ships.

    python3 examples/tokenizer/make_clip_tokenizer.py open_clip_torch-3.3.0-py3-none-any.whl models/clip-tokenizer

The first argument is the wheel, or bpe_simple_vocab_16e6.txt.gz out of it. The vocabulary holds, in this order, the 256
bytes, the bytes that end a word, one token for each merge, and the two marks: 49,408 in all.
"""

import gzip
import json
import os
import pathlib
import sys
import zipfile

MEMBER = "open_clip/bpe_simple_vocab_16e6.txt.gz"
SIZE = 49408
END_OF_WORD = "</w>"
MARKS = ["<|startoftext|>", "<|endoftext|>"]


def byte_characters():
    """One visible character for each byte, the printable ones of Latin-1 first, as the merges are written with them."""
    printable = [b for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or 0xAE <= b <= 0xFF]
    others = sorted(set(range(256)) - set(printable))
    return [chr(b) for b in printable] + [chr(0x100 + i) for i in range(len(others))]


def read_lines(path):
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            packed = wheel.read(MEMBER)
    else:
        packed = path.read_bytes()
    return gzip.decompress(packed).decode("utf-8").split("\n")


def write(path, text):
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, folder = map(pathlib.Path, sys.argv[1:])
    characters = byte_characters()
    count = SIZE - 2 * len(characters) - len(MARKS)
    merges = read_lines(source)[1 : 1 + count]  # the first line names a version
    if len(merges) != count or any(len(merge.split()) != 2 for merge in merges):
        sys.exit(f"error: {source}: expected {count} merges of two parts")
    tokens = characters + [c + END_OF_WORD for c in characters] + ["".join(m.split()) for m in merges] + MARKS
    if len(set(tokens)) != SIZE:
        sys.exit(f"error: {source}: the merges do not make {SIZE} different tokens")
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    write(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")) + "\n")
    write(folder / "merges.txt", "#version: 0.2\n" + "\n".join(merges) + "\n")


if __name__ == "__main__":
    main()
