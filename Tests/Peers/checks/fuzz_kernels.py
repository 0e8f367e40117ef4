"""Runs the engine's kernels on random shapes under the address and undefined-behaviour sanitizers: `make fuzz-kernels`.

    python Tests/Peers/checks/fuzz_kernels.py [--seconds 60] [--seed 1] [--variants baseline avx2 …] [--compiler g++] [--build FOLDER]

Compiles the kernels' sources with the sanitizers against the torch of this Python, and runs them for so long in a process of
its own for each variant that the processor has. Shapes are random: 0 to 700 tokens, 1 to 32 heads, widths 2 to 256, odd sizes,
strided inputs, empty batches. Results are held against the same by PyTorch in float64, so that a wrong number counts as a fault
too. Ends with status 1 at the first fault and says with which seed it comes again."""

import argparse
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCES = ROOT / "Sources" / "Native"
KERNELS = ["adamw", "adamw_8bit", "attention", "depthwise", "gelu_response_norm", "linear", "low_rank", "philox", "products",
           "quantised", "rounding", "silu", "squeeze_excitation", "variants"]  # fmt: skip
FLAGS = [
    "-std=c++20", "-O1", "-g", "-fno-math-errno", "-fPIC", "-fno-omit-frame-pointer", "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined", "-fno-sanitize=vptr", "-w",
]  # fmt: skip
# By the feature of the processor that stands for each.
VARIANTS = {"baseline": "fpu", "avx2": "avx2", "avx512": "avx512vl", "avx512_bf16": "avx512_bf16", "amx": "amx_bf16"}


def build(compiler: str, folder: pathlib.Path) -> pathlib.Path:
    """The kernels as a library with the sanitizers, made again where a source is another."""
    import torch

    torch_folder = pathlib.Path(torch.__file__).parent
    engine = SOURCES / "CTorchEngine"
    headers = b"".join(path.read_bytes() for path in sorted(engine.glob("*.h")))
    folder.mkdir(parents=True, exist_ok=True)
    objects, waiting = [], []
    for name in KERNELS:
        source = engine / f"{name}.cpp"
        known = hashlib.sha256(source.read_bytes() + headers + f"{compiler} {FLAGS} {torch.__version__}".encode()).hexdigest()[:12]
        objects.append(folder / f"{name}-{known}.o")
        if not objects[-1].exists():
            waiting.append(
                [compiler, *FLAGS, "-isystem", f"{torch_folder}/include", "-isystem",
                 f"{torch_folder}/include/torch/csrc/api/include", "-I", f"{SOURCES}/CTorch/include", "-c", source, "-o",
                 objects[-1]]  # fmt: skip
            )
    while waiting:
        some, waiting = waiting[:2], waiting[2:]
        if any([process.wait() for process in [subprocess.Popen(command) for command in some]]):
            sys.exit("the kernels do not compile")
    library = folder / "kernels.so"
    subprocess.run(
        [compiler, "-shared", "-fsanitize=address,undefined", *objects, "-o", library, f"-L{torch_folder}/lib",
         f"-Wl,-rpath,{torch_folder}/lib", "-Wl,--no-as-needed", "-ltorch_cpu", "-lc10"], check=True,
    )  # fmt: skip
    return library


def runtime(compiler: str) -> str:
    """The sanitizers' library, which has to be loaded before everything else, and that of C++, whose exceptions it passes on."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    names = ["libclang_rt.asan-x86_64.so", "libclang_rt.asan.so"] if "clang" in version else ["libasan.so"]
    for name in names:
        path = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        if os.path.isabs(path):
            library = subprocess.run([compiler, "-print-file-name=libstdc++.so.6"], capture_output=True, text=True).stdout.strip()
            return f"{os.path.realpath(path)} {os.path.realpath(library)}"
    sys.exit(f"{compiler} has no library of the address sanitizer")


class Fuzz:
    """Random calls of each kernel; a call that is not as exact as it should be raises."""

    def __init__(self, seed: int):
        import torch

        self.torch, self.random = torch, random.Random(seed)
        torch.manual_seed(seed)
        self.calls = [
            self.attention, self.response_norm, self.silu, self.squeeze_excitation, self.depthwise, self.linear, self.low_rank, self.quantised, self.draws, self.optimizers,
        ]  # fmt: skip

    def dtype(self):
        return self.random.choice([self.torch.float32, self.torch.bfloat16])

    def count(self, most: int, least: int = 1) -> int:
        """Small numbers as often as large ones."""
        return self.random.choice([self.random.randint(least, min(9, most)), self.random.randint(least, most)])

    def near(self, what: str, ours, theirs, dtype, terms: float = 1) -> None:
        """`terms`: how many products of about 1 each number is the sum of, at least."""
        if ours.numel() == 0:
            return
        # Where the exact result is nothing but cancelled terms, errors are held against terms of about 1.
        scale = theirs.norm().clamp_min(0.1 * (theirs.numel() * terms) ** 0.5)
        error = ((ours.double() - theirs).norm() / scale).item()
        bar = 2e-5 if dtype == self.torch.float32 else 2e-2
        if not error <= bar:
            raise AssertionError(f"{what}: the error is {error:.2e}, the bar {bar:.0e}")

    def compared(self, what: str, ours, theirs, inputs, dtype) -> None:
        """Both forward and backward, the peer in float64."""
        torch = self.torch
        frozen = self.random.randrange(1, len(inputs)) if len(inputs) > 1 and self.random.random() < 0.3 else None
        a = [x.detach().requires_grad_(i != frozen) for i, x in enumerate(inputs)]
        b = [x.detach().double().requires_grad_(i != frozen) for i, x in enumerate(inputs)]
        y, z = ours(*a), theirs(*b)
        incoming = torch.randn(z.shape).to(dtype)
        if self.random.random() < 0.3 and incoming.dim() > 2:
            incoming = incoming.transpose(-1, -2).contiguous().transpose(-1, -2)
        self.near(f"{what}, result", y, z, dtype)
        if z.numel() == 0:
            return
        a, b = ([x for x in leaves if x.requires_grad] for leaves in (a, b))
        gradients = torch.autograd.grad(y, a, incoming), torch.autograd.grad(z, b, incoming.double())
        for number, (mine, exact) in enumerate(zip(*gradients)):
            self.near(f"{what}, gradient {number}", mine, exact, dtype, max(1, incoming.numel() / mine.numel()))

    def heads(self, batch: int, heads: int, tokens: int, width: int, dtype):
        """[batch, heads, tokens, width] in one of the orders in memory that layers make."""
        torch = self.torch
        order = self.random.randrange(3)
        if order == 0:
            return torch.randn(batch, heads, tokens, width).to(dtype)
        if order == 1:
            return torch.randn(batch, tokens, heads, width).to(dtype).transpose(1, 2)
        return torch.randn(batch, tokens, 3, heads, width).to(dtype)[:, :, 1].transpose(1, 2)

    def attention(self) -> None:
        torch, kernels = self.torch, self.torch.ops.cascade
        dtype, batch, heads = self.dtype(), self.random.choice([0, 1, 1, 2, 3]), self.count(32)
        width = self.random.choice([2, 7, 8, 16, 24, 32, 40, 64, 96, 130, 256])
        queries, keys = self.count(700), self.count(700)
        if heads * queries * keys > 400_000:
            heads = 1
        q = self.heads(batch, heads, queries, width, dtype)
        k, v = (self.heads(batch, heads, keys, width, dtype) for _ in range(2))
        what = f"attention of {[*q.shape]} to {keys} keys, {dtype}"
        if self.random.random() < 0.6:
            self.compared(what, kernels.attention, torch.nn.functional.scaled_dot_product_attention, [q, k, v], dtype)
            return
        self.fused_attention(batch, heads, queries, keys, width, dtype)

    def fused_attention(self, batch: int, heads: int, queries: int, keys: int, width: int, dtype) -> None:
        """Keys of a token's own or none, and those of a condition."""
        torch, kernels, parts = self.torch, self.torch.ops.cascade, self.random.choice([1, 3])
        own = torch.randn(batch, queries, parts * heads * width).to(dtype)
        context = torch.randn(batch, keys, 2 * heads * width).to(dtype)
        seeds, places, rate = list(range(batch)), list(range(5, 5 + batch)), self.random.choice([0.0, 0.1, 0.5, 0.99])
        ones = torch.ones(batch, heads, queries, keys + (queries if parts == 3 else 0))
        kept = kernels.philox_dropout(ones, rate, seeds, 3, 4, places).double()

        def theirs(own, context):
            q, *more = own.chunk(parts, -1)
            k, v = (torch.cat([*mine, part], 1) for mine, part in zip([more[:1], more[1:]], context.chunk(2, -1)))
            q, k, v = (x.unflatten(-1, (heads, width)).transpose(1, 2) for x in (q, k, v))
            return ((torch.softmax(q @ k.mT / width**0.5, -1) * kept) @ v).transpose(1, 2).flatten(2)

        self.compared(
            f"attention of {[*own.shape]} and {[*context.shape]}, {heads} heads, {rate} dropped, {dtype}",
            lambda own, context: kernels.fused_attention(own, context, heads, rate, seeds, 3, 4, places), theirs,
            [own, context], dtype)  # fmt: skip

    def linear(self) -> None:
        torch = self.torch
        has_bfloat16 = os.environ.get("CASCADE_ADAPT_KERNELS") in ("avx512_bf16", "amx")
        dtype = self.dtype() if has_bfloat16 else torch.float32
        batch, rows, inputs, outputs = self.random.choice([0, 1, 2]), self.count(1400), self.count(2500), self.count(700)
        x, weight = torch.randn(batch, rows, inputs).to(dtype), (torch.randn(outputs, inputs) / inputs**0.5).to(dtype)
        if self.random.random() < 0.3:
            weight = weight.t().contiguous().t()
        bias = [torch.randn(outputs).to(dtype)] if self.random.random() < 0.5 else []
        # Weights that are kept in float32.
        if self.random.random() < 0.5:
            weight, bias = weight.float(), [x.float() for x in bias]
        self.compared(
            f"linear layer of {[*x.shape]} to {outputs}, {dtype}, weight in {weight.dtype}", lambda x, w, *b: torch.ops.cascade.linear_by_blocks(x, w, b[0] if b else None),
            torch.nn.functional.linear, [x, weight, *bias], dtype)  # fmt: skip

    def low_rank(self) -> None:
        torch, kernels, dtype = self.torch, self.torch.ops.cascade, self.dtype()
        # Of fewer than some columns gradients are few numbers, which may all but cancel.
        rows, inputs, outputs, least = self.count(700), 12 + self.count(288), 12 + self.count(288), 12
        pairs = self.random.choice([1, 2, 3, 5])
        x, bias = torch.randn(rows, inputs).to(dtype), torch.randn(outputs).to(dtype)
        weight = torch.randn(outputs, inputs).to(self.dtype())
        ranks = [self.random.choice([1, 4, 16, 33]) for _ in range(pairs)]
        columns = [self.random.randint(0, outputs - least) for _ in range(pairs)]
        downs = [torch.randn(rank, inputs).to(dtype) for rank in ranks]
        ups = [torch.randn(self.random.randint(least, outputs - first), rank).to(dtype) for first, rank in zip(columns, ranks)]
        scales = [self.random.random() / inputs for _ in range(pairs)]

        def theirs(x, *matrices):
            y = x @ weight.to(x.dtype).T + bias.to(x.dtype)
            for down, up, first, scale in zip(matrices[:pairs], matrices[pairs:], columns, scales):
                y = y + torch.nn.functional.pad(scale * (x @ down.T) @ up.T, (first, outputs - first - len(up)))
            return y

        self.compared(
            f"product of {[*x.shape]} with {[*weight.shape]}, {weight.dtype}, and ranks {ranks}, {dtype}",
            lambda x, *m: kernels.linear_low_rank(x, weight, bias, list(m[:pairs]), list(m[pairs:]), columns, scales), theirs,
            [x, *downs, *ups], dtype)  # fmt: skip

    def response_norm(self) -> None:
        torch, dtype = self.torch, self.dtype()
        batch, positions, channels = self.random.choice([1, 2, 3]), self.count(700), self.count(700)
        x = torch.randn(batch, positions, channels).to(dtype)

        def theirs(x, gamma, beta):
            active = torch.nn.functional.gelu(x)
            gain = active.norm(dim=1, keepdim=True)
            return active * (gamma * gain / (gain.mean(-1, keepdim=True) + 1e-6) + 1) + beta

        self.compared(
            f"GELU with response norm of {[*x.shape]}, {dtype}", torch.ops.cascade.gelu_response_norm, theirs,
            [x, torch.randn(channels).to(dtype), torch.randn(channels).to(dtype)], dtype)  # fmt: skip

    def images(self, dtype):
        """[batch, channels, height, width] in one of the orders in memory that layers make."""
        torch, batch, channels = self.torch, self.random.choice([0, 1, 2, 3]), self.count(300)
        height, width = self.count(30), self.count(30)
        if self.random.random() < 0.2:
            return torch.randn(batch, channels, height, width).to(dtype)
        return torch.randn(batch, height, width, channels).to(dtype).permute(0, 3, 1, 2)

    def silu(self) -> None:
        torch, dtype = self.torch, self.dtype()
        x = self.images(dtype) * 5
        if self.random.random() < 0.2:
            x = x[..., ::2]
        self.compared(
            f"SiLU of {[*x.shape]}, {dtype}", torch.ops.cascade.silu, torch.nn.functional.silu, [x], dtype)

    def squeeze_excitation(self) -> None:
        torch, dtype = self.torch, self.dtype()
        x, squeezed = self.images(dtype), self.count(40)
        channels = x.shape[1]
        shapes = [(squeezed, channels, 1, 1), (squeezed,), (channels, squeezed, 1, 1), (channels,)]
        layers = [(torch.randn(shape) / (shape[1] if shape[1:] else 1) ** 0.5).to(self.random.choice([torch.float32, dtype])) for shape in shapes]

        def theirs(x, squeeze, squeeze_bias, excite, excite_bias):
            active, convolved = torch.nn.functional.silu(x), torch.nn.functional.conv2d
            small = torch.nn.functional.silu(convolved(active.mean((2, 3), True), squeeze, squeeze_bias))
            return active * torch.sigmoid(convolved(small, excite, excite_bias))

        self.compared(
            f"SiLU with squeeze and excitation of {[*x.shape]} to {squeezed}, {dtype}",
            torch.ops.cascade.silu_squeeze_excitation, theirs, [x, *layers], dtype)  # fmt: skip

    def depthwise(self) -> None:
        torch, dtype = self.torch, self.dtype()
        batch, channels, kernel = self.random.choice([1, 2, 4]), self.count(130), self.random.choice([1, 3, 5, 7])
        stride, height, width = self.random.choice([1, 1, 2, 3]), self.count(40), self.count(40)
        x = torch.randn(batch, height, width, channels).to(dtype).permute(0, 3, 1, 2)
        weight, bias = torch.randn(channels, 1, kernel, kernel).to(dtype), torch.randn(channels).to(dtype)
        self.compared(
            f"depthwise convolution of {[*x.shape]}, kernels of {kernel}, stride {stride}, {dtype}",
            lambda x, w, b: torch.ops.cascade.depthwise(x, w, b, stride),
            lambda x, w, b: torch.nn.functional.conv2d(x, w, b, stride, kernel // 2, 1, channels), [x, weight, bias],
            dtype)  # fmt: skip

    def quantised(self) -> None:
        torch, kernels, dtype = self.torch, self.torch.ops.cascade, self.dtype()
        rows, blocks, tokens = self.count(300), self.count(9), self.count(50)
        matrix = torch.randn(rows, 64 * blocks)
        if self.random.random() < 0.2:
            matrix[self.random.randrange(rows)] = 0
        first = self.random.randrange(rows)
        count = self.random.randint(1, rows - first)
        transposed = self.random.random() < 0.5
        x = torch.randn(tokens, count if transposed else 64 * blocks).to(dtype)
        bias = torch.randn(count).to(dtype) if not transposed and self.random.random() < 0.5 else None
        what = f"of {[*matrix.shape]}, rows from {first}, {count}, {dtype}"

        def expected(weight):
            product = x.double() @ (weight if transposed else weight.mT)
            return product if bias is None else product + bias.double()

        codes, scales = kernels.quantise_rows(matrix)
        part = codes[first : first + count], scales[first : first + count]
        plain = kernels.expand_rows(*part, dtype)
        if not torch.equal(plain, kernels.expand_rows(*part, dtype, fused=False)):
            raise AssertionError(f"expansion in eight bits {what}")
        self.near(f"product in eight bits {what}", kernels.multiply_rows(x, *part, bias, transposed), expected(plain.double()), dtype)

        odd = torch.randn(rows, self.count(130))
        codes, scales = kernels.quantise_rows(odd)
        self.near("odd rows in eight bits", kernels.expand_rows(codes, scales, torch.float32) * 0.01, odd.double() * 0.01, torch.bfloat16)

        values = torch.linspace(-1, 1, 256)
        codes, magnitudes = kernels.quantise_nf4(matrix)
        packed = kernels.quantise_magnitudes(magnitudes, values)
        plain = kernels.expand_nf4(codes, *packed, values, first, count, dtype)
        if not torch.equal(plain, kernels.expand_nf4(codes, *packed, values, first, count, dtype, fused=False)):
            raise AssertionError(f"expansion in four bits {what}")
        product = kernels.multiply_nf4(x, codes, *packed, values, first, count, bias, transposed)
        self.near(f"product in four bits {what}", product, expected(plain.double()), dtype)

    def draws(self) -> None:
        torch, kernels = self.torch, self.torch.ops.cascade
        places, count = [self.random.randrange(2**32) for _ in range(self.random.randint(0, 4))], self.count(3000, 0)
        seeds = [self.random.randrange(-(2**63), 2**63) for _ in places]
        words = kernels.philox_words(seeds, 7, 8, places, count)
        composed = kernels.philox_composed(seeds, 7, 8, places, count, torch.device("cpu"))
        if not torch.equal(words.long() & 0xFFFFFFFF, composed):
            raise AssertionError(f"words of {len(places)} places, {count} each")
        kernels.philox_uniform(seeds, 7, 8, places, count)
        if not kernels.philox_normal(seeds, 7, 8, places, count).isfinite().all():
            raise AssertionError("normal numbers are finite")
        x = torch.randn(len(places), count).to(self.dtype())
        kernels.philox_dropout(x, 0.4, seeds, 7, 8, places)
        if places and count:
            numbers, rounded = torch.randn(count), torch.empty(count, dtype=torch.bfloat16)
            kernels.round_by_chance_(rounded, numbers, seeds[0], 7, 8, places[0])
            again = torch.empty_like(rounded)
            kernels.round_by_chance_(again, numbers, seeds[0], 7, 8, places[0], fused=False)
            if not torch.equal(rounded, again):
                raise AssertionError(f"rounding of {count} numbers by chance")

    def optimizers(self) -> None:
        torch, kernels = self.torch, self.torch.ops.cascade
        shapes = [[self.count(70), self.count(70)] for _ in range(self.random.randint(1, 4))]
        p, g, mean, square = ([torch.randn(shape) for shape in shapes] for _ in range(4))
        square = [x.abs() for x in square]
        kernels.adamw_(p, g, mean, square, 3, 1e-3, 0.9, 0.999, 0.01, 1e-8, 0.7)
        exact = sum(x.double().square().sum() for x in g).sqrt()
        self.near("the norm of gradients", kernels.norm_of(g), exact, torch.float32)
        codes = [[torch.randint(0, 256, x.shape, dtype=torch.uint8) for x in p] for _ in range(2)]
        scales = [[torch.rand((x.numel() + 255) // 256) for x in p] for _ in range(2)]
        copies = [[x.clone() for x in some] for some in (p, *codes, *scales)]
        signed, unsigned = torch.linspace(-1, 1, 256), torch.linspace(0, 1, 256)
        rest = (signed, unsigned, 3, 1e-3, 0.9, 0.999, 0.01, 1e-8, 0.7)
        kernels.adamw_8bit_(p, g, *codes, *scales, *rest, True)
        kernels.adamw_8bit_(copies[0], g, *copies[1:], *rest, False)
        for mine, theirs in zip(p, copies[0]):
            self.near("AdamW in eight bits", mine, theirs.double(), torch.float32)


def run(library: str, seconds: float, seed: int, only: int | None) -> None:
    """Calls until the time is over; `only` is the number of the one call to make again."""
    import torch

    torch.ops.load_library(library)
    begun, number = time.monotonic(), only if only is not None else 0
    while time.monotonic() - begun < seconds:
        # A seed of its own, so that one call can be made again alone.
        fuzz = Fuzz(seed * 1_000_003 + number)
        # Said before, for a sanitizer ends the process.
        print(f"call {number}", file=sys.stderr)
        torch.set_num_threads(fuzz.random.choice([1, 2, 3]))
        fuzz.random.choice(fuzz.calls)()
        number += 1
        if only is not None:
            break
    print(json.dumps({"calls": number}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each variant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS)
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / ".build" / "fuzz")
    parser.add_argument("--only", type=int, metavar="CALL", help="the one call to make again")
    parser.add_argument("--library", help="run the calls in this process, which has the sanitizers")
    options = parser.parse_args()
    if options.library:
        return run(options.library, options.seconds, options.seed, options.only)
    library = build(options.compiler, options.build)
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    faults = 0
    for variant in options.variants or [name for name, feature in VARIANTS.items() if feature in flags]:
        command = [sys.executable, __file__, "--library", library, "--seconds", str(options.seconds), "--seed", str(options.seed)]
        if options.only is not None:
            command += ["--only", str(options.only)]
        # Python and libtorch leak at their end; what a kernel leaks would show in the memory tests.
        environment = os.environ | {
            "CASCADE_ADAPT_KERNELS": variant, "LD_PRELOAD": runtime(options.compiler),
            "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1",
        }  # fmt: skip
        begun = subprocess.run(command, env=environment, capture_output=True, text=True)
        if begun.returncode == 0:
            print(f"{variant}: {json.loads(begun.stdout.splitlines()[-1])['calls']} calls, clean", flush=True)
            continue
        faults += 1
        calls = [line for line in begun.stderr.splitlines() if line.startswith("call ")]
        rest = "\n".join(line for line in begun.stderr.splitlines() if not line.startswith("call "))
        print(f"{variant}: a fault in {calls[-1] if calls else 'no call'} (--seed {options.seed} --variants {variant} "
              f"--only {calls[-1][5:] if calls else 0})\n{rest[-3000:]}", flush=True)  # fmt: skip
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
