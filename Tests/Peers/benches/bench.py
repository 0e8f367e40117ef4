"""Prints one table of what training and generation cost beside Python: `make bench`.

    python Tests/Peers/benches/bench.py [--build .build/release] [--pairs 5] [--threads 2] [--only lora ...] [--large]
        [--write docs/benchmarks.md]

A row is ours and the peer's in alternated pairs of processes with the same number of threads; its figures are medians. Memory is the
peak of RssAnon + RssShmem. Before the pairs the peer makes an update in each dtype that the row leaves open, then one with
torch.compile in the faster of them, and takes part in the fastest of these. The last column is the share of libtorch's rate of bfloat16
products at these shapes, measured before, that a LoRA update reaches: 4 operations for each parameter and token, and
attention. `--kernels avx2` times an older processor on this one: both sides then keep to its instructions, in our kernels and in
those of oneDNN, ATen and MKL. `--write` puts the rows into the page, into the section of this processor."""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROWS = {
    "lora": "LoRA, bfloat16", "lora-checkpointing": "LoRA, bfloat16, checkpointing", "lora-float32": "LoRA, float32",
    "controlnet": "ControlNet, bfloat16", "stage-c": "all of Stage C, computed in bfloat16",
    "stage-b": "all of Stage B, computed in bfloat16", "generate": "an image of 512 x 512 pixels, bfloat16",
}  # fmt: skip
# What makes libtorch keep to the instructions of our kernels: variables of oneDNN, ATen and MKL.
LOWERED = {
    "avx2": ("AVX2", "avx2", "AVX2"), "avx512": ("AVX512_CORE", "avx512", "AVX512"),
    "avx512_bf16": ("AVX512_CORE_BF16", "avx512", "AVX512_E3"),
}  # fmt: skip
# torch.compile of a whole network takes minutes; a peer that has not made its updates by then goes without.
PATIENCE = 1200


def watched(command: list, patience: float | None = None) -> tuple[dict | None, float, int] | None:
    """What a program says on its last line where that is JSON, its seconds, and its peak of RssAnon + RssShmem in bytes; nothing
    of one that lasts longer than the patience."""
    began = time.monotonic()
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            try:
                lines = pathlib.Path(f"/proc/{run.pid}/status").read_text().splitlines()
            except OSError:
                return
            parts = [line.split()[1] for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
            peak = max(peak, sum(map(int, parts)) * 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        said, complaint = run.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        run.kill()
        run.communicate()
        return None
    finally:
        seconds = time.monotonic() - began
        done.set()
        watcher.join()
    if run.returncode != 0:
        sys.exit(f"{command[0]} ended with {run.returncode}: {complaint[-800:]}")
    last = said.splitlines()[-1] if said.strip() else ""
    return (json.loads(last) if last.startswith("{") else None), seconds, peak


def once(command: list) -> tuple[float, int]:
    """Seconds and bytes; a program that measures by itself is believed."""
    said, seconds, peak = watched(command)
    return (said["seconds"], said["peak_bytes"]) if said else (seconds, peak)


def product_rate(options) -> float:
    command = [options.build / "cascade-bench", "products", "--threads", options.threads]
    return watched(command)[0]["operations_per_second"]


def update_operations() -> float:
    """Of a LoRA update at 94 M parameters: batch 4 of 24 x 24 latents, 24 blocks of attention to 661 tokens, forward and back."""
    tokens, keys, width, blocks = 4 * 24 * 24, 24 * 24 + 77 + 8, 512, 24
    return 4 * 93.4e6 * tokens + 3.5 * 4 * tokens * keys * width * blocks


def fastest(command: list, dtypes: list[str], compiles: bool) -> list[str]:
    """The dtype whose updates are the shortest, then with torch.compile where that makes them shorter."""
    seconds = {}

    def shortest(choices: list[list[str]]) -> list[str]:
        for choice in choices:
            answer = watched([*command, *choice, "--updates", 1], PATIENCE)
            seconds[" ".join(choice)] = answer[0]["seconds"] if answer else float("inf")
        return min(seconds, key=seconds.get).split()

    choice = shortest([["--dtype", dtype] for dtype in dtypes])
    if compiles:
        choice = shortest([[*choice, "--compile"]])
    print(f"    the peer's seconds by setting: {seconds}", file=sys.stderr, flush=True)
    return choice


def update_commands(options, row: str) -> tuple[list, list, str]:
    what = "lora" if row.startswith("lora") else row
    common = [what, "--threads", options.threads]
    if row == "lora-checkpointing":
        common.append("--checkpointing")
    if options.large and row != "stage-b":
        common.append("--large")
    dtypes = ["float32"] if row == "lora-float32" else ["bfloat16", "float32"]
    theirs = [sys.executable, HERE / "bench_update.py", *common]
    choice = fastest(theirs, dtypes, options.compile)
    ours = [options.build / "cascade-bench", *common, "--updates", options.updates]
    if row == "lora-float32":
        ours += ["--dtype", "float32"]
    peer = "diffusers + peft" if what == "lora" else "diffusers"
    name = f"{peer}, {choice[1]}{', compiled' if '--compile' in choice else ''}"
    return ours, [*theirs, *choice, "--updates", options.updates], name


def generate_commands(options, folder: str) -> tuple[list, list, str]:
    command = options.build / "cascade-adapt"
    own = [sys.executable, HERE / "bench_generate.py", "--command", command, "--tokenizer", options.tokenizer]
    watched([*own, "--draw", folder])
    size = ["--size", "512", "--threads", options.threads]
    theirs = [*own, "--theirs", folder, *size, "--output", f"{folder}/theirs.png"]
    seconds = {dtype: once([*theirs, "--dtype", dtype])[0] for dtype in ("bfloat16", "float32")}
    print(f"    the peer's seconds by setting: {seconds}", file=sys.stderr, flush=True)
    dtype = min(seconds, key=seconds.get)
    ours = [
        command, "generate", "--prompt", "a dog", "--models", folder, *size, "--dtype", "bfloat16", "--quiet", "-o",
        f"{folder}/ours.png",
    ]  # fmt: skip
    return ours, [*theirs, "--dtype", dtype], f"diffusers, {dtype}"


def line(options, row: str, folder: str, rate: float) -> str:
    ours, theirs, peer = generate_commands(options, folder) if row == "generate" else update_commands(options, row)
    pairs = [(once(ours), once(theirs)) for _ in range(options.pairs)]
    print(f"    pairs: {[(round(a[0], 3), round(b[0], 3)) for a, b in pairs]}", file=sys.stderr, flush=True)
    seconds, other = (statistics.median(pair[who][0] for pair in pairs) for who in (0, 1))
    gigabytes, others = (statistics.median(pair[who][1] for pair in pairs) / 1e9 for who in (0, 1))
    time_ratio, memory_ratio = (statistics.median(a[what] / b[what] for a, b in pairs) for what in (0, 1))
    share = f"{update_operations() / seconds / rate:.0%}" if row == "lora" and not options.large else ""
    return (
        f"| {ROWS[row]} | {seconds:.2f} s | {other:.2f} s ({peer}) | {time_ratio:.2f} | {gigabytes:.2f} GB | {others:.2f} GB | "
        f"{memory_ratio:.2f} | {share} |"
    )


COLUMNS = [
    "| what | ours | peer | time | memory | peer's | memory | share of products | date |", "|---|---|---|---|---|---|---|---|---|"
]  # fmt: skip


def processor() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = " ".join(facts.get("model name", "unknown").replace("(R)", "").replace("(TM)", "").split())
    return f"{name}, family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"


HEAD = """# Benchmarks

Written by `make bench`, a section for each kind of processor. Updates are of Stage C with 94 million parameters and latents of
24 x 24 (batches of 4, of 2 for the ControlNet) and of Stage B with 7 million and latents of 128 x 128 (batch 2), without data. An
image takes 20 steps of Stage C and 10 of Stage B; its time and memory are those of the whole program, from its start on.
"""


def write(path: pathlib.Path, title: str, heading: str, rows: list[str]) -> None:
    """Puts the rows into the section with the title, behind the others where there is none. Rows of other things stay there."""
    sections = path.read_text().split("\n## ")[1:] if path.exists() else []
    texts = {section.splitlines()[0]: section.strip() for section in sections}
    before = [line for line in texts.get(title, "").splitlines() if line.startswith("| ")][1:]
    table = {row.split("|")[1].strip(): row for row in before + rows}
    ordered = [table[name] for name in ROWS.values() if name in table]
    texts[title] = "\n".join([title, "", heading, "", *COLUMNS, *ordered])
    path.write_text("\n## ".join([HEAD, *(f"{text}\n" for text in texts.values())]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(".build/release"))
    parser.add_argument("--tokenizer", type=pathlib.Path, default=pathlib.Path("models/clip-tokenizer"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--large", action="store_true", help="Stage C of a billion parameters")
    parser.add_argument("--kernels", choices=LOWERED, help="those of an older processor, on both sides")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="do not try torch.compile")
    parser.add_argument("--write", type=pathlib.Path)
    options = parser.parse_args()
    if options.kernels:
        names = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")
        os.environ |= {"CASCADE_ADAPT_KERNELS": options.kernels, **dict(zip(names, LOWERED[options.kernels], strict=True))}
    title = processor() + (f", kept to {options.kernels}" if options.kernels else "")
    doctor = subprocess.run([options.build / "cascade-adapt", "doctor", "--json"], capture_output=True, text=True)
    kernels = json.loads(doctor.stdout)["kernels"]
    rate = product_rate(options)
    heading = (
        f"{options.threads} thread{'s' if options.threads > 1 else ''}, kernels `{kernels}`, bfloat16 products {rate / 1e9:.0f} GF/s, medians of {options.pairs} pairs"
        f"{'' if options.compile else '; torch.compile was not tried'}."
    )
    print("\n".join([title, "", heading, "", *COLUMNS]), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for row in options.only:
            measured = f"{line(options, row, folder, rate)} {datetime.date.today().isoformat()} |"
            print(measured, flush=True)
            # Row by row: what is measured stays if a later row fails.
            if options.write:
                write(options.write, title, heading, [measured])


if __name__ == "__main__":
    main()
