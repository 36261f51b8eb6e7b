"""All models under one protocol: who predicts what of people, blocks or conditions."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from neuroana.core.checks import check_choice, message
from neuroana.core.contract import ENTITIES, SCHEMA
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.progress import track
from neuroana.core.provenance import record
from neuroana.core.random import draw_seed
from neuroana.eeg2fmri.band_power_ridge import (
    OCCIPITAL,
    AlphaRegressor,
    BandPowerRidge,
    GlobalOnly,
)
from neuroana.eeg2fmri.kernel_models import KernelRidge, NearestNeighbour
from neuroana.eeg2fmri.lagged_spectral_ridge import LaggedSpectralRidge
from neuroana.eeg2fmri.mean_predictor import MeanPredictor
from neuroana.eeg2fmri.spectral_conv_net import SpectralConvNet
from neuroana.eeg2fmri.spectrogram_ridge import SpectrogramRidge
from neuroana.eeg2fmri.windowed_runs import WindowedRuns
from neuroana.eeg2fmri.windowing import as_windows
from neuroana.learn.splits import (
    GAP,
    BlockedGapKFold,
    ChronologicalSplit,
    CrossCondition,
    LeaveSubjectsOut,
    check_leakage,
)


PROTOCOLS = (
    "intra-scan",
    "chronological",
    "inter-subject",
    "cross-condition",
    "fine-tune",
)
APART = {"intra-scan": "run", "chronological": "run", "inter-subject": "subject",
         "cross-condition": "subject", "fine-tune": "run"}  # fmt: skip

logger = logging.getLogger(__name__)


def default_models(*, random_state: Any = 0) -> dict[str, Any]:
    """The models that every study meets first, by name.

    Use it as a start: ``{**default_models(), "network": EEGToFMRI.small()}``.

    Parameters
    ----------
    random_state : int, Generator or None
        Of the convolutional net and the random features.

    Returns
    -------
    dict of str to estimator

    Examples
    --------
    >>> list(default_models())[:2]
    ['band-power ridge', 'lagged ridge']
    """
    seed = draw_seed(random_state)
    return {
        "band-power ridge": BandPowerRidge(),
        "lagged ridge": LaggedSpectralRidge(),
        "spectrogram ridge": SpectrogramRidge(),
        "kernel ridge": KernelRidge(random_state=seed),
        "nearest neighbour": NearestNeighbour(),
        "convolutional net": SpectralConvNet(random_state=seed),
        "occipital alpha": AlphaRegressor(),
        "global only": GlobalOnly(),
        "mean": MeanPredictor(),
    }


def compare_models(
    X: Any,
    models: Any = "default",
    *,
    protocol: str = "intra-scan",
    n_splits: int = 5,
    gap: float = GAP,
    train: str | None = None,
    test: str | None = None,
    by: str = "task",
    paper_mode: bool = False,
    random_state: Any = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    """Predict every test volume once with every model.

    Use it to judge models: all see the same windows of the same folds, select within
    the training part, and meet the test part once. Cost: that of fitting each model
    in each fold; spectra are computed once a run.

    Parameters
    ----------
    X : runs or WindowedRuns
    models : 'default', estimator, or dict of str to estimator
    protocol : str
        ``'intra-scan'``, blocks of every run with gaps; ``'chronological'``, the
        published 80, 10 and 10 % of a run; ``'inter-subject'``, people not seen in
        training; ``'cross-condition'``, people and condition not seen in training;
        ``'fine-tune'``, as that, but the first half of each test run is for training
        too: models with ``partial_fit`` go on with it, others are fitted to both.
    n_splits : int
        Folds, where the protocol has them.
    gap : float
        Seconds between training and test within a run.
    train, test : str, optional
        Conditions of the last two protocols, values of `by`.
    by : str, default='task'
        ``'task'`` or ``'session'``.
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published; they see the test
        part, and the result says so.
    random_state : int, Generator or None
        Of the folds of people.
    progress : bool, optional

    Returns
    -------
    Dataset
        ``prediction`` (model, volume, roi) and ``truth`` (volume, roi), in recorded
        units; along `volume` the time, ``number``, ``fold``, ``label`` and the
        entities of the run. :func:`region_scores` makes the table.

    Raises
    ------
    LeakageError
        If a fold would let training and test touch.
    ParameterError
        If the protocol cannot be had with these runs.

    Examples
    --------
    >>> from neuroana.eeg2fmri import region_scores, simulate_eeg_fmri, summary
    >>> runs, _ = simulate_eeg_fmri(4, n_volumes=120, random_state=0)
    >>> made = compare_models(runs, BandPowerRidge(), protocol="inter-subject",
    ...                       n_splits=2)
    >>> dict(made.prediction.sizes)
    {'model': 1, 'volume': 448, 'roi': 4}
    >>> summary(region_scores(made)).columns.tolist()
    ['model', 'roi', 'r', 'mse_share', 'n_tests']
    """
    check_choice("protocol", protocol, PROTOCOLS)
    windows = as_windows(X, paper_mode=paper_mode)
    windows = windows[np.isfinite(windows.y).any(axis=1)]
    named = named_models(models, windows, random_state)
    seed = draw_seed(random_state)
    folds = checked_folds(
        windows, protocol=protocol, n_splits=n_splits, gap=gap, train=train, test=test,
        by=by, random_state=seed,
    )  # fmt: skip
    parts: list[xr.Dataset] = []
    for number, fold in enumerate(track(folds, "folds", progress=progress)):
        part = windows[fold["test"]]
        values = [
            fit_fold(model, windows, fold).predict(part) for model in named.values()
        ]
        parts.append(labelled(part, np.stack(values), list(named), number))
    made = xr.concat(parts, dim="volume")
    made.attrs = {
        "neuroana_schema": SCHEMA, "protocol": protocol, "paper_mode": int(paper_mode),
        "gap": float(gap), "seed": seed, "n_folds": len(parts), "by": by,
        "train": str(train or ""), "test": str(test or ""), "atlas": windows.atlas,
        "synthetic": int(windows.synthetic),
    }  # fmt: skip
    return record(
        made, "eeg2fmri.compare_models", protocol=protocol, models=list(named)
    )


def named_models(models: Any, windows: WindowedRuns, random_state: Any) -> dict:
    """Estimators by name; of the default ones those that these channels allow."""
    if isinstance(models, str):
        check_choice("models", models, ["default"])
        named = default_models(random_state=random_state)
        if not set(windows.channels) & set(OCCIPITAL):
            logger.warning("no occipital electrode: 'occipital alpha' is left out")
            named.pop("occipital alpha")
        return named
    if isinstance(models, Mapping):
        if not models:
            raise ParameterError(message("argument 'models'", "a model", "none"))
        return {str(k): v for k, v in models.items()}
    return {type(models).__name__: models}


def checked_folds(
    windows: WindowedRuns, *, protocol: str = "intra-scan", n_splits: int = 5,
    gap: float = GAP, train: str | None = None, test: str | None = None,
    by: str = "task", random_state: Any = 0,
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """Folds of a protocol, each checked for leakage before anything is fitted."""
    check_choice("protocol", protocol, PROTOCOLS)
    seed = draw_seed(random_state)
    folds = list(folds_of(windows, protocol, n_splits, gap, train, test, by, seed))
    closest = gap if protocol in ("intra-scan", "fine-tune") else 0.0
    for fold in folds:
        seen = np.concatenate([fold["train"], fold["validation"], fold["adapt"]])
        check_leakage(windows, seen, fold["test"], gap=closest, apart=APART[protocol])
    return folds


def folds_of(
    windows: WindowedRuns, protocol, n_splits, gap, train, test, by, seed
) -> Iterator[dict[str, np.ndarray]]:
    """Positions of training, validation, adaptation and test windows, fold by fold."""
    nothing = np.array([], dtype=int)
    if protocol == "chronological":
        a, b, c = ChronologicalSplit().three_parts(windows)
        yield {"train": a, "validation": b, "adapt": nothing, "test": c}
        return
    if protocol == "intra-scan":
        splitter: Any = BlockedGapKFold(n_splits, gap=gap)
    elif protocol == "inter-subject":
        splitter = LeaveSubjectsOut(n_splits, random_state=seed)
    else:
        if train is None or test is None:
            raise ParameterError(
                message(
                    f"protocol {protocol!r}", "conditions train= and test=",
                    f"train={train!r}, test={test!r}",
                )
            )  # fmt: skip
        splitter = CrossCondition(
            train, test, by=by, n_splits=n_splits, random_state=seed
        )
    for a, b in splitter.split(windows):
        adapt = nothing
        if protocol == "fine-tune":
            early = ChronologicalSplit((0.5, 0.0, 0.5), gap=gap)
            one, _, two = early.three_parts(windows[b])
            adapt, b = b[one], b[two]
        yield {"train": a, "validation": nothing, "adapt": adapt, "test": b}


def fit_fold(model: Any, windows: WindowedRuns, fold: Mapping[str, np.ndarray]) -> Any:
    """A fresh model fitted to what a fold has for training."""
    fresh = clone(model)
    if len(fold["validation"]):
        return fresh.fit(windows[fold["train"]], validation=windows[fold["validation"]])
    if not len(fold["adapt"]):
        return fresh.fit(windows[fold["train"]])
    if hasattr(fresh, "partial_fit"):
        return fresh.fit(windows[fold["train"]]).partial_fit(windows[fold["adapt"]])
    both = np.sort(np.concatenate([fold["train"], fold["adapt"]]))
    return fresh.fit(windows[both])


def labelled(
    part: WindowedRuns, values: np.ndarray, names: list[str], fold: int
) -> xr.Dataset:
    """Predictions of one fold with the labels of their volumes."""
    table = part.table
    along = {
        "time": ("volume", table["time"].to_numpy(), {"units": "s"}),
        "number": ("volume", part.volumes),
        "fold": ("volume", np.full(len(part), fold)),
        "label": ("volume", table["label"].to_numpy(dtype=object)),
        **{e: ("volume", table[e].to_numpy(dtype=object)) for e in ENTITIES},
    }
    return xr.Dataset(
        {
            "prediction": (("model", "volume", "roi"), values),
            "truth": (("volume", "roi"), part.y),
        },
        coords={
            "model": np.array(names, dtype=object),
            "roi": np.array(part.rois, dtype=object),
            **along,
        },
    )


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Predictions of several models and folds as one Dataset, in order of folds."""
    by_model: dict[str, list[xr.Dataset]] = {}
    for part in parts:
        by_model.setdefault(str(part["model"].values[0]), []).append(part)
    made = []
    for name in by_model:
        folds = sorted(by_model[name], key=lambda p: int(p["fold"].values[0]))
        made.append(xr.concat(folds, dim="volume", combine_attrs="drop_conflicts"))
    sizes = {m.sizes["volume"] for m in made}
    first = made[0]
    same = len(sizes) == 1 and all(
        (m["label"].values == first["label"].values).all()
        and (m["number"].values == first["number"].values).all()
        for m in made
    )
    if not same:
        raise SchemaError(
            message("predictions", "the same volumes of every model", sorted(sizes),
                    "predict all folds with every model")
        )  # fmt: skip
    whole = first.drop_dims("model").assign_coords(
        model=np.array(list(by_model), dtype=object)
    )
    values = np.concatenate([m["prediction"].values for m in made])
    return whole.assign(prediction=(("model", "volume", "roi"), values))
