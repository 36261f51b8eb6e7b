"""From traces to communities that come and go: ``DynamicConnectome``."""

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.base import clone

from neuroana.connectome import dynamics
from neuroana.connectome.affinity import RECTIFIED, fold
from neuroana.connectome.differential_affinity import PAPER, DifferentialAffinity
from neuroana.connectome.event_courses import (
    event_vectors,
    flat_courses,
    gather_events,
)
from neuroana.connectome.event_statistics import event_statistics
from neuroana.connectome.motif_communities import MotifCommunities
from neuroana.connectome.non_negative_cp import NonNegativeCP
from neuroana.connectome.nulls import members_of, null_test
from neuroana.connectome.tensors import neurons_of
from neuroana.core.checks import check_choice
from neuroana.core.estimator import Estimator
from neuroana.core.random import branch_seed, draw_seed


class DynamicConnectome(Estimator):
    """Traces to motifs, communities and their course, in one call.

    :class:`DifferentialAffinity`, :class:`NonNegativeCP` and :class:`MotifCommunities`
    one after the other. Rectified affinities have a positive mean, so a baseline
    component is added unless `preset` says otherwise.

    Parameters
    ----------
    affinity : DifferentialAffinity, optional
    factorization : NonNegativeCP, optional
        When left out, five motifs; layout "single" for one animal, and that of the
        affinity for several.
    communities : MotifCommunities, optional
    preset : {None, "dyballa2024"}
        No baseline, exponential weights, no strength correction: what is known of the
        paper. See the page on fidelity.
    random_state : int, Generator or None
        Used for parts that have none.

    Attributes
    ----------
    affinity_ : DifferentialAffinity
    factorization_ : NonNegativeCP
    communities_ : MotifCommunities
        The fitted parts; :meth:`save` writes all three to one file.
    tensor_ : DataArray or AffinityOperator
        Not saved.

    Examples
    --------
    >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
    >>> from neuroana.connectome import simulate_motifs
    >>> recordings, truth = simulate_motifs(
    ...     n_neurons=16, n_samples=200, random_state=0)
    >>> model = DynamicConnectome(
    ...     factorization=NonNegativeCP(2, "single", n_init=2), random_state=0)
    >>> model.fit(recordings).labels_over_time().dims
    ('time', 'neuron')
    """

    _citation = PAPER

    def __init__(
        self,
        affinity=None,
        factorization=None,
        *,
        communities=None,
        preset=None,
        random_state=None,
    ):
        self.affinity = affinity
        self.factorization = factorization
        self.communities = communities
        self.preset = preset
        self.random_state = random_state

    def fit(self, X, y=None):
        """Make the tensor, its motifs and their communities.

        Parameters
        ----------
        X : recording or collection of recordings
        y : ignored

        Returns
        -------
        DynamicConnectome
            Itself.
        """
        check_choice("preset", self.preset, [None, "dyballa2024"])
        self.seed_ = draw_seed(self.random_state)
        self._events = gather_events(X)
        affinity, factorization, communities = self._parts(len(members_of(X)))
        self._tensor = affinity.fit_transform(X)
        self.affinity_ = affinity
        self.factorization_ = factorization.fit(self._tensor)
        self.communities_ = communities.fit(self.factorization_)
        return self

    @property
    def tensor_(self):
        """The affinity tensor, or the operator that stands for it."""
        return self._tensor

    def _parts(self, n_animals):
        """Fresh copies of the parts with seeds, and the preset's values."""
        affinity = clone(self.affinity) if self.affinity else DifferentialAffinity()
        layout = "single" if n_animals == 1 else affinity.layout
        given = self.factorization is not None
        factorization = clone(self.factorization) if given else NonNegativeCP(5, layout)
        communities = clone(self.communities) if self.communities else (
            MotifCommunities()
        )  # fmt: skip
        able = factorization.layout not in ("symmetric", "ll1")
        if not given and affinity.kind in RECTIFIED and able:
            factorization.set_params(baseline=self.preset is None)
        if self.preset:
            communities.set_params(preset=self.preset)
        for number, part in enumerate((factorization, communities)):
            if part.random_state is None:
                part.set_params(random_state=branch_seed(self.seed_, number))
        return affinity, factorization, communities

    def strength(self) -> xr.DataArray:
        """g: how strong each motif is at each time, baseline left out.

        Returns
        -------
        DataArray (time, component), or (time, animal, component)

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, _ = simulate_motifs(
        ...     n_neurons=12, n_samples=150, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> model.fit(recordings).strength().dims
        ('time', 'component')
        """
        cp = self._fitted().factorization_
        keep = [c for c in cp.component.values if c != "baseline"]
        g = cp.time_ * cp.weights_
        if cp.layout == "aligned" and cp.animal_.sizes["animal"] > 1:
            g = (g * cp.animal_).transpose("time", "animal", "component")
        return g.sel(component=keep).rename("strength")

    def graph(self, time, *, animal=None) -> xr.DataArray:
        """The reconstructed graph at a time, sum over motifs of strength times motif.

        Parameters
        ----------
        time : float
            Seconds; the nearest sample is taken.
        animal : str, optional
            Of several; the mean over animals when left out on a common clock.

        Returns
        -------
        DataArray (source, target)

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, _ = simulate_motifs(
        ...     n_neurons=12, n_samples=150, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> model.fit(recordings).graph(30.0).shape
        (12, 12)
        """
        g = self._of_animal(self.strength(), animal)
        at = int(np.abs(g["time"].values - time).argmin())
        pair = self.factorization_.pair_.sel(component=g["component"].values)
        names, _ = neurons_of(pair)
        values = np.nan_to_num(pair.to_numpy()) @ g.values[at]
        n_pairs = len(names) * (len(names) - 1) // 2
        return xr.DataArray(
            fold(values[:n_pairs]), dims=("source", "target"), name="graph",
            coords={"source": names, "target": names, "time": g["time"].values[at]},
        )  # fmt: skip

    def labels_over_time(self, *, method="strongest", level=0, animal=None):
        """Community of every neuron at every time.

        Parameters
        ----------
        method : {"strongest", "consensus"}
            Labels of the strongest motif; or Leiden of the co-assignments weighted with
            the strengths, which is slow.
        level : int
            Of the hierarchy, for "strongest".
        animal : str, optional

        Returns
        -------
        DataArray of int (time, neuron)
            -1 where a neuron has no community.

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, _ = simulate_motifs(
        ...     n_neurons=12, n_samples=150, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> model.fit(recordings).labels_over_time().shape
        (150, 12)
        """
        check_choice("method", method, ["strongest", "consensus"])
        g = self._of_animal(self.strength(), animal)
        communities = self.communities_
        if method == "strongest":
            level = min(level, communities.labels_.sizes["level"] - 1)
            labels = communities.labels_.isel(level=level).to_numpy()
            values = dynamics.strongest_labels(g.values, labels)
        else:
            together = dynamics.coassignment_at(
                g.values, communities.coassignment_.to_numpy()
            )
            values = dynamics.consensus_labels(together, self.seed_)
        return self._over_neurons(values, g, "label")

    def coassignment_over_time(self, times=None, *, animal=None) -> xr.DataArray:
        """Co-assignment of every two neurons, motifs weighted with their strength.

        Parameters
        ----------
        times : sequence of float, optional
            Seconds; every sample when left out, which takes ``8 T N^2`` bytes.
        animal : str, optional

        Returns
        -------
        DataArray (time, source, target)

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, _ = simulate_motifs(
        ...     n_neurons=12, n_samples=150, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> model.fit(recordings).coassignment_over_time([3.0, 30.0]).shape
        (2, 12, 12)
        """
        g = self._of_animal(self.strength(), animal)
        if times is not None:
            at = [int(np.abs(g["time"].values - t).argmin()) for t in times]
            g = g.isel(time=at)
        table = self.communities_.coassignment_
        values = dynamics.coassignment_at(g.values, table.to_numpy())
        return xr.DataArray(
            values, dims=("time", "source", "target"), name="coassignment",
            coords={"time": g["time"].values, "source": table["source"].values,
                    "target": table["target"].values},
        )  # fmt: skip

    def neuron_table(self, systems=None, *, animal=None) -> pd.DataFrame:
        """Flexibility, promiscuity and recruitment of every neuron.

        Parameters
        ----------
        systems : sequence, optional
            A fixed grouping of the neurons for the recruitment; the communities of the
            strongest motif when left out.
        animal : str, optional

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, _ = simulate_motifs(
        ...     n_neurons=12, n_samples=150, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> model.fit(recordings).neuron_table().columns.tolist()
        ['neuron', 'flexibility', 'promiscuity', 'recruitment']
        """
        labels = self.labels_over_time(animal=animal)
        if systems is None:
            systems = self.communities_.labels_.isel(component=0, level=0).values
        return pd.DataFrame({
            "neuron": labels["neuron"].values,
            "flexibility": dynamics.flexibility(labels.values),
            "promiscuity": dynamics.promiscuity(labels.values),
            "recruitment": dynamics.recruitment(labels.values, systems),
        })  # fmt: skip

    def event_table(
        self, events=None, *, n_shifts=1000, min_shift=30.0, random_state=0
    ) -> pd.DataFrame:
        """Whether a motif follows a stimulus or a behaviour.

        Parameters
        ----------
        events : DataFrame, mapping of str to DataFrame, or mapping of str to array
            Onset, duration and trial_type (one table, or one an animal by name); or
            vectors along ``tensor_.time``, true where the behaviour is on. Those of
            the recordings when left out.
        n_shifts : int
            Circular shifts of the events within each animal.
        min_shift : float
            Seconds that a shift has at least.
        random_state : int

        Returns
        -------
        DataFrame
            event, component, auc, difference, p, p_corrected (family-wise over
            components), q (false discovery rate over the table).

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, truth = simulate_motifs(
        ...     n_neurons=12, n_samples=400, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> table = model.fit(recordings).event_table(
        ...     {"second regime": truth.course.values == 1}, n_shifts=99)
        >>> len(table)
        2
        """
        g = self.strength()
        courses, time, owner, names = flat_courses(g, self.factorization_)
        events = getattr(self, "_events", None) if events is None else events
        on = event_vectors(events, time, owner, names, len(g["time"]))
        dt = float(np.median(np.diff(time[owner == owner[0]])))
        return event_statistics(
            courses, on, owner, dt, components=g["component"].values.tolist(),
            n_shifts=n_shifts, min_shift=min_shift, seed=draw_seed(random_state),
        )  # fmt: skip

    def null(self, recordings, kind="circular", n=99, *, random_state=None):
        """Test the motifs against surrogates of the recordings; see ``null_test``.

        Parameters
        ----------
        recordings : recording or collection
            Those of the fit.
        kind : {"circular", "phase", "common_phase", "animal"}
        n : int
        random_state : int, Generator or None

        Returns
        -------
        Dataset
            observed, null (draw), p_value; score and gap (component) with their own.

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, _ = simulate_motifs(
        ...     n_neurons=12, n_samples=150, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> model.fit(recordings).null(recordings, n=3, random_state=0).sizes["draw"]
        3
        """
        self._fitted()
        return null_test(
            recordings, kind, n, affinity=self.affinity_,
            factorization=self.factorization_, communities=self.communities_,
            random_state=random_state,
        )  # fmt: skip

    def plot(self, component=0, **options):
        """The card of one motif: matrix, course, animals.

        Examples
        --------
        >>> from neuroana.connectome import DynamicConnectome, NonNegativeCP
        >>> from neuroana.connectome import simulate_motifs
        >>> recordings, _ = simulate_motifs(
        ...     n_neurons=12, n_samples=150, random_state=0)
        >>> base = NonNegativeCP(2, "single", n_init=2)
        >>> model = DynamicConnectome(factorization=base, random_state=0)
        >>> len(model.fit(recordings).plot())
        2
        """
        from neuroana.connectome.plots import plot_motif

        return plot_motif(self._fitted().factorization_, component,
                          communities=self.communities_, **options)  # fmt: skip

    def _fitted(self):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return self

    def _of_animal(self, g, animal):
        """Strength (time, component) of one animal, or the mean over animals."""
        if "animal" in g.dims:
            return g.mean("animal") if animal is None else g.sel(animal=animal)
        if animal is not None and "animal" in g.coords:
            return g.isel(time=np.flatnonzero(g["animal"].values == animal))
        return g

    def _over_neurons(self, values, g, name):
        along = {k: c.variable for k, c in g.coords.items() if c.dims == ("time",)}
        names = self.communities_.labels_["neuron"].values
        return xr.DataArray(values, dims=("time", "neuron"), name=name,
                            coords={**along, "neuron": names})  # fmt: skip
