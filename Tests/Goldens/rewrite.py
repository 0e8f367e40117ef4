"""Writes all goldens anew, each by its own script, and shows what differs: `make goldens`.

    .venv/bin/python Tests/Goldens/rewrite.py [NAME…]

Left out is write_reference_configs.py, which reads the reference's own repository. Exits 1 where a script fails, or a file
is not what it was: the versions of Tests/Peers/requirements.txt give the same bytes on the same kind of processor."""

import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
FOREIGN = {"write_reference_configs.py"}


def main() -> None:
    scripts = sorted(path for path in HERE.glob("write_*.py") if path.name not in FOREIGN)
    if sys.argv[1:]:
        scripts = [HERE / f"write_{name}.py" for name in sys.argv[1:]]
    failed = []
    for script in scripts:
        began = time.monotonic()
        run = subprocess.run([sys.executable, script], cwd=HERE.parents[1], capture_output=True, text=True)
        print(f"{script.name}: {time.monotonic() - began:.0f} s", flush=True)
        if run.returncode:
            failed.append(script.name)
            print(run.stderr[-600:])
    changed = subprocess.run(
        ["git", "status", "--short", "--", str(HERE)], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout
    print(changed or "no golden differs")
    if failed or changed:
        sys.exit(f"failed: {', '.join(failed)}" if failed else 1)


if __name__ == "__main__":
    main()
