"""The Debian package in a fresh Debian root without Swift and without the checkout: installed, used, removed.

    sudo python3 Tests/Peers/checks/install_check.py --deb dist/cascade-adapt_0.2.0_amd64.deb

As root, with debootstrap. The root is made of the Debian mirror that this machine's apt uses, and removed afterwards.
torch comes from where this machine's pip gets it, as a wheel.
"""
import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

USER = "tester"
# What bash offers behind `cascade-adapt gen`.
COMPLETION = """
. /usr/share/bash-completion/bash_completion
COMP_WORDS=(cascade-adapt gen) COMP_CWORD=1
_completion_loader cascade-adapt
words=$(complete -p cascade-adapt)
words=${words##*-F }
${words%% *} cascade-adapt gen cascade-adapt 2>/dev/null
echo "${COMPREPLY[@]}"
"""
# What apt, dpkg, Python and the system itself write, wherever a package comes from.
NOT_COMPARED = re.compile(
    r"^(proc|sys|dev|tmp|run|wheels|var/(lib/(dpkg|apt|systemd)|cache|log)|etc/ld\.so\.cache)(/|$)")


class Root:
    """A Debian system in a folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def make(self):
        mirror = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
            check=True, capture_output=True, text=True).stdout.split("\n")
        # The distribution itself, not its updates.
        found = [line.split() for line in mirror if line.endswith(" bookworm")]
        if not found:
            sys.exit("apt of this machine knows no mirror of Debian 12")
        log("debootstrap")
        quietly(["debootstrap", "--variant=minbase", "bookworm", str(self.folder), found[0][0]])
        shutil.copy("/etc/resolv.conf", self.folder / "etc/resolv.conf")
        self.run("useradd", "--create-home", USER)

    def run(self, *words, user="root", folder="/", environment=None, status=0):
        """Runs a command in the root, in mounts and processes of its own; gives what it says."""
        start = "" if user == "root" else f"runuser -u {user} -- "
        inner = "mount -t proc proc /proc && mount -t tmpfs -o mode=1777 none /dev/shm; "
        inner += f'cd "$FOLDER" && exec {start}"$@"'
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root" if user == "root" else f"/home/{user}",
            "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "FOLDER": folder,
        } | (environment or {})
        alone = ["unshare", "--mount", "--pid", "--fork", "chroot", str(self.folder), "/bin/sh", "-c", inner, "sh"]
        done = subprocess.run(
            [*alone, *words], env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        said = done.stdout + done.stderr
        if done.returncode != status:
            sys.exit(f"{' '.join(words)}\nended with {done.returncode}, expected {status}:\n{said[-4000:]}")
        return said

    def install(self, *packages):
        self.run("apt-get", "install", "-y", "--no-install-recommends", *packages)

    def files(self):
        """Every path with what tells a change of it; times do not count."""
        found = {}
        for where, folders, files in os.walk(self.folder):
            base = os.path.relpath(where, self.folder)
            folders[:] = [each for each in folders if not NOT_COMPARED.match(os.path.normpath(f"{base}/{each}"))]
            for name in files + folders:
                path = os.path.normpath(f"{base}/{name}")
                if NOT_COMPARED.match(path):
                    continue
                facts = os.lstat(self.folder / path)
                content = b""
                if os.path.isfile(self.folder / path) and not os.path.islink(self.folder / path):
                    content = hashlib.sha256((self.folder / path).read_bytes()).digest()
                found[path] = (facts.st_mode, facts.st_uid, content)
        return found


def log(text):
    print(text, flush=True)


def quietly(words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{(done.stdout + done.stderr)[-4000:]}")


def field(deb, name):
    """What a package says of itself."""
    words = ["dpkg-deb", "--field", str(deb), name]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def expect(holds, what, said=""):
    if not holds:
        sys.exit(f"not so: {what}\n{said[-4000:]}")
    log(f"  {what}")


def wheel(folder, version):
    """torch's wheel, from where this machine's pip has it."""
    quietly([
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder),
        f"torch=={version}"])


def check(root, deb, version):
    name = deb.name
    shutil.copy(deb, root.folder / "tmp" / name)
    root.run("apt-get", "update")
    root.install("python3", "python3-pip", "man-db", "bash-completion")
    log("its dependencies")
    root.run("apt-get", "satisfy", "-y", "--no-install-recommends", field(deb, "Depends"))
    before = root.files()
    offline = {"PIP_NO_INDEX": "1"}
    wheels = offline | {"PIP_FIND_LINKS": "/wheels"}

    log("installed")
    root.run("apt-get", "install", "-y", "--no-install-recommends", f"/tmp/{name}")
    said = root.run("cascade-adapt", "--version", user=USER)
    expect(said.strip() == version, f"--version says {version}", said)
    said = root.run("man", "cascade-adapt-lora", user=USER, environment={"MANPAGER": "cat"})
    expect("CASCADE-ADAPT-LORA(1)" in said and "--dry-run" in said, "man cascade-adapt-lora", said)
    said = root.run("bash", "-c", COMPLETION, user=USER)
    expect("generate" in said, "bash completes `gen`", said)
    for path in ["zsh/vendor-completions/_cascade-adapt", "fish/vendor_completions.d/cascade-adapt.fish"]:
        expect((root.folder / "usr/share" / path).stat().st_size > 1000, f"completions: {path}")

    log("without a libtorch")
    said = root.run("cascade-adapt", "doctor", user=USER, status=1)
    expect("python3: has no torch" in said, "doctor says where it looked", said)
    expect("`cascade-adapt engine install` gets" in said, "and what to do", said)
    said = root.run("cascade-adapt", "engine", "install", user=USER, environment=offline, status=1)
    expect("pip can't get torch" in said, "engine install says why it could not", said)
    left = [each for each in (root.folder / f"home/{USER}/.cache/cascade-adapt").glob("*")]
    expect(left == [], "and leaves nothing", str(left))

    log("with python3's torch")
    pip = ["python3", "-m", "pip"]
    root.run(*pip, "install", "--break-system-packages", "--no-deps", "--no-compile", "torch", environment=wheels)
    said = root.run("cascade-adapt", "doctor", user=USER)
    expect("nothing is missing" in said and "python3: torch 2." in said, "doctor is content", said)
    # The working folder is not the user's to write in.
    root.run("cascade-adapt", "generate", "--prompt", "a fox on a blue background", "-o", "/tmp/fox.png", user=USER)
    fox = (root.folder / "tmp/fox.png").read_bytes()
    expect(fox.startswith(b"\x89PNG") and len(fox) > 2000, "an image of the miniature")
    root.run(*pip, "uninstall", "--break-system-packages", "-y", "torch")

    log("with a private copy")
    root.run("cascade-adapt", "engine", "install", environment=wheels)
    copy = root.folder / "usr/lib/cascade-adapt/torch/torch/lib/libtorch_cpu.so"
    expect(copy.exists(), "engine install puts it under the prefix")
    said = root.run("cascade-adapt", "doctor", user=USER)
    expect("nothing is missing" in said and "/usr/lib/cascade-adapt/torch" in said, "doctor is content", said)
    said = root.run("cascade-adapt", "doctor", user=USER, environment={"LIBTORCH": "/nowhere"}, status=1)
    expect("unset" in said and "/nowhere" in said, "a wrong LIBTORCH is told", said)
    root.run("cascade-adapt", "generate", "--prompt", "a fox on a blue background", "-o", "/tmp/again.png", user=USER)
    expect((root.folder / "tmp/again.png").read_bytes() == fox, "the same image, byte for byte")
    images = root.folder / "tmp/images"
    images.mkdir()
    for number in range(4):
        shutil.copy(root.folder / "tmp/fox.png", images / f"{number}.png")
        (images / f"{number}.txt").write_text("[fernando] on a blue background")
    settings = {
        "webdataset_path": "/tmp/images", "checkpoint_path": "/tmp/runs", "output_path": "/tmp/output",
        "batch_size": "4"}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    said = root.run("cascade-adapt", "lora", "fernando", "--steps", "2", *words, user=USER)
    metrics = (root.folder / "tmp/output/fernando/metrics.jsonl").read_text().splitlines()
    saved = root.folder / "tmp/runs/fernando/lora.safetensors"
    expect(len(metrics) == 2 and saved.exists(), "two updates of a LoRA", said)
    said = root.run("cascade-adapt", "configs", "lora_c_tiny", user=USER)
    expect("module_filters" in said, "a shipped configuration by its name", said)

    log("removed")
    root.run("apt-get", "remove", "-y", "cascade-adapt")
    shutil.rmtree(root.folder / f"home/{USER}")
    after = root.files()
    home = re.compile(rf"^home/{USER}(/|$)")
    traces = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    traces = {path for path in traces if not home.match(path)}
    # What pip itself leaves.
    traces = {path for path in traces if "__pycache__" not in path and not path.startswith(("root/", "usr/local/"))}
    expect(not traces, "without a trace", "\n".join(sorted(traces)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deb", type=pathlib.Path, required=True)
    parser.add_argument("--torch", default="2.13.0", help="the version that the engine was built with")
    parser.add_argument("--keep", action="store_true", help="leave the root for a look")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="install-check-"))
    try:
        os.chmod(folder, 0o755)
        root = Root(folder)
        root.make()
        (folder / "wheels").mkdir()
        wheel(folder / "wheels", options.torch)
        check(root, options.deb, field(options.deb, "Version"))
        log("all of it holds")
    finally:
        if options.keep:
            log(f"the root is {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


main()
