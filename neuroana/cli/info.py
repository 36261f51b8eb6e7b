"""``neuroana info``: what is in a file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from neuroana.cli.options import key_values, print_json, print_table


def command(
    path: Annotated[Path, typer.Argument(help="A recording, of any known format.")],
    modality: Annotated[
        str | None, typer.Option(help="eeg, ieeg, fmri, calcium or spikes.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Reader's option: sampling_rate=0.5")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Say what is in a file: modality, rate, signals, events, and how good it is."""
    from neuroana.core.contract import check, label_of
    from neuroana.io.dispatch import read
    from neuroana.report.data_quality import quality

    options: dict[str, Any] = key_values(option or [], "option")
    ds = check(read(path, **({"modality": modality} if modality else {}), **options))
    space = ds["signal"].dims[1]
    names = [str(n) for n in ds[space].to_numpy()]
    facts = {
        "file": str(path),
        "recording": label_of(ds),
        "modality": ds.attrs["modality"],
        "units": ds["signal"].attrs["units"],
        **quality(ds),
        "synthetic": bool(ds.attrs.get("synthetic", 0)),
    }
    if json:
        print_json({**facts, space: names})
        return
    shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    rows = [[k, ", ".join(v) if isinstance(v, list) else v] for k, v in facts.items()]
    print_table(["property", "value"], [*rows, [space, shown]])
