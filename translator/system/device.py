"""Choose the device and precision to compute in, and describe the machine."""

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

# The types of PyTorch that a training can be computed in.
Precision = Literal["float32", "bfloat16"]


def pick_device(wanted: str) -> torch.device:
    """Choose the device to compute on.

    Args:
        wanted: cuda, mps or cpu; auto is the first of these that is available

    Raises:
        TranslatorError: the device is not available.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = next(name for name, found in available.items() if found)
    if not available.get(wanted):
        others = ", ".join(name for name, found in available.items() if found)
        raise TranslatorError(f"no device {wanted}; this machine has: {others}")
    return torch.device(wanted)


# The speedup of a product that makes up for converting its inputs to bfloat16 or int8 and back.
# Instructions for bfloat16 (AVX512-BF16, AMX) make it 2 to 8 times as fast. Without them it is
# emulated, and about 100 times slower.
_MIN_SPEEDUP = 1.4
# A speedup below this means that the type is emulated.
_EMULATED_SPEEDUP = 0.1
# Size of the timed matrices, and how often they are multiplied. The best time counts, since other
# processes may disturb some. If the result is between the two limits above, they probably did, so
# timing goes on, up to the maximum.
_TIMED_SIZE, _TRIES, _MAX_TRIES = 256, 5, 25


def pick_precision(wanted: Precision | Literal["auto"], device: torch.device) -> Precision:
    """Choose the type of a training's matrix products; the weights stay in float32.

    Args:
        wanted: float32, bfloat16, or auto: bfloat16 if the device computes faster in it. On a CPU
            this is measured; on mps it is not, and auto is float32
        device: the device to compute on

    Returns:
        The name of a PyTorch type.
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
    """Like `pick_precision`, for resuming a training.

    On a busy machine the measurement may turn out differently, which would change the rounding
    of the weights. So auto keeps the earlier choice, except on another machine that only emulates
    bfloat16.

    Args:
        wanted: float32, bfloat16 or auto
        before: the precision of the training so far
        device: the device to compute on

    Returns:
        The name of a PyTorch type.
    """
    if wanted != "auto" or before == "float32":
        return before if wanted == "auto" else wanted
    if device.type == "cpu":
        return "bfloat16" if speedup(torch.bfloat16) > _EMULATED_SPEEDUP else "float32"
    return pick_precision(wanted, device)


def faster_in(dtype: torch.dtype) -> bool:
    """Whether this CPU multiplies matrices clearly faster in bfloat16 or int8 than in float32."""
    return speedup(dtype) > _MIN_SPEEDUP


@functools.cache
def speedup(dtype: torch.dtype) -> float:
    """How many times as fast as in float32 this CPU multiplies matrices in another type."""
    best = {torch.float32: float("inf"), dtype: float("inf")}
    for tries in range(1, _MAX_TRIES + 1):
        for timed in best:
            matrix = torch.ones(_TIMED_SIZE, _TIMED_SIZE, dtype=timed)
            started = time.perf_counter()
            (torch._int_mm if timed == torch.int8 else torch.mm)(matrix, matrix)
            best[timed] = min(best[timed], time.perf_counter() - started)
        found = best[torch.float32] / best[dtype]
        if tries >= _TRIES and not _EMULATED_SPEEDUP < found < _MIN_SPEEDUP:
            break
    return found


# Two settings of glibc, from its malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def reuse_freed_memory() -> None:
    """Make malloc reuse freed memory instead of returning it to the operating system.

    Every step of a training allocates and frees the same large blocks. By default glibc returns
    each one, and the kernel then clears it, page by page, at its next use: about 8 % of a step.
    Other C libraries don't have these settings, so nothing is done for them.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


# Number of compiled products in each cache of PyTorch and oneDNN. A step takes the same time with
# 64 as with 256, and longer with 16 or with the default of 1,024.
_KERNEL_CACHE_SIZE = 64


def limit_kernel_caches() -> None:
    """Limit the caches of products compiled for bfloat16 or int8, unless the user has set limits.

    oneDNN compiles a product for each shape, and every batch of a training has new shapes, so
    the default caches grow to 2 GiB. Call this before the first such product, which reads the
    settings.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(_KERNEL_CACHE_SIZE))


def describe_machine(device: torch.device) -> str:
    """Describe the GPU if there is one, the CPU, its cores, threads and memory."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    description = f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    description += f", {memory:.0f} GiB, {platform.system()}"
    if device.type == "cuda":
        description = f"{torch.cuda.get_device_name(device)}; {description}"
    return description


def peak_memory_bytes() -> int:
    """The peak memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux reports KiB
