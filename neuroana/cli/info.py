"""``neuroana info``: what is in a file."""

from neuroana.cli.options import (
    AnyFile,
    AsJson,
    Modality,
    ReaderOptions,
    print_json,
    print_table,
    read_checked,
)


def command(
    path: AnyFile,
    modality: Modality = None,
    option: ReaderOptions = None,
    json: AsJson = False,
) -> None:
    """Say what is in a file: modality, rate, signals, events, and how good it is."""
    from neuroana.core.contract import label_of
    from neuroana.report.data_quality import quality

    ds = read_checked(path, modality, option)
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
