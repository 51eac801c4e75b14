"""Studies: series of cases that take long, whose results go line by line to a file, and from there to tables and plots."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ._output import write_csv, write_figure, write_markdown

__all__ = ["Options", "Record", "Study", "most_seeds", "number_of_seeds"]

Record = dict[str, Any]

_OPTIONS = {"exact_rows": "exact-rows", "fixed": "fix"}  # of the command, where they have other names
_PACKAGES = ("fastntk", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Options:
    """What the command line says about a study; None stands for the study's own choice.

    Attributes
    ----------
    folder : Path
        Where results, tables and plots go.
    components : tuple of int, optional
        Numbers of features.
    rows : int, optional
        Number of rows, where the study generates them or takes some of a data set.
    exact_rows : int, optional
        Number of rows for the exact kernel, where that takes longer than everything else.
    depth : int, optional
        Number of hidden layers.
    seeds : tuple of int, optional
        Seeds; each case is measured once for each.
    data, maps : tuple of str, optional
        Names of the data sets and of the maps to measure.
    fixed : dict, optional
        Settings by name that the study would choose otherwise.
    small : bool
        Few rows and columns of embedded or generated data: shows in seconds that the study works.
    device : str
    threads : int, optional
    """

    folder: Path = Path("fastntk-bench")
    components: tuple[int, ...] | None = None
    rows: int | None = None
    exact_rows: int | None = None
    depth: int | None = None
    seeds: tuple[int, ...] | None = None
    data: tuple[str, ...] | None = None
    maps: tuple[str, ...] | None = None
    fixed: Mapping[str, Any] | None = None
    small: bool = False
    device: str = "auto"
    threads: int | None = None

    def refuse(self, study: str, *names: str) -> None:
        """ValueError if one of these is given, which the study would ignore."""
        for name in names:
            if getattr(self, name) not in (None, "auto"):
                raise ValueError(f"--{_OPTIONS.get(name, name)} is no option of the study {study}; leave it away")


class Study:
    """A folder with the results of one study: `name.jsonl`, and the tables and plots that are made of it.

    A case is a dict of JSON values that says what is measured. Each finished case is one line of the file: a run that was
    cut off goes on where it was, a longer list of cases takes the finished ones as they are, and tables come from the file.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    name : str
    settings : dict, optional
        What results depend on beside the case: sizes of the data, the device. A folder with other settings is refused.
    needs : dict, optional
        By a key that a case has: what the case and its results have together. A line that lacks one of them is damaged, and
        so is one of a case with none of these keys.

    Raises
    ------
    ValueError
        If the folder has a study of this name with other settings, or one that cannot be read.
    RuntimeError
        If another process is writing this study.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        settings: Record | None = None,
        needs: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.name = name
        self.folder = Path(folder)
        self._settings = _plain(settings or {})
        self._needs = {key: frozenset(names) for key, names in (needs or {}).items()}
        self.written: list[Path] = []

    def run(
        self,
        cases: Iterable[Record],
        measure: Callable[[Record], Record],
        *,
        label: Callable[[Record], str] | None = None,
    ) -> list[Record]:
        """Measure the cases that the folder does not have yet.

        Parameters
        ----------
        cases : iterable of dict
            Of JSON values.
        measure : callable
            Takes a case, gives a dict of what was measured, which NumPy numbers may be part of. With a key "skipped", the
            reason, the case counts as not measured: it is tried again by the next run. So does a MemoryError.
        label : callable, optional
            What the progress bar says about a case.

        Returns
        -------
        list of dict
            For every case the case and what was measured, in the order of the cases.
        """
        from tqdm import tqdm

        cases = [_plain(case) for case in cases]
        with self._open() as file:
            done = self._read(file)
            self._head(file, cases)
            records = []
            with tqdm(cases, desc=self.name, unit="case", disable=None) as bar:
                for case in bar:
                    if label is not None:
                        bar.set_postfix_str(label(case))
                    key = _key(case)
                    if key not in done:
                        measured = _measured(measure, case)
                        if "skipped" not in measured:
                            done[key] = measured
                            _append(file, {"case": case, "measured": measured})
                        records.append({**case, **measured})
                    else:
                        records.append({**case, **done[key]})
        return records

    def finished(self) -> list[Record]:
        """Every case that the folder has, of this run and of earlier ones, and what was measured."""
        with self._open() as file:
            return [{**json.loads(case), **measured} for case, measured in self._read(file).items()]

    def table(
        self, rows: list[Record], columns: list[str], *, title: str, note: str = "", suffix: str = ""
    ) -> tuple[Path, Path]:
        """Write a table as Markdown and as comma-separated values.

        Parameters
        ----------
        rows : list of dict
            What a row has no value for is left empty.
        columns : list of str
            Keys of the rows, in order.
        title, note : str
            Stand above and below the table in Markdown.
        suffix : str
            Of the file names, where a study has several tables.

        Returns
        -------
        tuple of Path
            `name<suffix>.md` with four digits of each number, `name<suffix>.csv` with all.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        markdown, values = (self._file(suffix, ending) for ending in ("md", "csv"))
        write_markdown(markdown, rows, columns, title=title, note=note)
        write_csv(values, rows, columns)
        return markdown, values

    def figure(self, draw: Callable[[Any], None], *, suffix: str = "", size: tuple[float, float] = (6.4, 4.2)) -> list[Path]:
        """Write a plot as PNG and as SVG; without matplotlib say so on stderr instead.

        Parameters
        ----------
        draw : callable
            Draws on the matplotlib Axes that it is given.
        suffix : str
            Of the file names, where a study has several plots.
        size : tuple of float
            Width and height in inches.

        Returns
        -------
        list of Path
            `name<suffix>.png` and `name<suffix>.svg`, or nothing.
        """
        try:
            import matplotlib as mpl  # noqa: F401 - whether it is there
        except ImportError:
            print(f"no plot of {self.name}: it needs matplotlib, `pip install 'fastntk[plot]'`", file=sys.stderr)
            return []
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = [self._file(suffix, ending) for ending in ("png", "svg")]
        write_figure(paths, draw, size=size, salt=self.name)
        return paths

    def _file(self, suffix: str, ending: str) -> Path:
        path = self.folder / f"{self.name}{suffix}.{ending}"
        if path not in self.written:
            self.written.append(path)
        return path

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"--output is {self.folder}, which is a file; a folder is needed")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.jsonl"
        with path.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(f"another process is writing {path}; wait for it, or name another folder") from None
            yield file

    def _read(self, file: IO[bytes]) -> dict[str, Record]:
        """What was measured, by case; a last line that was cut off is taken away."""
        file.seek(0)
        done: dict[str, Record] = {}
        lines = file.readlines()
        size = 0
        for number, line in enumerate(lines, start=1):
            damaged = ValueError(f"{file.name} has a damaged line {number}; mend it, or name another folder")
            try:
                record = json.loads(line)
                if not line.endswith(b"\n"):
                    raise ValueError
            except ValueError:
                if number < len(lines):
                    raise damaged from None
                file.truncate(size)
                break
            if not self._is_whole(record):
                raise damaged
            size += len(line)
            if "case" in record:
                done[_key(record["case"])] = record["measured"]
            elif record.get("settings") != self._settings:
                raise ValueError(
                    f"{file.name} has results with the settings {record.get('settings')}, and these are "
                    f"{self._settings}; name another folder"
                )
        return done

    def _is_whole(self, record: Any) -> bool:
        """Whether a line is a head line, or a case of this study and all of its results."""
        if not isinstance(record, dict) or "case" not in record:
            return isinstance(record, dict) and {"study", "settings"} <= {*record}
        case, measured = record["case"], record.get("measured")
        if not isinstance(case, dict) or not isinstance(measured, dict):
            return False
        needed = [names for key, names in self._needs.items() if key in case]
        return not self._needs or (bool(needed) and all(names <= {*case, *measured} for names in needed))

    def _head(self, file: IO[bytes], cases: list[Record]) -> None:
        """Append a line about this run, unless the last such line says the same."""
        file.seek(0)
        heads = [record for record in map(json.loads, file) if "study" in record]
        head = {
            "study": self.name,
            "settings": self._settings,
            "seeds": sorted({seed for case in cases for seed in _seeds(case)}),
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        }
        if not heads or heads[-1] != head:
            _append(file, head)


def number_of_seeds(records: Iterable[Record], names: Iterable[str] = ()) -> str:
    """How many seeds each case has that differs from the others in more than the seed: "3 seeds", "1 to 3 seeds".

    Parameters
    ----------
    records : iterable of dict
    names : iterable of str
        The keys that tell cases apart.
    """
    names = list(names)
    seeds: dict[str, set[int]] = {}
    for record in records:
        seeds.setdefault(_key({name: record[name] for name in names}), set()).update(_seeds(record))
    counts = sorted({len(each) for each in seeds.values()}) or [0]
    return f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seed{'' if counts[-1] == 1 else 's'}"


def most_seeds(records: Iterable[Record], names: Iterable[str]) -> list[Record]:
    """Of the records whose "seeds" are lists, for each combination of what `names` are the one with the most."""
    names = list(names)
    best: dict[str, Record] = {}
    for record in records:
        key = _key({name: record[name] for name in names})
        if key not in best or len(record["seeds"]) > len(best[key]["seeds"]):
            best[key] = record
    return list(best.values())


def _seeds(case: Record) -> list[int]:
    """The seed or the seeds of a case."""
    return [case["seed"]] if "seed" in case else list(case.get("seeds", []))


def _measured(measure: Callable[[Record], Record], case: Record) -> Record:
    try:
        return _plain(measure(case))
    except MemoryError as error:
        return {"skipped": str(error) or "no memory"}


def _append(file: IO[bytes], record: Record) -> None:
    file.write(json.dumps(record).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _plain(values: Record) -> Record:
    """The dict as it comes back from the file: numbers of NumPy are numbers, tuples are lists."""
    plain: Record = json.loads(json.dumps(values, default=_number))
    return plain


def _number(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a result holds a {type(value).__name__}; numbers, strings, lists and dicts are possible")


def _key(case: Record) -> str:
    return json.dumps(case, sort_keys=True)


def _version(package: str) -> str:
    if package == "fastntk":
        import fastntk

        return fastntk.__version__
    return importlib.metadata.version(package)
