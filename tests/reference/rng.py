"""Philox4x32-10 and the library's draws from it (csrc/include/fastntk/rng.hpp), in plain NumPy."""

import numpy as np

STREAMS = {
    "child_seed": 1,
    "sign": 2,
    "sample": 3,
    "bucket": 4,
    "bucket_sign": 5,
    "normal": 6,
    "chi_square": 7,
    "holdout": 8,
    "angle": 9,
}
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox(counter, key):
    """128 bits as four words (..., 4) from counters (..., 4) and a key (2,): Salmon et al., SC 2011."""
    c = [np.asarray(counter, dtype=np.uint64)[..., i] for i in range(4)]
    k = [int(word) for word in key]
    for _ in range(10):
        a = np.uint64(0xD2511F53) * c[0]
        b = np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> _SHIFT) ^ c[1] ^ np.uint64(k[0]), b & _LOW, (a >> _SHIFT) ^ c[3] ^ np.uint64(k[1]), a & _LOW]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return np.stack(c, axis=-1).astype(np.uint32)


def bits(seed, stream, index, attempt=0):
    """The blocks (..., 4) of draws number `index` of one stream of one seed."""
    index = np.asarray(index, dtype=np.uint64)
    whole = np.broadcast_to
    counter = np.stack(
        [
            index & _LOW,
            index >> _SHIFT,
            whole(np.uint64(STREAMS[stream]), index.shape),
            whole(np.uint64(attempt), index.shape),
        ],
        axis=-1,
    )
    return philox(counter, (seed % 2**32, seed >> 32))


def word64(seed, stream, index, attempt=0):
    """64 bits a draw."""
    block = bits(seed, stream, index, attempt).astype(np.uint64)
    return block[..., 0] | block[..., 1] << _SHIFT


def child_seed(seed, index):
    """The seed of part `index` of an operator."""
    return int(word64(seed, "child_seed", index))


def signs(seed, count, stream="sign"):
    """`count` signs, +1 or -1, 128 from each block; a set bit means minus."""
    words = bits(seed, stream, np.arange((count + 127) // 128)).reshape(-1)
    ones = (words[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    return 1.0 - 2.0 * ones.reshape(-1)[:count]


def integer(seed, stream, index, bound):
    """One unbiased integer in [0, bound): Lemire's multiplication, rejecting the first 2^32 mod bound low halves."""
    attempt = 0
    while True:
        for word in bits(seed, stream, index, attempt):
            product = int(word) * bound
            if product % 2**32 >= 2**32 % bound:
                return product >> 32
        attempt += 1


def unit_interval(low, high):
    """A uniform double from 53 bits."""
    word = np.asarray(high).astype(np.uint64) << _SHIFT | np.asarray(low).astype(np.uint64)
    return ((word >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal_pair(block):
    """Two standard normals from each block: Box and Muller."""
    radius = np.sqrt(-2 * np.log(unit_interval(block[..., 0], block[..., 1])))
    angle = 2 * np.pi * unit_interval(block[..., 2], block[..., 3])
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def normals(seed, count):
    """`count` standard normals, two from each block."""
    return normal_pair(bits(seed, "normal", np.arange((count + 1) // 2))).reshape(-1)[:count]


def chi_square(seed, index, degrees):
    """One chi-square draw: twice a gamma draw by Marsaglia and Tsang's squeeze-free method."""
    shape = degrees / 2
    d = (shape + 1 if shape < 1 else shape) - 1 / 3
    c = 1 / np.sqrt(9 * d)
    attempt = 0
    while True:
        x = normal_pair(bits(seed, "chi_square", index, 2 * attempt))[0]
        spare = bits(seed, "chi_square", index, 2 * attempt + 1)
        v = (1 + c * x) ** 3
        if v > 0 and np.log(unit_interval(spare[0], spare[1])) < 0.5 * x * x + d - d * v + d * np.log(v):
            boost = unit_interval(spare[2], spare[3]) ** (1 / shape) if shape < 1 else 1.0
            return 2 * d * v * boost
        attempt += 1
