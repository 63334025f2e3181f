"""Where a stream comes from: the commands that made it, in order, in its schema's metadata.

Each step is {"command", "version", "options", "facts"}: options as given, facts such as the digests of the files
read and of the model used. `gpi verify RUN` runs the chain again and compares.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.version import __version__
from gpi.formats.written import json_of

KEY: Final = b"gpi.provenance"

Step = dict[str, Any]


def chain(schema: pa.Schema) -> list[Step]:
    """The steps that made a stream, first first; empty for a stream of unknown origin. Raises BadInput."""
    try:
        steps = json_of((schema.metadata or {}).get(KEY, b"[]"), finite=False)
    except ValueError as wrong:
        raise BadInput(f"the provenance in the stream is unreadable: {wrong}") from None
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise BadInput("the provenance in the stream is unreadable: it is no list of steps")
    return steps


def stamped(schema: pa.Schema, command: str, options: Mapping[str, Any], facts: Mapping[str, Any]) -> pa.Schema:
    """The schema with one more step on its chain."""
    step = {
        "command": command,
        "version": __version__,
        "options": {name: plain(value) for name, value in options.items()},
        "facts": {name: plain(value) for name, value in facts.items()},
    }
    steps = json.dumps([*chain(schema), step], sort_keys=True)
    return schema.with_metadata({**(schema.metadata or {}), KEY: steps.encode()})


def continued(schema: pa.Schema, origin: pa.Schema | None) -> pa.Schema:
    """The schema with the chain that its rows had where they were kept."""
    if origin is None or KEY not in (origin.metadata or {}):
        return schema
    return schema.with_metadata({**(schema.metadata or {}), KEY: origin.metadata[KEY]})


def plain(value: Any) -> Any:
    """Options and facts as JSON has them."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
