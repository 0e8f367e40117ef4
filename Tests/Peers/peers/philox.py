"""Philox 4x32-10 (Salmon et al. 2011) in whole numbers of torch, and the draws that are made of it.

`python3 Tests/Peers/peers/philox.py` holds it against the authors' known answers."""

import math

import torch

LOW = 0xFFFFFFFF
LANES = 16
CHUNK = 4 * LANES
PURPOSES = {
    name: number + 1
    for number, name in enumerate(
        "noise offset pyramid level caption image effnet effnetScale network adapter sampling rounding".split())
}  # fmt: skip


def product(factor: int, word: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low words of factor * word, by halves: no product reaches 2^63."""
    low, high = word & 0xFFFF, word >> 16
    first, second = factor * low, factor * high
    middle = (second & 0xFFFF) + (first >> 16)
    return (second >> 16) + (middle >> 16), ((middle & 0xFFFF) << 16) | (first & 0xFFFF)


def philox(counter: list[torch.Tensor], key: tuple[int, int]) -> list[torch.Tensor]:
    """Ten rounds over int64 tensors that hold 32 bits each."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        (high0, low0), (high1, low1) = product(0xD2511F53, c0), product(0xCD9E8D57, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return [c0, c1, c2, c3]


def words(seed: int, stream: int, update: int, place: int, count: int) -> torch.Tensor:
    """[count], int64: of each chunk of 16 blocks the first words, then the second ones, and so on."""
    blocks = torch.arange(-(-count // CHUNK) * LANES)
    counter = [blocks] + [torch.full_like(blocks, word) for word in (place, update, stream)]
    found = philox(counter, (seed & LOW, seed >> 32))
    return torch.stack([word.reshape(-1, LANES) for word in found], dim=1).reshape(-1)[:count]


def uniform(*source: int) -> torch.Tensor:
    """[count], float32."""
    return (words(*source) >> 8).float() / 2**24


def normal(seed: int, stream: int, update: int, place: int, count: int) -> torch.Tensor:
    """[count], float64, by Box and Muller (1958): of the first and third words come radii, of the others angles."""
    whole = -(-count // CHUNK) * CHUNK
    w = words(seed, stream, update, place, whole).reshape(-1, 4, LANES).double()
    radial, angular = w[:, 0::2], w[:, 1::2]
    radius = (-2 * ((radial + 0.5) / 2**32).log()).sqrt()
    quarter = (angular / 2**30).floor()
    within = (angular - quarter * 2**30) / 2**30 - 0.5
    angle = (quarter + within) * math.pi / 2
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2).reshape(-1)[:count]


def kept(rate: float, *source: int) -> torch.Tensor:
    """[count], bool: whether the half word of each element reaches the rate, two of a word, the low half first."""
    return halves(*source) >= round(rate * 65536)


def halves(*source: int) -> torch.Tensor:
    """[count], int64: 16 bits for each element, two of a word, the low ones first."""
    *place, count = source
    whole = -(-count // (2 * CHUNK)) * CHUNK
    w = words(*place, whole).reshape(-1, 1, LANES)
    return torch.cat([w & 0xFFFF, w >> 16], dim=1).reshape(-1)[:count]


def rounded(x: torch.Tensor, *source: int) -> torch.Tensor:
    """Float32 to bfloat16, up with the share of the way from the lower neighbour: 16 bits are added below the last."""
    bits = x.contiguous().view(torch.int32).flatten().long() & LOW
    bits = (bits + halves(*source, x.numel())) & 0xFFFF0000
    bits = torch.where(bits >= 2**31, bits - 2**32, bits)
    return bits.int().view(torch.float32).reshape(x.shape).bfloat16()


def purpose_seed(seed: int, *words: int) -> int:
    """The seed of one purpose of many: splitmix64 (Steele et al. 2014) over the words."""

    def mixed(value: int) -> int:
        z = (value + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    for word in words:
        seed = mixed(seed ^ mixed(word))
    return seed


def check() -> None:
    """The known answers of Random123 (kat_vectors)."""
    answers = [
        ("00000000 00000000 00000000 00000000 00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for given, expected in answers:
        *counter, k0, k1 = (int(word, 16) for word in given.split())
        found = philox([torch.tensor([word]) for word in counter], (k0, k1))
        assert " ".join(f"{word.item():08x}" for word in found) == expected, given


if __name__ == "__main__":
    check()
    print("as the authors' known answers")
