"""Writes tokenizer.json: 1,000 strings with their ids by transformers 5.23.0 (tokenizers 0.23.3), and the effect of the
files that may lie beside a vocabulary.

    python3 Tests/Goldens/write_tokenizer.py [models/clip-tokenizer]

The folder is what examples/tokenizer/make_clip_tokenizer.py makes.
"""

import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import CLIPTokenizer

rng = random.Random(49408)
ADDED = ["[fernando]", "<cat-toy>", "[Ünï corn]", "[fernando]s", "#tag"]
WORDS = """a the photo of painting dog cat woman man in park with red blue hat running on beach sunset city street night
old wooden table bowl fruit mountains reflected lake 4k highly detailed trending oil canvas don't it's we're I've I'm
they'll he'd O'Neil rock'n'roll co-operate state-of-the-art e.g. i.e. U.S.A. naïve café résumé Zürich Ångström İstanbul
STRASSE straße ΟΔΟΣ Σίσυφος ﬁne ǅungla 3.14 1,000,000 2024-01-31 10:45pm 50% $9.99 №5 Ⅷ ½ ² ① photo,of dog.cat <b>bold</b>
&amp; &lt; https://example.com/a?b=c&d=e#f user@example.com C:\\temp\\x.png ... … — – “quoted” ‘single’ «guillemets» :) :-( <3
#hash ##double @someone ~tilde_under __init__ $$$ !!! ?! 'tis ''s 's 'S 'LL `code` (paren) [brackets] {braces} a/b a|b <|x|>
antidisestablishmentarianism supercalifragilisticexpialidocious zzzzzz xqzjk""".split()
EXOTIC = """日本語の文章 写真 犬と猫 東京タワー 中文字幕 한국어 서울 각 ᄒᆞᆫ글 привет мир фотография собаки Ёлка العربية مرحبا بالعالم
سَلَام שלום עִבְרִית हिन्दी नमस्ते ไทย สวัสดี বাংলা தமிழ் ქართული ελληνικά Հայերեն አማርኛ ᏣᎳᎩ 😀 👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ ☃ ✓ → ∑ ∞ ≠ √2 x² H₂O €5 £3
ééé é́ ạ̈ q̣̇ Å Å ﬀ ﷺ Ω µ ſ İ ı Ǆ ᾳ ΐ ŉ 𝔘𝔫𝔦 𝟙𝟚 𐐀𐐨 ꙮ ⅷ ٣٤ ୧୨ 〇 ㊙ ㍿ ½⅓""".split()
SPACES = [" ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\x0b", "\x85", ""]
CONTROL = ["\x00", "\x01", "\x1b[31m", "\x7f", "\u0085", "\u200d", "\u200f", "\ufeff", "\u00ad", "\ufffd", "\ue000", "\U0010ffff"]
MARKS = ["<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|StartOfText|>", "<|endoftext|", "!<|EndOfText|>!!"]
BLOCKS = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xE00), (0x1100, 0x1200)]
BLOCKS += [(0x1E00, 0x2100), (0x2100, 0x2C00), (0x3000, 0x3400), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xF900, 0xFFFE)]
BLOCKS += [(0x10000, 0x10400), (0x1D100, 0x1D800), (0x1F300, 0x1FAFF), (0x2F800, 0x2FA1E), (0, 0xD800), (0xE000, 0x110000)]


def sentence(words, count):
    return "".join(rng.choice(words) + rng.choice(SPACES) for _ in range(count))


def scatter(block, count):
    return "".join(chr(rng.randrange(*block)) for _ in range(count))


def case(text):
    return rng.choice([str, str, str.upper, str.title, str.swapcase])(text)


def token():
    return case(rng.choice(ADDED)) if rng.random() < 0.3 else rng.choice(ADDED)


texts = ["", " ", "\n", "a", "A photo of a dog.", "a " * 100, "x" * 500, "a\u0345\u0d3c\u0301", "\u2202\u0313\U00011070", "ab" * 300, "!" * 300, "😀" * 90, "1234567890" * 9]
texts += ["e\u0301" * 60, "\u0301" * 40, "[fernando]" * 80, " [fernando] ", "[fernando", "fernando]", "[ fernando ]"]
texts += ["[[fernando]]", "[fernando]'s", "[fernando]s dog", "x[fernando]y", "[ÜNÏ   CORN]", "[U\u0308ni\u0308\tcorn]", "[uni corn]"]
texts += MARKS + WORDS + EXOTIC + CONTROL
while len(texts) < 1000:
    kind = len(texts) % 8
    if kind < 3:
        text = case(sentence(WORDS, rng.randrange(1, 16)))
    elif kind == 3:
        text = sentence(WORDS + EXOTIC, rng.randrange(1, 10))
    elif kind == 4:
        text = rng.choice(["", " ", "a photo of "]) + rng.choice(SPACES).join(
            rng.choice([token(), rng.choice(WORDS)]) for _ in range(rng.randrange(1, 6))
        )
    elif kind == 5:
        text = scatter(rng.choice(BLOCKS), rng.randrange(1, 14))
    elif kind == 6:
        text = "".join(scatter(rng.choice(BLOCKS), rng.randrange(1, 4)) + rng.choice(SPACES) for _ in range(6))
    else:
        parts = WORDS + EXOTIC + CONTROL + MARKS + ADDED
        text = "".join(rng.choice(parts) + rng.choice(["", "", " "]) for _ in range(rng.randrange(2, 8)))
    text = "".join(c for c in text if not 0xD800 <= ord(c) < 0xE000)
    if text not in texts:
        texts.append(text)

folder = pathlib.Path(sys.argv[1] if sys.argv[1:] else "models/clip-tokenizer")
tokenizer = CLIPTokenizer.from_pretrained(folder)
tokenizer.add_tokens(ADDED)
cases = [[text, tokenizer(text, truncation=True, max_length=77).input_ids] for text in texts]
ids = {text: tokenizer.convert_tokens_to_ids(text) for text in ADDED}

# The files beside a vocabulary: each variant is read by transformers, asked, and given one token more.
mark = {"lstrip": False, "rstrip": False, "single_word": False}
roles = [("bos_token", "<|startoftext|>"), ("eos_token", "<|endoftext|>")]
marked = {key: dict(mark, content=text, normalized=True) for key, text in roles}
variants = [
    {},
    {"special_tokens_map.json": {"pad_token": "!"}},
    {"special_tokens_map.json": dict(marked, pad_token="<|endoftext|>", unk_token="<|endoftext|>")},
    {"special_tokens_map.json": dict(marked, pad_token="!", unk_token=marked["eos_token"])},
    {"tokenizer_config.json": {"pad_token": "[PAD]"}},
    {"tokenizer_config.json": {"pad_token": "!"}, "special_tokens_map.json": {"pad_token": "<|endoftext|>"}},
    {"added_tokens.json": {"<|startoftext|>": 49406, "<|endoftext|>": 49407, "[one]": 49408, "[Two]": 49409}},
    {
        "tokenizer_config.json": {
            "pad_token": "!",
            "added_tokens_decoder": {
                "0": dict(mark, content="!", normalized=False, special=True),
                "49406": dict(mark, content="<|startoftext|>", normalized=True, special=True),
                "49407": dict(mark, content="<|endoftext|>", normalized=True, special=True),
                "49408": dict(mark, content="[one]", normalized=True, special=False),
            },
        },
        "special_tokens_map.json": {"pad_token": "<|endoftext|>"},
    },
    {"tokenizer_config.json": {"extra_special_tokens": ["[one]"], "mask_token": "[MASK]"}},
]
QUESTIONS = ["hello! wow!!", "[one] [ONE] [two][TWO] [new]", "[mask] [MASK] [pad] [PAD]", "<|ENDOFTEXT|>, <|endoftext|>."]
answers = []
for files in variants:
    with tempfile.TemporaryDirectory() as name:
        for part in ["vocab.json", "merges.txt"]:
            shutil.copy(folder / part, name)
        for file, content in files.items():
            pathlib.Path(name, file).write_text(json.dumps(content))
        variant = CLIPTokenizer.from_pretrained(name)
        variant.add_tokens(["[new]"])
        answer = {"files": files, "new": variant.convert_tokens_to_ids("[new]")}
        answer["padded"] = [
            variant(q, truncation=True, max_length=77, padding="max_length")["input_ids"] for q in QUESTIONS
        ]
        answers.append(answer)

# Searched as Python's re searches: anywhere in a token.
PATTERNS = ["^dog</w>", r"^<\|", "^(?:hot)?dogs?</w>$", r"^\d{2,}</w>$", "photo(graph)+", "[^!-~/]{6}", r"\bcat\b", "(?i)^TEDDY"]
PATTERNS += ["^.</w>$", "a{2", "^$", "(?P<twice>...)(?P=twice)", "^(cat|dog|fox)(?!s)</w>"]
vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
patterns = {p: sorted(i for token, i in vocabulary.items() if re.search(p, token)) for p in PATTERNS}

result = {"patterns": patterns, "added": ids, "cases": cases, "questions": QUESTIONS, "variants": answers}
path = pathlib.Path(__file__).with_name("tokenizer.json")
path.write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
