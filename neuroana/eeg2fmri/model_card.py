"""A fitted model as a folder that others can read, check and load.

| file                | holds                                                    |
| ------------------- | -------------------------------------------------------- |
| README.md           | the model card: what it predicts, how well, its limits   |
| weights.safetensors | tensors of a network, under their own names              |
| learned.nc          | everything else that was learned                         |
| config.json         | class and parameters                                     |
| schema.json         | channels, regions, atlas, units, window, target scaling  |
| training.json       | runs seen, seed, versions, scores, SHA-256 of the others |

``training.json`` is written last: a folder without it is half-written. Nothing is a
pickle.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError, SchemaError
from neuroana.core.estimator import Estimator
from neuroana.core.provenance import plain, sha256_of, versions
from neuroana.core.store import (
    read_json,
    read_netcdf,
    write_json,
    write_netcdf,
    write_text,
)
from neuroana.eeg2fmri.windowed_runs import RATE
from neuroana.eeg2fmri.windows import LENGTH


WEIGHTS, LEARNED, SEAL = "weights.safetensors", "learned.nc", "training.json"
FLAT = "weights"  # the variable that the safetensors file replaces
SCORES = ("model", "roi", "r", "low", "high", "n_volumes", "n_eff", "p_family", "q")


def write_model(
    model: Any, folder: str | Path, *, statistics: pd.DataFrame | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Write a fitted model as a folder with its card.

    Use it to hand a model on; ``model.save`` writes one file for yourself.

    Parameters
    ----------
    model : fitted estimator of this wing
    folder : str or Path
        Files of that name in it are replaced.
    statistics : DataFrame, optional
        Rows of :func:`region_statistics` on runs that the model never saw.
    about : dict, optional
        What the model cannot know: ``reference``, ``filters``, ``tr``, ``data``,
        ``licence``; goes into schema and card.

    Returns
    -------
    Path

    Examples
    --------
    >>> import tempfile
    >>> from neuroana.eeg2fmri import BandPowerRidge, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     where = write_model(BandPowerRidge().fit(runs[:1]), folder)
    ...     again = read_model(where)
    ...     sorted(p.name for p in where.iterdir())
    ['README.md', 'config.json', 'learned.nc', 'schema.json', 'training.json']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SEAL).unlink(missing_ok=True)
    learned = model.to_dataset()
    parts = [LEARNED, "config.json", "schema.json", "README.md"]
    if FLAT in learned:
        model.export_weights(folder / WEIGHTS)
        learned = learned.drop_vars(FLAT)
        parts.insert(0, WEIGHTS)
    write_netcdf(learned, folder / LEARNED)
    write_json(
        {"class": type(model).__name__,
         "parameters": json.loads(learned.attrs["parameters"])},
        folder / "config.json",
    )  # fmt: skip
    schema, training = schema_of(model, about), training_of(model, statistics)
    write_json(schema, folder / "schema.json")
    write_text(card(model, schema, training), folder / "README.md")
    training["sha256"] = {name: sha256_of(folder / name) for name in parts}
    write_json(training, folder / SEAL)
    return folder


def read_model(folder: str | Path) -> Estimator:
    """Load what :func:`write_model` wrote, after checking every file.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    fitted estimator

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    CorruptFileError
        If the folder is half-written, or a file is missing or was changed.
    SchemaError
        If the weights are of another network.

    Examples
    --------
    >>> import tempfile
    >>> from neuroana.eeg2fmri import BandPowerRidge, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(1, n_volumes=150, random_state=0)
    >>> model = BandPowerRidge().fit(runs)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = read_model(write_model(model, folder))
    >>> bool((again.predict(runs[0]) == model.predict(runs[0])).all())
    True
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            message(f"{folder}", "a model folder", "no such folder")
        )
    if not (folder / SEAL).is_file():
        raise CorruptFileError(
            message(f"{folder}", f"a whole model with {SEAL}", "it is not there",
                    "write the model again")
        )  # fmt: skip
    for name, digest in read_json(folder / SEAL)["sha256"].items():
        path = folder / name
        if not path.is_file():
            raise CorruptFileError(message(f"{path}", "a part of the model", "missing"))
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise CorruptFileError(
                message(f"{path}", f"SHA-256 {digest[:12]}...", "another content",
                        "fetch the model again")
            )  # fmt: skip
    ds = read_netcdf(folder / LEARNED).load()
    if (folder / WEIGHTS).is_file():
        ds[FLAT] = flat_weights(folder, json.loads(ds.attrs["learned"]))
    return Estimator.from_dataset(ds, folder)


def flat_weights(folder: Path, learned: Mapping[str, Any]) -> xr.DataArray:
    """Tensors of the file in the order in which the estimator keeps them."""
    from neuroana.learn.checkpoints import read_weights

    tensors, _ = read_weights(folder / WEIGHTS)
    shapes = learned["weight_shapes_"]
    wrong = [
        f"{k} {list(tensors[k].shape) if k in tensors else 'missing'}, not {shape}"
        for k, shape in shapes.items()
        if k not in tensors or list(tensors[k].shape) != list(shape)
    ]
    if wrong:
        raise SchemaError(
            message(f"{folder / WEIGHTS}", f"{len(shapes)} tensors of this network",
                    "; ".join(wrong[:3]))
        )  # fmt: skip
    flat = [tensors[k].numpy().astype(np.float32).ravel() for k in shapes]
    return xr.DataArray(np.concatenate(flat), dims="weight")


def schema_of(model: Any, about: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes in and what comes out, under names."""
    rois = [str(r) for r in model.rois_.values]
    told = json.dumps([model.atlas_, rois])
    return {
        "channels": [str(c) for c in model.channels_.values],
        "regions": rois,
        "atlas": model.atlas_,
        "regions_sha256": hashlib.sha256(told.encode()).hexdigest(),
        "eeg": {"units": "V", "sampling_rate": RATE, "window_s": LENGTH,
                "scaling": "microvolt / 100, mean of the window removed"},
        "bold": {"units": "as recorded in training",
                 "centre": plain(model.target_centre_.values),
                 "scale": plain(model.target_scale_.values),
                 "scaling": "whole runs" if model.paper_mode else "training volumes"},
        **plain(dict(about or {})),
    }  # fmt: skip


def training_of(model: Any, statistics: pd.DataFrame | None) -> dict[str, Any]:
    """What the model saw, with what seed and versions, and how it did."""
    spans = model.spans_
    rows = zip(spans["label"].values.tolist(), spans.values.tolist())
    made: dict[str, Any] = {
        "seen": [{"run": str(run), "seconds": span} for run, span in rows],
        "leaky": bool(model.leaky_),
        "versions": versions(),
    }
    for name in ("seed_", "device_", "precision_", "best_epoch_", "n_parameters_"):
        if hasattr(model, name):
            made[name.rstrip("_")] = plain(getattr(model, name))
    if getattr(model, "weights_report_", ""):
        made["weights"] = json.loads(model.weights_report_)
    if statistics is not None:
        known = [c for c in SCORES if c in statistics]
        table = statistics[known].astype(object).where(statistics[known].notna(), None)
        made["scores"] = plain(table.to_dict("records"))
    return made


def card(model: Any, schema: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """The model card, in Markdown."""
    runs = dict.fromkeys(row["run"] for row in training["seen"])
    seconds = sum(row["seconds"][1] - row["seconds"][0] for row in training["seen"])
    size = training.get("n_parameters")
    lines = [
        f"# {type(model).__name__}: BOLD of {len(schema['regions'])} regions from EEG",
        "",
        f"Predicts one value a region and volume from the {LENGTH:g} s of EEG before "
        f"the volume ({len(schema['channels'])} channels, {RATE:g} Hz)"
        + (f", with {size:,} weights." if size else "."),
        "",
        "```python",
        "from neuroana.eeg2fmri import read_model",
        "",
        "prediction = read_model(folder).predict(eeg, times=volume_times)",
        "```",
        "",
        "## Data",
        "",
        f"Trained on {len(runs)} runs, {seconds / 3600:.1f} h of EEG. "
        + str(schema.get("data", "Where they come from was not stated.")),
        "",
        f"- Channels: {', '.join(schema['channels'])}",
        f"- Atlas: {schema['atlas'] or 'not stated'}",
        f"- Targets scaled by: {schema['bold']['scaling']}",
    ]
    lines += [f"- {k}: {schema[k]}" for k in ("reference", "filters", "tr", "licence")
              if k in schema]  # fmt: skip
    lines += ["", "## How well", "", *score_lines(training.get("scores"))]
    lines += ["", "## Limits", ""]
    if training["leaky"]:
        lines.append("- Training and validation touch, or targets were scaled over "
                     "whole runs: scores are too good.")  # fmt: skip
    lines += [
        "- A prediction may follow arousal, heart beat or movement, which reach both "
        "EEG and BOLD; see R without the global signal and the confound audit.",
        "- Squared error shrinks predictions: amplitudes are too small by design.",
        "- Valid for these channels, this kind of recording and condition; not for "
        "clinical use.",
        "",
        "Parameters are in `config.json`, what was seen in `training.json`.",
    ]
    return "\n".join(lines) + "\n"


def score_lines(scores: list[dict] | None) -> list[str]:
    """R with volumes, independent samples and p: never R alone."""
    if not scores:
        return ["Not tested on runs that it has not seen. Claim nothing."]

    def told(value, digits):
        return "not testable" if value is None else f"{value:.{digits}f}"

    rows = [
        f"| {s['roi']} | {told(s['r'], 2)} | {s['n_volumes']} | "
        f"{told(s['n_eff'], 0)} | {told(s['p_family'], 3)} |"
        for s in sorted(scores, key=lambda s: -(s["r"] or -1.0))
    ]
    return ["On runs that training had not seen; p is family-wise over regions.", "",
            "| region | R | volumes | independent | p |",
            "| --- | --- | --- | --- | --- |", *rows]  # fmt: skip
