"""The tests that a list of claims names exist."""

import re

from .files import K8S

ROOT = K8S.parent
LISTS = [K8S / "claims.md", ROOT / "docs/promises.md"]


def check():
    """Yields tests that are named and are nowhere."""
    sources = (path for path in ROOT.glob("*/**/*.rs") if path.parts[len(ROOT.parts)] != "target")
    functions = {name for path in sources for name in re.findall(r"\bfn (\w+)", path.read_text())}
    for path in LISTS:
        # Of several words: one word is a crate or a command.
        for name in re.findall(r"`(\w+_\w+)`", path.read_text()):
            if name not in functions and name.islower():
                yield f"{path.relative_to(ROOT)} names {name}, which is no test"
