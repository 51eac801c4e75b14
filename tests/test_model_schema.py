"""The JSON Schema of model files, its validator, and parameters on their way through JSON."""

import json
import math

import fastntk
import numpy as np
import pytest
from fastntk._json_schema import KEYWORDS, model_schema, require_valid
from fastntk._model_archive import read_archive
from fastntk._plain import plain, unplain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_cases import CASES, FILES, metadata, rows


@pytest.mark.parametrize("name", CASES)
def test_the_schema_describes_what_is_written(name, tmp_path):
    CASES[name]()[0].save(tmp_path / "model")
    header, _ = read_archive(tmp_path / "model")
    require_valid(header, model_schema())
    require_valid(json.loads(metadata((FILES / f"{name}.safetensors").read_bytes())["fastntk"]), model_schema())
    known = set(model_schema()["properties"])
    for part in model_schema()["allOf"]:
        known |= set(part["then"]["properties"])
    assert set(header) <= known


def test_the_schema_says_nothing_that_is_not_looked_at():
    """The validator knows every keyword that the schema has."""
    silent = {"$schema", "$defs", "title", "description", "then", "else"}

    def look(schema):
        assert set(schema) <= {*KEYWORDS, *silent}, schema
        for name in ("properties", "$defs"):
            for part in schema.get(name, {}).values():
                look(part)
        for name in ("allOf", "anyOf"):
            for part in schema.get(name, []):
                look(part)
        for name in ("items", "if", "then", "additionalProperties"):
            if isinstance(schema.get(name), dict):
                look(schema[name])

    look(model_schema())


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [0, -3, 1 << 63], [True, 1.0, "1", None, float("nan")]),
        ({"type": "number"}, [0, 1.5], [True, float("nan"), float("inf"), "1"]),
        ({"type": ["boolean", "null"]}, [True, None], [0, 1, "true"]),
        ({"const": 3}, [3], [2, "3", None]),
        ({"const": 1}, [1], [True]),
        ({"enum": ["a", "b"]}, ["a"], ["c", 1]),
        ({"minimum": 1, "maximum": 3}, [1, 3, "other types"], [0, 4]),
        ({"exclusiveMinimum": 0}, [0.5], [0, -1]),
        ({"type": "object", "required": ["a"]}, [{"a": 1}], [{}, []]),
        ({"properties": {"a": {"type": "string"}}}, [{}, {"a": "x", "b": 1}, 5], [{"a": 1}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}], [{"b": 1}]),
        ({"additionalProperties": {"type": "null"}}, [{"b": None}], [{"b": 1}]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [["a"]], [[], ["a", 1], "a"]),
        ({"anyOf": [{"type": "null"}, {"const": 2}]}, [None, 2], [3]),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
        ({"if": {"const": 1}, "then": {"type": "null"}, "else": {"type": "string"}}, ["x"], [1, 2]),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}, [None], [0]),
    ],
)
def test_the_validator(schema, good, bad):
    for value in good:
        require_valid(value, schema)
    for value in bad:
        with pytest.raises(ValueError, match=r" is .*, and not "):
            require_valid(value, schema)


NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text())
KEYS = st.one_of(st.integers(-(2**40), 2**40), st.text(), st.booleans())
VALUES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple), st.dictionaries(KEYS, inner)
    ),
    max_leaves=20,
)


def alike(one, other):
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other


@given(VALUES)
def test_parameters_survive_json(value):
    saved = plain(value)
    text = json.dumps(saved, allow_nan=False)
    assert alike(unplain(json.loads(text)), value)
    require_valid(saved, {**model_schema()["$defs"]["value"], "$defs": model_schema()["$defs"]})


@given(st.sampled_from(["?", "i1", "u8", "f4", "f8", "i8"]), st.lists(st.integers(0, 3), max_size=3), st.randoms())
def test_arrays_survive_json(dtype, shape, random):
    value = np.array([random.uniform(-5, 5) for _ in range(int(np.prod(shape)))]).reshape(shape)
    value = np.asarray(abs(value) if dtype == "u8" else value).astype(dtype)
    again = unplain(json.loads(json.dumps(plain(value))))
    assert again.dtype == value.dtype
    assert again.shape == value.shape
    assert np.array_equal(again, value)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(2, 40),
    depth=st.integers(1, 4),
    bias=st.floats(0, 5),
    alpha=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**64 - 1),
    diagonal=st.sampled_from(["auto", "exact", "sampled"]),
    fit_intercept=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_any_parameters_survive_a_file(tmp_path, size, depth, bias, alpha, seed, diagonal, fit_intercept, dtype):
    X, y = rows(dtype, n=20)
    features = fastntk.NTKRandomFeatures(size, depth=depth, bias=bias, diagonal=diagonal, random_state=seed)
    model = fastntk.NTKRegressor(features=features, alpha=alpha, fit_intercept=fit_intercept, random_state=seed).fit(X, y)
    model.save(tmp_path / "model")
    again = fastntk.load(tmp_path / "model")
    assert again.get_params().keys() == model.get_params().keys()
    assert all(
        again.get_params()[key] == value for key, value in model.get_params().items() if not key.startswith("features")
    )
    assert again.features.get_params() == features.get_params()
    assert np.array_equal(again.predict(X), model.predict(X))
