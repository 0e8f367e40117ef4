#!/usr/bin/env python3
"""Man pages of a program and of each of its commands, out of what it says of itself.

    manual.py PROGRAM FOLDER    writes FOLDER/cascade-adapt.1, FOLDER/cascade-adapt-generate.1 and so on

PROGRAM is one made with Swift's ArgumentParser, whose `--experimental-dump-help` gives commands and arguments as JSON.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

ENVIRONMENT = [
    ("LIBTORCH", "The folder of the libtorch to compute with; without it the first that serves is taken of python3's "
     "torch and the private copies that cascade-adapt engine install makes. It must be of the minor version that the "
     "engine was built with."),
    ("CASCADE_ENGINE", "The engine library, in the place of the one that was installed."),
    ("HF_HOME, HF_HUB_CACHE", "Where the cache of the Hugging Face hub is, in which models are looked for."),
    ("HF_ENDPOINT, HF_TOKEN", "Another hub, and the token for gated models."),
    ("XDG_CACHE_HOME", "Where the caches of models and of libtorch are; ~/.cache without it."),
    ("CASCADE_ADAPT_KERNELS", "Which of the engine's kernels run: baseline, avx2, avx512, avx512_bf16 or amx; without it the "
     "fastest that the processor has."),
    ("OMP_NUM_THREADS", "Threads for one operator, where --threads does not say."),
]
FILES = [
    ("share/cascade-adapt/configs", "The shipped configurations, under the installation's prefix. Commands know them by "
     "name: cascade-adapt configs lists them."),
    ("share/cascade-adapt/examples/miniature", "A small Stable Cascade that draws, for trying things out."),
    ("lib/cascade-adapt/torch", "The private copy of libtorch, where there is one; a user's own lies in "
     "~/.cache/cascade-adapt/torch."),
    ("models/", "In the working folder: where models get puts models, and where they are looked for first."),
]
STATUS = [
    ("0", "Done."), ("1", "The run failed."),
    ("2", "The input is at fault: arguments, a configuration, data, a file's content."),
    ("130", "Interrupted, after saving what is to be saved."),
]


def text(words):
    """Words as troff takes them: dashes as they are typed, no line that begins with a request."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in escaped.split("\n"))


def spelled(name):
    return ("--" if name["kind"] == "long" else "-") + name["name"]


def value(argument):
    return f"<{argument.get('valueName', 'value')}>"


def synopsis(argument):
    if argument["kind"] == "positional":
        words = value(argument)
    else:
        words = spelled(argument.get("preferredName") or argument["names"][0])
        if argument["kind"] == "option":
            words += " " + value(argument)
    if argument.get("isRepeating"):
        words += " ..."
    return f"[{words}]" if argument.get("isOptional") else words


def definition(argument):
    if argument["kind"] == "positional":
        names = [value(argument)]
    else:
        names = [spelled(name) for name in argument["names"]]
    head = ", ".join(names)
    if argument["kind"] == "option":
        head += " " + value(argument)
    body = argument.get("abstract", "")
    if argument.get("discussion"):
        body += "\n" + argument["discussion"]
    if argument.get("defaultValue"):
        body += f" (default: {argument['defaultValue']})"
    return f".TP\n.B {text(head)}\n{text(body.strip()) or 'Not described.'}"


def pairs(title, entries):
    return [f".SH {title}"] + [f".TP\n.B {text(name)}\n{text(words)}" for name, words in entries]


def commands(command):
    """Those below one, but for `help`, which says what these pages say."""
    return [each for each in command.get("subcommands", [])
            if each["commandName"] != "help" and each.get("shouldDisplay", True)]


def page(command, path, version, date):
    name = "-".join(path)
    arguments = [each for each in command.get("arguments", []) if each.get("shouldDisplay", True)]
    lines = [f'.TH "{text(name).upper()}" 1 "{date}" "{path[0]} {version}" "User commands"']
    abstract = command.get("abstract", "")
    lines += [".SH NAME", f"{text(name)} \\- {text(abstract.rstrip('.'))}"]
    lines += [".SH SYNOPSIS", f".B {text(' '.join(path))}"]
    if commands(command):
        lines.append("<command>")
    lines += [text(synopsis(each)) for each in arguments]
    lines += [".SH DESCRIPTION", text(abstract)]
    for paragraph in command.get("discussion", "").split("\n\n"):
        if paragraph:
            lines += [".PP", text(paragraph)]
    if commands(command):
        lines += pairs("COMMANDS", [(each["commandName"], each.get("abstract", "")) for each in commands(command)])
    positional = [each for each in arguments if each["kind"] == "positional"]
    named = [each for each in arguments if each["kind"] != "positional"]
    for title, those in (("ARGUMENTS", positional), ("OPTIONS", named)):
        if those:
            lines += [f".SH {title}"] + [definition(each) for each in those]
    if len(path) == 1:
        lines += pairs("EXIT STATUS", STATUS) + pairs("ENVIRONMENT", ENVIRONMENT) + pairs("FILES", FILES)
    others = [path + [each["commandName"]] for each in commands(command)] or [path[:-1]]
    others = [each for each in others if each]
    if others:
        names = [f".BR {text('-'.join(each))} (1)" for each in others]
        lines += [".SH SEE ALSO"] + [name + "," for name in names[:-1]] + names[-1:]
    return name, "\n".join(lines) + "\n"


def write(command, path, version, date, folder):
    name, content = page(command, path, version, date)
    (folder / f"{name}.1").write_text(content, encoding="utf-8")
    for each in commands(command):
        write(each, path + [each["commandName"]], version, date, folder)


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    said = subprocess.run([program, "--experimental-dump-help"], check=True, capture_output=True, text=True).stdout
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    command = json.loads(said)["command"]
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    folder.mkdir(parents=True, exist_ok=True)
    write(command, [command["commandName"]], version, date, folder)


main()
