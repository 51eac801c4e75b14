"""Whether the first line of a table has the names of its columns."""

from __future__ import annotations

import math
from pathlib import Path

__all__ = ["header_of", "is_number", "number"]

_CHOICE = "give the columns other names, or say which it is with --header or --no-header (header=True or False in Python)"


def number(text: str) -> float:
    """The number that a field has; ValueError for text, and for 1_000, which Python reads."""
    if "_" in text:
        raise ValueError
    return float(text)


def is_number(text: str) -> bool:
    """Whether a field is a number, be it NaN or infinite."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def header_of(path: Path, first: list[str], second: list[str] | None, header: bool | str) -> list[str] | None:
    """The names in the first line, or None if it is a row.

    Parameters
    ----------
    path : Path
    first, second : list of str
        The fields of the first two lines; None if there is one only.
    header : bool or "auto"
        Whether there are names. "auto": if none of the fields is a number; nan and inf count as text here.

    Raises
    ------
    ValueError
        If names are missing; or with "auto" if it cannot be told: if only some of the fields are numbers, and the next line
        has numbers where text is, or if the fields are 0, 1, 2, ..., which is how pandas calls columns without names.
    """
    names = [field.strip() for field in first]
    if header == "auto":
        finite = [is_number(name) and math.isfinite(number(name)) for name in names]
        header = not any(finite)
        if not header and second is not None:
            below = zip(names, finite, second, strict=False)
            odd = next((j for j, (_, given, under) in enumerate(below) if not given and is_number(under)), None)
            if odd is not None:
                raise ValueError(
                    f"{path} has the number {names[finite.index(True)]!r} in its first line, and {names[odd]!r} where the "
                    f"next line has a number; the line may be names or a row: {_CHOICE}"
                )
        if len(names) > 1 and names == [str(j) for j in range(len(names))]:
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise ValueError(f"{path} has {shown} in its first line, which may be names or a row: {_CHOICE}")
    if not header:
        return None
    if "" in names:
        raise ValueError(
            f"{path} has no name for column {names.index('')} in its first line; each column needs one: if it is the index "
            "of a table of pandas, write the file with index=False"
        )
    return names
