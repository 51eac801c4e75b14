"""A validator for the part of JSON Schema that model files are described in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
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
    problem = _problem(value, schema, schema, "")
    if problem is not None:
        raise ValueError(problem)


def _problem(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> str | None:
    """What is wrong first, or None."""
    for keyword in KEYWORDS:
        if keyword in schema:
            found = _CHECKS.get(keyword, _check_value)(value, schema, root, at, keyword)
            if found is not None:
                return found
    return None


def _check_value(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    """The keywords that look at the value alone; those of one type say nothing of others."""
    wanted, number = schema[keyword], _TYPES["number"](value)
    names = [wanted] if isinstance(wanted, str) else wanted
    what, wrong = {
        "type": lambda: (f"of type {' or '.join(map(str, names))}", not any(_TYPES[name](value) for name in names)),
        "const": lambda: (repr(wanted), not _equal(value, wanted)),
        "enum": lambda: (f"one of {wanted}", not any(_equal(value, each) for each in wanted)),
        "minimum": lambda: (f"at least {wanted}", number and value < wanted),
        "exclusiveMinimum": lambda: (f"above {wanted}", number and value <= wanted),
        "maximum": lambda: (f"at most {wanted}", number and value > wanted),
        "minItems": lambda: (f"of at least {wanted} items", isinstance(value, list) and len(value) < wanted),
    }[keyword]()
    return f"{at or 'it'} is {_short(value)}, and not {what}" if wrong else None


def _check_ref(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    target: Any = root
    for step in schema[keyword].removeprefix("#/").split("/"):
        target = target[step]
    return _problem(value, target, root, at)


def _check_required(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    missing = [name for name in schema[keyword] if isinstance(value, dict) and name not in value]
    return f"{at or 'it'} has no {missing[0]!r}" if missing else None


def _check_properties(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    if not isinstance(value, dict):
        return None
    for name in schema[keyword].keys() & value.keys():
        found = _problem(value[name], schema[keyword][name], root, f"{at}.{name}".lstrip("."))
        if found is not None:
            return found
    return None


def _check_others(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    others = sorted(value.keys() - schema.get("properties", {}).keys()) if isinstance(value, dict) else []
    if schema[keyword] is False:
        return f"{at or 'it'} has {others[0]!r}, which it must not have" if others else None
    found = (_problem(value[name], schema[keyword], root, f"{at}.{name}".lstrip(".")) for name in others)
    return next((each for each in found if each is not None), None)


def _check_items(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    items = value if isinstance(value, list) else []
    found = (_problem(each, schema[keyword], root, f"{at}[{i}]") for i, each in enumerate(items))
    return next((each for each in found if each is not None), None)


def _check_all(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    found = (_problem(value, each, root, at) for each in schema[keyword])
    return next((each for each in found if each is not None), None)


def _check_any(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    found = [_problem(value, each, root, at) for each in schema[keyword]]
    return None if None in found else found[-1]


def _check_if(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str, keyword: str) -> str | None:
    holds = _problem(value, schema[keyword], root, at) is None
    return _problem(value, schema["then"] if holds else schema.get("else", {}), root, at)


_CHECKS = {
    "$ref": _check_ref,
    "required": _check_required,
    "properties": _check_properties,
    "additionalProperties": _check_others,
    "items": _check_items,
    "allOf": _check_all,
    "anyOf": _check_any,
    "if": _check_if,
}


def _equal(value: Any, wanted: Any) -> bool:
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
