"""Where the heavy arithmetic runs, and whether it fits."""

import os
from typing import Any

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError


def choose(device: str = "auto") -> str:
    """Return the name of the device to use: ``'cpu'``, ``'cuda'`` or ``'cuda:1'``.

    Parameters
    ----------
    device : str, default='auto'
        ``'auto'`` takes CUDA where torch finds it, the CPU otherwise.

    Raises
    ------
    ParameterError
        If a CUDA device is asked for by name and there is none.

    Examples
    --------
    >>> choose("cpu")
    'cpu'
    """
    if device == "cpu":
        return device
    if device.partition(":")[0] != "cuda":
        check_choice("device", device, ["auto", "cpu", "cuda"])
    try:
        import torch

        found = torch.cuda.is_available()
    except ImportError:
        found = False
    if device == "auto":
        return "cuda" if found else "cpu"
    if not found:
        raise ParameterError(
            message(
                "argument 'device'",
                "a device that torch can reach",
                f"{device!r}, and no CUDA device is there",
                "use device='auto'; `neuroana doctor` shows what is missing",
            )
        )
    return device


def memory(device: str = "cpu") -> int:
    """Bytes that are free on a device; for the CPU what the system says is available.

    Examples
    --------
    >>> memory("cpu") > 0
    True
    """
    if device != "cpu":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return 2**63 - 1


def forecast(n_bytes: int, what: str, *, device: str = "cpu", fix: str = "") -> int:
    """Return the forecast of a fit's memory, or refuse before it begins.

    Parameters
    ----------
    n_bytes : int
        Peak of the arrays that will live at once.
    what : str
        Whose memory it is, for the message.
    device : str, default='cpu'
        Where they will live.
    fix : str
        What makes it smaller.

    Raises
    ------
    ParameterError
        If more is needed than is free.

    Examples
    --------
    >>> forecast(1000, "HMMGLM.fit")
    1000
    """
    free = memory(device)
    if n_bytes > free:
        raise ParameterError(
            message(
                what,
                f"at most {free / 2**30:.1f} GiB, the memory free on {device}",
                f"a forecast of {n_bytes / 2**30:.1f} GiB",
                fix or "use fewer samples or a larger machine",
            )
        )
    return int(n_bytes)


def describe() -> dict[str, Any]:
    """What torch finds on this machine, for reports and ``neuroana doctor``.

    Examples
    --------
    >>> "torch" in describe()
    True
    """
    try:
        import torch
    except ImportError:
        return {"torch": None, "cuda": False}
    found = torch.cuda.is_available()
    return {
        "torch": torch.__version__,
        "cuda": found,
        "built_for_cuda": torch.version.cuda,
        "devices": [
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        ]
        if found
        else [],
    }
