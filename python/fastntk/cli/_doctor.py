"""`fastntk doctor`."""

from __future__ import annotations

import typer

from ._options import Json
from ._output import as_line


def doctor(as_json: Json = False) -> None:
    """Explain this installation: what is there, what is missing, and what to do about it; then compute something.

    Ends with exit code 1 if something keeps fastntk from working as it should.
    """
    from .._doctor import findings

    found = list(findings())
    failed = [finding for finding in found if finding.state == "fail"]
    if as_json:
        print(as_line({"usable": not failed, "findings": [finding._asdict() for finding in found]}))
    else:
        for finding in found:
            print(f"{finding.state:<6}{finding.what:<20}{finding.found}")
            if finding.remedy:
                print(f"{'':<26}{finding.remedy}")
        print("fastntk can be used" if not failed else f"problems: {', '.join(finding.what for finding in failed)}")
    if failed:
        raise typer.Exit(1)
