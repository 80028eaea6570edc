"""The device to compute on, and what to call this machine in a report."""

import ctypes
import functools
import os
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Literal

import torch

from translator.errors import TranslatorError

# Of PyTorch's types, those that a training can be computed in.
Precision = Literal["float32", "bfloat16"]


def pick_device(wanted: str) -> torch.device:
    """The device to compute on.

    Args:
        wanted: auto (cuda, else mps, else cpu), or one of these by name

    Raises:
        TranslatorError: the device asked for is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = next(name for name, available in there.items() if available)
    if not there[wanted]:
        others = ", ".join(name for name, available in there.items() if available)
        raise TranslatorError(f"the device {wanted} is not there; this machine has: {others}")
    return torch.device(wanted)


# How much faster a product must be to pay for the conversions around it. Units for bfloat16
# (AVX512-BF16, AMX) make it 2 to 8 times as fast; without them it is some 100 times slower. Int8
# has conversions too.
_MIN_SPEEDUP = 1.4
# Below it, there are no units.
_EMULATED_SPEEDUP = 0.1
# Side of the products tried, and how often each is: the best time counts, should others disturb.
# Between hopeless and worthwhile they may have, so it is tried on.
_TRIED_SIZE, _TRIES, _MAX_TRIES = 256, 5, 25


def pick_precision(wanted: Precision | Literal["auto"], device: torch.device) -> Precision:
    """What to compute a training's matrix products in; weights stay in float32.

    Args:
        wanted: float32, bfloat16, or auto: bfloat16 where the device has units for it, which on a
            processor is tried out; not yet on mps, where it isn't measured
        device: where they are computed

    Returns:
        float32 or bfloat16, the name of a type of PyTorch's.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        pays = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        pays = device.type == "cpu" and faster_in(torch.bfloat16)
    return "bfloat16" if pays else "float32"


def keep_precision(
    wanted: Precision | Literal["auto"], before: Precision, device: torch.device
) -> Precision:
    """Like `pick_precision`, for a training that was computed in `before` so far.

    What is tried out can come out otherwise in a busy moment, and weights would then be rounded
    otherwise from here on: auto stays with what was picked, unless this is another machine, where
    bfloat16 would never come to an end.
    """
    if wanted != "auto" or before == "float32":
        return before if wanted == "auto" else wanted
    if device.type == "cpu":
        return "bfloat16" if speedup(torch.bfloat16) > _EMULATED_SPEEDUP else "float32"
    return pick_precision(wanted, device)


def faster_in(dtype: torch.dtype) -> bool:
    """Whether this processor multiplies matrices clearly faster in bfloat16, or int8."""
    return speedup(dtype) > _MIN_SPEEDUP


@functools.cache
def speedup(dtype: torch.dtype) -> float:
    """How many times as fast as in float32 this processor multiplies matrices."""
    best = {torch.float32: float("inf"), dtype: float("inf")}
    for tries in range(1, _MAX_TRIES + 1):
        for tried in best:
            matrix = torch.ones(_TRIED_SIZE, _TRIED_SIZE, dtype=tried)
            started = time.perf_counter()
            (torch._int_mm if tried == torch.int8 else torch.mm)(matrix, matrix)
            best[tried] = min(best[tried], time.perf_counter() - started)
        found = best[torch.float32] / best[dtype]
        if tries >= _TRIES and not _EMULATED_SPEEDUP < found < _MIN_SPEEDUP:
            break
    return found


# Names of two of glibc's settings, from its malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def reuse_freed_memory() -> None:
    """Let freed memory be taken again, rather than handed back to the system and fetched anew.

    Every step of a training takes and frees the same large blocks. By default glibc hands each one
    back, and the kernel then clears it, page by page, at its next use: some 8 % of a step. Other
    C libraries don't have these settings, and are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


# How many compiled products PyTorch and oneDNN each keep for later. A step takes as long with 64
# as with 256; with 16, and with the 1,024 that are kept by default, it takes longer.
_KERNEL_CACHE_SIZE = 64


def limit_kernel_caches() -> None:
    """Bound the caches of products compiled for bfloat16 or int8; what the user has set is left.

    oneDNN compiles a product anew for each shape, and a training meets new shapes in every batch:
    what is kept of them by default grows to 2 GiB. Works until the first such product, when these
    settings are read.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(_KERNEL_CACHE_SIZE))


def describe_machine(device: torch.device) -> str:
    """Processor, cores, threads and memory in words; the GPU's name where one is used."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    words = f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    words += f", {memory:.0f} GiB, {platform.system()}"
    if device.type == "cuda":
        words = f"{torch.cuda.get_device_name(device)}; {words}"
    return words


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
