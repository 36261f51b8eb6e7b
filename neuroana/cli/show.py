"""``neuroana show``: a figure of what is in a file."""

from pathlib import Path
from typing import Annotated

import typer

from neuroana.cli.options import AnyFile, Modality, ReaderOptions, read_checked
from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


def command(
    path: AnyFile,
    out: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF to write; default NAME.png.")
    ] = None,
    modality: Modality = None,
    option: ReaderOptions = None,
) -> None:
    """Draw a recording's signals (spikes: their rates) into a picture."""
    from neuroana.core.store import atomic_path
    from neuroana.plot.axes import figure_of, traces
    from neuroana.report.data_quality import plot_rates

    ds = read_checked(path, modality, option)
    target = out or Path(f"{path.name.split('.')[0]}.png")
    kind = target.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise ParameterError(message("--out", "a .png, .svg or .pdf file", target))
    spikes = ds.attrs["modality"] == "spikes"
    figure = figure_of(plot_rates(ds) if spikes else traces(ds["signal"]))
    with atomic_path(target) as part:
        figure.savefig(part, format=kind, dpi=150)
    typer.echo(target)
