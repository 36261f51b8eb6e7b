"""A core-set of recordings by any selector, with strata and what it covers."""

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.utils.validation import check_is_fitted

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import DataWarning, ParameterError
from neuroana.core.estimator import Estimator
from neuroana.core.random import branch, draw_seed
from neuroana.fc.samples import cut_samples
from neuroana.fc.selection_data import UNITS, SelectionData
from neuroana.fc.selectors import SELECTORS


COVARIATES = ("site", "group", "sex", "age", "motion", "label")
LOPSIDED = 0.1  # total variation above which a warning is given


class CoreSet(Estimator):
    """Choose a part of the recordings to compare expensive operators on.

    Use ``'random'`` with `stratify` unless your own data show better: random people are
    hard to beat, and ``benchmarks/fc_coreset.py`` sets every selector beside them.
    Cost: nothing for random; a training of the encoder for those that need labels.

    Parameters
    ----------
    selector : str
        A name of :func:`list_selectors`.
    fraction : float
        Share of the units that is kept.
    size : int, optional
        Number of units instead.
    unit : {'subject', 'window'}
        A person with all windows, or single windows. A tenth of the windows has hardly
        a pair within a person, so scores of fingerprints are noise on it.
    stratify : str or sequence of str, optional
        Columns; every stratum gives its share.
    window, step, window_volumes, step_volumes, groups : as in OperatorBenchmark
    label : str
        Column that label-driven selectors learn.
    epochs : int
        Of their classifier.
    device : str
    random_state : int, Generator or None

    Attributes
    ----------
    selected_ : list of str
        Names of people (or windows).
    coverage_ : DataArray (covariate,)
        Total variation between the distribution in the core-set and in all.
    cost_s_ : float
        CPU seconds of the choice.

    Examples
    --------
    >>> import neuroana as na
    >>> recordings, _ = na.fc.simulate_people(10, n_roi=4, n_samples=60, n_sites=2,
    ...                                       random_state=0)
    >>> core = na.fc.CoreSet("herding", 0.4, stratify="site").fit(recordings)
    >>> len(core.selected_), len(core.select(recordings))
    (4, 4)
    """

    def __init__(
        self,
        selector="random",
        fraction=0.1,
        *,
        size=None,
        unit="subject",
        stratify=None,
        window=None,
        step=None,
        window_volumes=None,
        step_volumes=None,
        groups="subject",
        label="person",
        epochs=200,
        device="auto",
        random_state=None,
    ):
        self.selector = selector
        self.fraction = fraction
        self.size = size
        self.unit = unit
        self.stratify = stratify
        self.window = window
        self.step = step
        self.window_volumes = window_volumes
        self.step_volumes = step_volumes
        self.groups = groups
        self.label = label
        self.epochs = epochs
        self.device = device
        self.random_state = random_state

    def fit(self, X, y=None, *, cheap_scores=None):
        """Choose.

        Parameters
        ----------
        X : recordings, list, ndarray (recording, time, roi) or Samples
        y : sequence, Series or mapping, optional
            Becomes the column ``label``.
        cheap_scores : callable, optional
            For ``'matched'``: scores (draw, operator) for weights (draw, person).
        """
        made = SELECTORS[check_choice("selector", self.selector, SELECTORS)]
        check_choice("unit", self.unit, UNITS)
        check_number("fraction", self.fraction, minimum=0.0, maximum=1.0)
        samples = cut_samples(
            X, self.window, step=self.step, window_volumes=self.window_volumes,
            step_volumes=self.step_volumes, groups=self.groups, y=y,
        )  # fmt: skip
        if made.needs == "cheap" and (cheap_scores is None or self.unit != "subject"):
            raise ParameterError(
                message("selector 'matched'", "cheap_scores and unit='subject'",
                        f"{cheap_scores}, {self.unit!r}")
            )  # fmt: skip
        self.seed_ = draw_seed(self.random_state)
        start = time.process_time()
        self._data = SelectionData(samples, self.unit, self.seed_, self.epochs,
                                   self.label, cheap_scores, self.device)  # fmt: skip
        self.selected_ = self.choose()
        self.cost_s_ = time.process_time() - start
        self.coverage_ = coverage_of(samples.table, self.unit, self.selected_)
        return self

    def choose(self, fraction=None, *, size=None, draw=0) -> list[str]:
        """Names of the chosen units, for another size or another draw.

        What the selector learned is kept: all sizes cost one training.
        """
        data = self._data
        n = self._size(fraction, size, len(data))
        rng = branch(self.seed_, 9, draw)
        function = SELECTORS[self.selector].function
        if self.stratify is None:
            return data.names[function(data, n, rng)].tolist()
        return self._by_strata(function, data, n, rng)

    def _size(self, fraction, size, total) -> int:
        if size is None and fraction is None:
            size, fraction = self.size, self.fraction
        n = size if size is not None else max(1, round(fraction * total))
        return int(check_number("size", n, minimum=1, maximum=total, integer=True))

    def _by_strata(self, function, data, n, rng) -> list[str]:
        columns = [self.stratify] if isinstance(self.stratify, str) else self.stratify
        strata = np.array(["/".join(map(str, row)) for row in
                           zip(*[data.column(c) for c in columns])])  # fmt: skip
        chosen: list[str] = []
        for name, share in quotas(strata, n, rng).items():
            if share:
                part = _Stratum(data, np.flatnonzero(strata == name))
                chosen += data.names[part.members[function(part, share, rng)]].tolist()
        return sorted(chosen)

    def select(self, X):
        """The recordings of the chosen people.

        Parameters
        ----------
        X : Recordings, or list of recordings
            Those that :meth:`fit` saw.
        """
        check_is_fitted(self)
        if self.unit != "subject":
            raise ParameterError(
                message("select", "unit='subject'", repr(self.unit),
                        "take windows by selected_")
            )  # fmt: skip
        table = self._data.samples.table
        keep = set(table["recording"][table["person"].isin(self.selected_)])
        mask = [k in keep for k in range(len(self._data.samples.group.labels))]
        if hasattr(X, "table"):
            return X[np.array(mask)]
        return [x for x, use in zip(X, mask) if use]


class _Stratum:
    """Selection data of some units only."""

    def __init__(self, data: SelectionData, members: np.ndarray):
        self.data, self.members = data, members

    def __len__(self) -> int:
        return len(self.members)

    @property
    def features(self) -> np.ndarray:
        return self.data.features[self.members]

    @property
    def dynamics(self):
        return self.data.dynamics

    def mean(self, values) -> np.ndarray:
        return self.data.mean(values)[self.members]

    def cheap_scores(self, weights) -> np.ndarray:
        whole = np.zeros((len(weights), len(self.data)))
        whole[:, self.members] = weights
        return self.data.cheap_scores(whole)


def quotas(strata, size, rng) -> dict[str, int]:
    """Units of every stratum: its share rounded down, the rest by largest remainder.

    Examples
    --------
    >>> quotas(np.array(["a"] * 6 + ["b"] * 4), 5, np.random.default_rng(0))
    {'a': 3, 'b': 2}
    """
    names, counts = np.unique(strata, return_counts=True)
    exact = counts * size / counts.sum()
    base = np.floor(exact).astype(int)
    rest = exact - base + 1e-9 * rng.random(len(names))
    for k in np.argsort(-rest)[: size - base.sum()]:
        base[k] += 1
    return {str(name): int(n) for name, n in zip(names, base)}


def coverage_of(table: pd.DataFrame, unit: str, selected) -> xr.DataArray:
    """Total variation of covariates between the chosen units and all.

    Numbers with more than six values are cut into terciles. A warning names those
    above 0.1 that chance alone would not explain at this size.
    """
    column = "person" if unit == "subject" else "sample"
    units = table.drop_duplicates(column)
    chosen = units[column].astype(str).isin(list(selected)).to_numpy()
    found: dict[str, float] = {}
    for name in units.columns:
        short = [c for c in COVARIATES if c in str(name).lower()]
        if not short and "fd" not in str(name).lower():
            continue
        values: Any = units[name]
        if values.isna().all():
            continue
        if pd.api.types.is_numeric_dtype(values) and values.nunique() > 6:
            values = pd.qcut(values, 3, labels=False, duplicates="drop")
        share = values[chosen].value_counts(normalize=True)
        whole = values.value_counts(normalize=True)
        gap = (share.reindex(whole.index).fillna(0) - whole).abs().sum() / 2
        found[str(name)] = float(gap)
        if gap > max(LOPSIDED, _by_chance(values, chosen.sum())):
            warnings.warn(
                f"The core-set differs from all in {name!r}: total variation "
                f"{gap:.2f}, more than random units would. Pass stratify.",
                DataWarning,
                stacklevel=3,
            )
    return xr.DataArray(list(found.values()), dims="covariate", name="coverage",
                        coords={"covariate": list(found)})  # fmt: skip


def _by_chance(values, size) -> float:
    """Total variation that 95 of 100 random choices stay below."""
    values = values.dropna().to_numpy()
    codes = np.unique(values, return_inverse=True)[1]
    share = np.bincount(codes) / len(codes)
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(codes)[:size] for _ in range(100)]
    counts = np.stack([np.bincount(c, minlength=len(share)) for c in drawn])
    gaps = np.abs(counts / size - share).sum(axis=1) / 2
    return float(np.quantile(gaps, 0.95))


def list_selectors() -> pd.DataFrame:
    """Table of the selectors: definition, source, what they need.

    Left out, as its formula could not be had from the paper: BOSS (Acharya et al.,
    ICML 2024).

    Examples
    --------
    >>> list_selectors().loc["k_center", "source"]
    'Sener and Savarese, ICLR 2018'
    """
    rows = SELECTORS.values()
    columns = ("source", "needs", "drawn", "definition")
    return pd.DataFrame({c: [getattr(s, c) for s in rows] for c in columns},
                        index=pd.Index(list(SELECTORS), name="selector"))  # fmt: skip
