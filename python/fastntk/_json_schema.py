"""A validator for the part of JSON Schema that model files are described in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["KEYWORDS", "model_schema", "require_valid"]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

# Of these, and of names that only tell (title, description, ...), a schema may consist.
KEYWORDS = (
    "$ref",
    "type",
    "const",
    "enum",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "minItems",
    "allOf",
    "anyOf",
    "if",
)


@cache
def model_schema() -> dict[str, Any]:
    """The description of the JSON text in a model file, which is part of the package."""
    schema: dict[str, Any] = json.loads(files("fastntk").joinpath("model_schema.json").read_text(encoding="utf-8"))
    return schema


def require_valid(value: Any, schema: dict[str, Any]) -> None:
    """ValueError, with the place in `value`, if it is not as `schema` says."""
    problem = _Look(schema)(value, schema, "")
    if problem is not None:
        raise ValueError(problem)


class _Look:
    """Says what is wrong first, or None, with a value at a place: `root` is where definitions are."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root

    def __call__(self, value: Any, schema: dict[str, Any], at: str) -> str | None:
        checks = (
            _PARTS[name](self, value, schema, at) if name in _PARTS else _itself(value, schema, name, at)
            for name in KEYWORDS
            if name in schema
        )
        return _first(checks)

    def defined(self, reference: str) -> dict[str, Any]:
        """What a reference such as "#/$defs/size" stands for."""
        target: Any = self._root
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        return dict(target)


def _first(problems: Iterable[str | None]) -> str | None:
    return next((each for each in problems if each is not None), None)


def _itself(value: Any, schema: dict[str, Any], keyword: str, at: str) -> str | None:
    """The keywords that look at the value alone; those of one type say nothing of others."""
    wanted, number = schema[keyword], _TYPES["number"](value)
    kinds = [wanted] if isinstance(wanted, str) else wanted
    tests: dict[str, Callable[[], tuple[str, bool]]] = {
        "type": lambda: (f"of type {' or '.join(kinds)}", any(_TYPES[kind](value) for kind in kinds)),
        "const": lambda: (repr(wanted), _equal(value, wanted)),
        "enum": lambda: (f"one of {wanted}", any(_equal(value, each) for each in wanted)),
        "minimum": lambda: (f"at least {wanted}", not number or value >= wanted),
        "exclusiveMinimum": lambda: (f"above {wanted}", not number or value > wanted),
        "maximum": lambda: (f"at most {wanted}", not number or value <= wanted),
        "minItems": lambda: (f"of at least {wanted} items", not isinstance(value, list) or len(value) >= wanted),
        "required": lambda: (f"an object with {wanted}", not isinstance(value, dict) or value.keys() >= set(wanted)),
    }
    what, holds = tests[keyword]()
    return None if holds else f"{at or 'it'} is {_short(value)}, and not {what}"


def _properties(look: _Look, value: Any, schema: dict[str, Any], at: str) -> str | None:
    parts = schema["properties"]
    names = [name for name in parts if name in value] if isinstance(value, dict) else []
    return _first(look(value[name], parts[name], f"{at}.{name}".lstrip(".")) for name in names)


def _others(look: _Look, value: Any, schema: dict[str, Any], at: str) -> str | None:
    allowed = schema["additionalProperties"]
    names = sorted(value.keys() - schema.get("properties", {}).keys()) if isinstance(value, dict) else []
    if allowed is False:
        return f"{at or 'it'} is {_short(value)}, and not without {names[0]!r}" if names else None
    return _first(look(value[name], allowed, f"{at}.{name}".lstrip(".")) for name in names)


def _items(look: _Look, value: Any, schema: dict[str, Any], at: str) -> str | None:
    items = value if isinstance(value, list) else []
    return _first(look(each, schema["items"], f"{at}[{i}]") for i, each in enumerate(items))


def _any_of(look: _Look, value: Any, schema: dict[str, Any], at: str) -> str | None:
    found = [look(value, each, at) for each in schema["anyOf"]]
    return None if None in found else found[-1]


def _if(look: _Look, value: Any, schema: dict[str, Any], at: str) -> str | None:
    holds = look(value, schema["if"], at) is None
    return look(value, schema.get("then" if holds else "else", {}), at)


# The keywords that look at parts of the value, or at it once more.
_PARTS: dict[str, Callable[[_Look, Any, dict[str, Any], str], str | None]] = {
    "$ref": lambda look, value, schema, at: look(value, look.defined(schema["$ref"]), at),
    "properties": _properties,
    "additionalProperties": _others,
    "items": _items,
    "allOf": lambda look, value, schema, at: _first(look(value, each, at) for each in schema["allOf"]),
    "anyOf": _any_of,
    "if": _if,
}


def _equal(value: Any, wanted: Any) -> bool:
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
