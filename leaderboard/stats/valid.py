"""What every function here asks of its arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def finite(values: ArrayLike, name: str, shape: str, *, infinite: bool = False) -> Array:
    """Values as floats. `shape` names the axes, as in "(R, N)", of which none may be empty.

    Raises ValueError that names what was found, where the shape is another or a value is not finite; with `infinite`,
    +inf is allowed (a time that was never reached).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != shape.count(",") + (not shape.endswith(",)")) or 0 in array.shape:
        raise ValueError(f"{name} must have the shape {shape} with no empty axis, not {array.shape}")
    bad = array[~(np.isfinite(array) | (infinite & (array == np.inf)))]
    if bad.size:
        allowed = "finite or +inf" if infinite else "finite"
        raise ValueError(f"{name} must be {allowed}; {bad.size} of {array.size} values are not, the first is {bad[0]}")
    return array


def share(value: float, name: str) -> float:
    """Value, which must lie strictly between 0 and 1; ValueError where not."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not {value}")
    return value


def alike(shapes: Sequence[tuple[int, ...]], what: str) -> None:
    """ValueError where the shapes are not all the same."""
    if len(set(shapes)) > 1:
        raise ValueError(f"{what} must have one shape, not {', '.join(map(str, shapes))}")
