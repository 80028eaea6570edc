"""The device to compute on, and what to call this machine in a report."""

import ctypes
import os
import platform
import resource
import sys
from pathlib import Path

import torch

from translator.errors import TranslatorError


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


# Names of two of glibc's settings, from its malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let freed memory be taken again, rather than handed back to the system and fetched anew.

    Every step of a training takes and frees the same large blocks. By default glibc hands each one
    back, and the kernel then clears it, page by page, at its next use: some 8 % of a step. Other
    C libraries don't have these settings, and are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


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
