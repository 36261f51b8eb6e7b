"""What a fit says about its data beforehand, and about itself afterwards."""

import warnings

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import (
    DataWarning,
    EmptyStateWarning,
    FitWarning,
    ParameterError,
    SchemaError,
)


DISAGREE = 0.9  # adjusted Rand index of the two best starts below which we warn
COLLINEAR = 1e8  # condition number of the regressors' correlations
MANY = 400  # regressors above which that is not looked at


def before_fit(model, observed, flat):
    """Say what in the data should be looked at; refuse what cannot be fitted."""
    sequences = observed.sequences
    if flat.all():
        raise SchemaError(
            message(
                "X", f"at least one {sequences.dim} that changes", "only constant ones"
            )
        )
    if model.n_states > len(observed.x):
        raise ParameterError(
            message(
                "argument 'n_states'", f"at most {len(observed.x)}, the number of bins",
                model.n_states,
            )
        )  # fmt: skip
    if flat.any() and model.covariance == "full":
        raise SchemaError(
            message(
                f"X: {sequences.dim} {', '.join(map(str, sequences.names[flat][:8]))}",
                "signals that change, for covariance='full'", "constant ones",
                "drop them",
            )
        )  # fmt: skip
    if flat.any():
        names = [str(n) for n in observed.names[flat]]
        warnings.warn(
            message(
                f"X: {observed.dim} {', '.join(names[:8])}",
                "values that change",
                f"{len(names)} silent or constant",
                "it has a baseline only; drop it if that is not meant",
            ),
            DataWarning,
            stacklevel=4,
        )
    wanted = model.n_states * observed.design.shape[1]
    if wanted > len(observed.x):
        warnings.warn(
            message(
                "X",
                f"more bins than coefficients a unit ({wanted})",
                f"{len(observed.x)} bins",
                "use fewer states, a shorter history or a prior",
            ),
            DataWarning,
            stacklevel=4,
        )
    check_regressors(observed)


def check_regressors(observed):
    """Warn of inputs that never change and of columns that say the same."""
    n_inputs = len(observed.input_names)
    columns = observed.design[:, 1:]
    spread = columns.std(axis=0)
    still = spread[columns.shape[1] - n_inputs :] == 0
    if still.any():
        names = ", ".join(map(str, observed.input_names[still]))
        warnings.warn(
            message(
                f"inputs: {names}", "values that change", "constant ones",
                "leave them out: the baseline is there already",
            ),
            DataWarning,
            stacklevel=5,
        )  # fmt: skip
    moving = np.flatnonzero(spread > 0)
    if not 1 < len(moving) <= MANY:
        return
    z = (columns[:, moving] - columns[:, moving].mean(axis=0)) / spread[moving]
    value, vector = np.linalg.eigh(z.T @ z / len(z))
    if value[0] < value[-1] / COLLINEAR:
        worst = moving[np.argsort(-np.abs(vector[:, 0]))[:2]]
        warnings.warn(
            message(
                "X: history and inputs",
                f"a condition number below {COLLINEAR:g}",
                f"{value[-1] / max(value[0], 1e-300):.1g}; "
                f"most alike: {' and '.join(name_of(observed, w) for w in worst)}",
                "drop one of them; the prior alone decides between them",
            ),
            DataWarning,
            stacklevel=5,
        )


def name_of(observed, column):
    """Name of a column of the design after the first."""
    n_edges = observed.design.shape[1] - 1 - len(observed.input_names)
    if column >= n_edges:
        return f"input {observed.input_names[column - n_edges]}"
    unit = observed.names[column * len(observed.names) // n_edges]
    return f"the past of {observed.dim} {unit}"


def after_fit(model, fit):
    """Say what in the fit should be looked at."""
    if len(fit.empty_states):
        warnings.warn(
            message(
                "HMMGLM.fit",
                f"{model.n_states} states in use",
                f"{len(fit.empty_states)} of them explain almost no bin",
                "use fewer states or more starts",
            ),
            EmptyStateWarning,
            stacklevel=4,
        )
    if not fit.converged:
        warnings.warn(
            message(
                "HMMGLM.fit",
                f"gains below tol={model.tol:g} within {model.max_iter} iterations",
                "a start that still climbs",
                "raise max_iter",
            ),
            FitWarning,
            stacklevel=4,
        )
    if model.start_agreement_ < DISAGREE:
        warnings.warn(
            message(
                "HMMGLM.fit",
                "the two best starts to find the same states",
                f"an adjusted Rand index of {model.start_agreement_:.2f}",
                "compare objective_trace_; use more starts or fewer states",
            ),
            FitWarning,
            stacklevel=4,
        )
