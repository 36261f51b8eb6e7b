"""Render sections into one HTML page: no script, nothing loaded from elsewhere."""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from neuroana import __version__
from neuroana.core.device import describe
from neuroana.core.provenance import bibtex, versions
from neuroana.plot.sections import Section


def render(
    sections: Sequence[Section],
    *,
    title: str = "Report",
    failures: Sequence[tuple[Path, dict[str, Any]]] = (),
) -> str:
    """Render a report.

    Parameters
    ----------
    sections : sequence of Section
        Those of kind ``'recording'`` come first, in a table and one by one; the
        models follow in the order given.
    title : str
        Heading of the page.
    failures : sequence of (path, record)
        What did not work, listed on top.

    Returns
    -------
    str
        One HTML document. The same sections give the same text.

    Examples
    --------
    >>> page = render([Section("Rest", "recording", source={"modality": "eeg"})])
    >>> "Rest" in page and "<script" not in page
    True
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    with resources.as_file(resources.files("neuroana.report")) as folder:
        environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["number"] = number
        template = environment.get_template("template.html")
        style = (Path(folder) / "style.css").read_text(encoding="utf-8")
    recordings = [s for s in sections if s.kind == "recording"]
    models = [s for s in sections if s.kind != "recording"]
    cited = [c for s in sections for c in s.citations]
    cited += bibtex("xarray", "scipy", "mne", "snakemake").split("\n\n")
    device = describe()
    return template.render(
        title=title,
        style=style,
        version=__version__,
        recordings=recordings,
        models=models,
        n_synthetic=sum(s.synthetic for s in recordings),
        failures=[(str(path), record) for path, record in failures],
        citations=list(dict.fromkeys(cited)),
        versions=versions(),
        device=", ".join(device.get("devices", [])) or "CPU",
    )


def number(value: Any) -> str:
    """Format one cell: four significant digits, text as it is.

    Examples
    --------
    >>> number(0.123456), number(1280), number("fMRI"), number([1.0, 2])
    ('0.1235', '1280', 'fMRI', '1, 2')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(number(v) for v in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "n/a" if value is None else str(value)
