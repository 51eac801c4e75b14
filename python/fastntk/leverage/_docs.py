"""What the docstrings of this package have in common."""

from __future__ import annotations

from .._docs import with_parts

__all__ = ["documented"]

documented = with_parts(
    {
        "families": """\
============  ==============================  =======================================
name          phi(x, w)                       K(x, z)
============  ==============================  =======================================
ntk           x Step(w.x)                     <x, z> kappa_0(a) / 2
relu_ntk      sqrt(2) (ReLU(w.x), x Step)     |x||z| K_1(a), the NTK of depth 1
arc_cosine_0  sqrt(2) Step(w.x)               kappa_0(a)
arc_cosine_1  sqrt(2) ReLU(w.x)               |x||z| kappa_1(a)
fourier       (cos(w.x), sin(w.x))            exp(-|x - z|^2 / (2 lengthscale^2))
============  ==============================  =======================================""",
        "threads and memory": """\
n_threads : int, optional
    Threads of the kernels; by default all processors that this process may use.
max_memory : None, int or str
    Memory that this may take, in bytes or as in "2GB"; by default what is available.""",
    }
)
