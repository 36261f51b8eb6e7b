"""A section of the report: text, numbers, tables and figures in one JSON file.

A wing's steps write sections; ``report`` turns any number of them into one HTML
page. Figures travel inside the section as PNG.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neuroana.core.checks import message
from neuroana.core.errors import SchemaError
from neuroana.core.provenance import plain
from neuroana.core.store import read_json, write_json
from neuroana.plot.axes import figure_of


@dataclass
class Section:
    """One section of the report.

    Attributes
    ----------
    title : str
        Heading.
    kind : str
        ``'recording'`` for what went in, or the wing's name.
    lead : str
        What a reader should know first, in plain sentences.
    synthetic : bool
        Whether any of the data behind it are made up.
    numbers : dict
        Key figures with their unit in the name.
    tables : list of dict
        ``title``, ``columns``, ``rows``.
    figures : list of dict
        ``title``, ``caption``, ``png`` (base64), ``width`` in inches.
    methods : str
        A paragraph for a methods section.
    citations : list of str
        BibTeX entries.
    source : dict
        Of a recording: name, hash, licence, citation and the like.
    """

    title: str
    kind: str
    lead: str = ""
    synthetic: bool = False
    numbers: dict[str, Any] = field(default_factory=dict)
    tables: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    methods: str = ""
    citations: list[str] = field(default_factory=list)
    source: dict[str, Any] = field(default_factory=dict)

    def add_figure(self, plot: Any, title: str, caption: str = "") -> None:
        """Add a figure: whatever a plot function returned."""
        figure = figure_of(plot)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        self.figures.append(
            {
                "title": title,
                "caption": caption,
                "png": base64.b64encode(buffer.getvalue()).decode("ascii"),
                "width": float(figure.get_figwidth()),
            }
        )

    def add_table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Add a table."""
        self.tables.append(
            {"title": title, "columns": list(columns), "rows": plain(list(rows))}
        )


def write_section(section: Section, path: str | Path) -> Path:
    """Write a section as JSON, atomically."""
    return write_json(asdict(section), path)


def read_section(path: str | Path) -> Section:
    """Read a section.

    Raises
    ------
    CorruptFileError, SchemaError
        If the file is no JSON, or no section.
    """
    value = read_json(path)
    try:
        return Section(**value)
    except TypeError as error:
        raise SchemaError(
            message(f"{path}", "a section of a report", error, "run its step again")
        ) from error
