"""What this build is and what it runs on."""

from __future__ import annotations

from typing import Any

from ._arguments import choice
from ._load import _core

__all__ = ["show_config"]


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print the version, instruction set, threads, BLAS, CUDA and devices in use.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print, or return a dictionary.

    Returns
    -------
    dict or None
        With "dicts": `version`, `compiler`, `instruction_set`, `available_instruction_sets`, `blas`, `threads`, `cuda`,
        `cuda_status`, `cuda_devices` and `cuda_libraries`.

    Examples
    --------
    >>> import fastntk
    >>> sorted(fastntk.show_config(mode="dicts"))[:3]
    ['available_instruction_sets', 'blas', 'compiler']
    """
    config: dict[str, Any] = _core.config()
    if choice(mode, "mode", ("stdout", "dicts")) == "dicts":
        return config
    for key, value in config.items():
        print(f"{key:<28}{', '.join(value) if isinstance(value, list) else value}")
    return None
