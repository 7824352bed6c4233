"""Every object of every build against the schema of its kind, closed: an unknown property is a mistake."""

import json

import jsonschema

from .files import TESTS, build, name_of
from .pods import BUILDS


def check():
    """Yields what a schema refuses."""
    schemas = json.loads((TESTS / "schemas/schemas.json").read_text())
    for directory in BUILDS:
        for thing in build(directory):
            kind = schemas["kinds"].get(f"{thing['apiVersion']} {thing['kind']}")
            if kind is None:
                yield f"{directory} {name_of(thing)}: there is no schema of {thing['apiVersion']} {thing['kind']}"
                continue
            validator = jsonschema.Draft7Validator({"allOf": [kind], "definitions": schemas["definitions"]})
            for error in validator.iter_errors(thing):
                yield f"{directory} {name_of(thing)} at {'/'.join(map(str, error.path))}: {error.message[:200]}"
