from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

_F32 = NDArray[np.float32]
_F64 = NDArray[np.float64]

class BackendError(RuntimeError): ...
