"""Tests run side by side, one process a core, so each computes on one thread.

More would only wait for one another, and how many share a sum decides its last bits.
"""

import os

# Read when NumPy and PyTorch are imported, here and in what the tests start: so before all else.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
