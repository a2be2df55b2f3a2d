"""Types of the arrays that pass between the parts of this package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # sound in [-1, 1], or latents
Codes = NDArray[np.int64]  # [..., codebooks, frames]
