"""Runs the commands that the pages in docs show.

    python Tests/Peers/checks/pages.py [--command .build/release/cascade-adapt] [PAGE…]

Blocks marked `sh` are run as they are printed, in the order of the page, in a shell of the repository's root with the program on
the path; they need nothing but the miniature and write below .demo. Of blocks marked `console`, which want official weights, a
network or a GPU, the lines that call cascade-adapt are compared with the program's own list of commands and options. Exits 1
where a command fails, or an option is not there."""

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Pages that others build on come first.
FIRST = ["first-lora.md", "first-controlnet.md", "learn-a-token.md", "generate.md"]


def blocks(page: pathlib.Path) -> list[tuple[str, str]]:
    """Kind and text of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The words of each command line, comments left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def options_of(program: str) -> dict[tuple[str, ...], set[str]]:
    """The options of each command, by its path."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: dict, path: tuple[str, ...]) -> None:
        names = set()
        for argument in command.get("arguments", []):
            for name in argument.get("names", []):
                names.add({"long": "--", "short": "-", "longWithSingleDash": "-"}[name["kind"]] + name["name"])
        found[path] = names
        for sub in command.get("subcommands", []):
            walk(sub, (*path, sub["commandName"]))

    dump = subprocess.run([program, "--experimental-dump-help"], capture_output=True, check=True, text=True).stdout
    walk(json.loads(dump)["command"], ())
    return found


def unknown(words: list[str], options: dict[tuple[str, ...], set[str]]) -> str | None:
    """What of a call of the program is not there."""
    path: tuple[str, ...] = ()
    while words and (*path, words[0]) in options:
        path, words = (*path, words[0]), words[1:]
    if not path:
        return f"no command {words[0] if words else ''}"
    for word in words:
        name = word.split("=")[0]
        if re.fullmatch(r"--?[a-z][a-z-]*", name) and name not in options[path]:
            return f"{' '.join(path)} has no option {name}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(ROOT / ".build/release/cascade-adapt"))
    parser.add_argument("pages", nargs="*", help="names in docs; left out, all")
    asked = parser.parse_args()
    program = pathlib.Path(asked.command).resolve()
    options = options_of(str(program))
    names = sorted(page.name for page in (ROOT / "docs").glob("*.md"))
    names = asked.pages or [*FIRST, *(name for name in names if name not in FIRST)]
    (ROOT / ".demo/docs").mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    failed = False
    for name in [*names, *(["../README.md"] if not asked.pages else [])]:
        for kind, text in blocks(ROOT / "docs" / name):
            if kind == "sh":
                began = time.monotonic()
                run = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True
                )
                first = text.strip().splitlines()[0]
                if run.returncode:
                    failed = True
                    print(f"{name}: FAILED with status {run.returncode}\n{text}{run.stderr[-800:]}")
                else:
                    print(f"{name}: {time.monotonic() - began:4.0f} s  {first}", flush=True)
            elif kind in ("console", ""):
                for words in commands(text) if kind == "console" or "cascade-adapt" in text or "$P " in text else []:
                    if words[0].rsplit("/", 1)[-1] in ("cascade-adapt", "$P") and (said := unknown(words[1:], options)):
                        failed = True
                        print(f"{name}: {said}: {' '.join(words)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
