"""``neuroana show``: a figure of what is in a file."""

from pathlib import Path
from typing import Annotated

import typer

from neuroana.cli.options import key_values
from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


def command(
    path: Annotated[Path, typer.Argument(help="A recording, of any known format.")],
    out: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF to write; default NAME.png.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="eeg, ieeg, fmri, calcium or spikes.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Reader's option: sampling_rate=0.5")
    ] = None,
) -> None:
    """Draw a recording's signals (spikes: their rates) into a picture."""
    from neuroana.core.contract import check
    from neuroana.core.store import atomic_path
    from neuroana.io.dispatch import read
    from neuroana.plot.axes import figure_of, traces
    from neuroana.report.data_quality import plot_rates

    options = key_values(option or [], "option")
    ds = check(read(path, **({"modality": modality} if modality else {}), **options))
    target = out or Path(f"{path.name.split('.')[0]}.png")
    kind = target.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise ParameterError(message("--out", "a .png, .svg or .pdf file", target))
    spikes = ds.attrs["modality"] == "spikes"
    figure = figure_of(plot_rates(ds) if spikes else traces(ds["signal"]))
    with atomic_path(target) as part:
        figure.savefig(part, format=kind, dpi=150)
    typer.echo(target)
