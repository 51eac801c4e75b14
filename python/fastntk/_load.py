"""The extension module, whatever directory its BLAS library sits in.

Import it from here: ``from fastntk._load import _core``.
"""

import ctypes
import os

__all__ = ["_core"]

try:
    from fastntk import _core
except ImportError as error:
    if "libscipy_openblas" not in str(error):
        raise
    # The run path only reaches a scipy-openblas32 that was installed beside this package. It may be in another site
    # directory (a user install, a virtual environment over system packages). The loader takes a library of the right name
    # that is loaded already.
    import scipy_openblas32

    ctypes.CDLL(os.path.join(scipy_openblas32.get_lib_dir(), "libscipy_openblas.so"))
    from fastntk import _core
