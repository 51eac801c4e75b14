"""The extension module, whatever directory its BLAS library sits in.

Import it from here: ``from fastntk._load import _core``.
"""

import ctypes
import os
import sys

__all__ = ["_core"]


def _advice(folder: str) -> str:
    """What to do about a compiled part that cannot be loaded; `folder` is where it should be."""
    there = sorted(name for name in os.listdir(folder) if name.startswith("_core.") and name.endswith(".so"))
    if not there:
        return (
            f"there is none in {folder}, which is perhaps the source: pip install fastntk, or start Python in another "
            "directory"
        )
    tag = f"cpython-{sys.version_info[0]}{sys.version_info[1]}-"
    if not any(tag in name for name in there):
        return f"{folder} has {', '.join(there)}, for another version of Python: pip install --force-reinstall fastntk"
    return f"a library that {', '.join(there)} needs is missing or of another version: pip install --force-reinstall fastntk"


try:
    from fastntk import _core
except ImportError as error:
    if "libscipy_openblas" not in str(error):
        raise ImportError(
            f"the compiled part of fastntk cannot be loaded ({error}); {_advice(os.path.dirname(__file__))}"
        ) from error
    # The run path only reaches a scipy-openblas32 that was installed beside this package. It may be in another site
    # directory (a user install, a virtual environment over system packages). The loader takes a library of the right name
    # that is loaded already.
    import scipy_openblas32

    ctypes.CDLL(os.path.join(scipy_openblas32.get_lib_dir(), "libscipy_openblas.so"))
    from fastntk import _core
