"""The public interface as text: writes ``docs/api.md`` from the package itself.

``python tools/interface.py`` rewrites the page; a test compares it with the package, so
that a public signature cannot change unnoticed.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"
PACKAGES = (
    "neuroana",
    "neuroana.connectome",
    "neuroana.eeg2fmri",
    "neuroana.fc",
    "neuroana.io",
    "neuroana.learn",
    "neuroana.signal",
    "neuroana.switching",
)
EXAMPLES = ("eeg_alpha_states", "fmri_study", "calcium_states")
HEAD = """# The interface

Every public name with its signature, as `python tools/interface.py` reads it from the
package. A signature changes only together with this page and an entry in the changelog.
A recording is an `xarray.Dataset` with the variable `signal`, dims (time, channel | roi
| voxel | neuron); every function that takes one takes a list or `na.Recordings` too and
returns the same kind. Names are loaded when they are used: `import neuroana as na`.
"""


def public_names(package: str) -> list[str]:
    """Names that the package's stub lists."""
    stub = ROOT.joinpath(*package.split("."), "__init__.pyi")
    nodes = ast.walk(ast.parse(stub.read_text(encoding="utf-8")))
    names = [a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names]
    return sorted(names, key=str.lower)


def signature(name: str, obj: object) -> str:
    """Name and signature in one line, annotations without their modules."""
    text = f"{name}{inspect.signature(obj)}"
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", text)
    return re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", text)


def wrap(text: str, width: int = 86) -> str:
    """Break a long signature behind commas, four spaces in."""
    if len(text) <= width:
        return text
    lines, line = [], ""
    for piece in re.split(r"(?<=, )", text):
        if len(line) + len(piece) > width and line.strip():
            lines.append(line.rstrip())
            line = "    "
        line += piece
    return "\n".join([*lines, line])


def entries(package: str) -> Iterator[str]:
    """Signatures of one package; a class is followed by its methods."""
    module = importlib.import_module(package)
    for name in public_names(package):
        obj = getattr(module, name)
        if inspect.ismodule(obj):
            continue
        yield wrap(signature(name, obj))
        if inspect.isclass(obj):
            for method, function in sorted(vars(obj).items()):
                if isinstance(function, classmethod | staticmethod):
                    function = function.__func__
                if not method.startswith("_") and inspect.isfunction(function):
                    yield wrap(f"    .{signature(method, function)}")


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for package in PACKAGES:
        lines = "\n".join(entries(package))
        parts.append(f"## `{package}`\n\n```python\n{lines}\n```\n")
    parts.append("## Three scripts\n\nThey run as tests.\n")
    for name in EXAMPLES:
        text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
        parts.append(f"### `examples/{name}.py`\n\n```python\n{text}```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
