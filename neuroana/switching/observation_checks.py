"""Checks of what a fit is given: names, clocks, values; each error names the place."""

import numpy as np

from neuroana.core.checks import message
from neuroana.core.contract import check_increasing, rate_of
from neuroana.core.errors import SchemaError


HINT = "for dF/F and other real values use observation='gaussian'"
ACCEPTED = {
    "counts": ("counts 0, 1, 2, ...", HINT),
    "binary": (
        "zeros and ones",
        "for counts, also bins that hold several spikes, use observation='poisson'",
    ),
    "classes": ("classes 0, 1, 2, ...", "number the classes"),
    "real": ("", ""),
}
UNEVEN = 1e-3  # of the bin width
HIGHEST = {"counts": np.inf, "binary": 1.0, "classes": 255.0, "real": np.inf}


def check_names_differ(sequences):
    """Raise on two units of one name."""
    names = list(map(str, sequences.names))
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})[:6]
        raise SchemaError(
            message(
                f"X: dim {sequences.dim!r}", "a name of its own for every unit",
                f"more than one {', '.join(twice)}", "rename or drop the doubles",
            )
        )  # fmt: skip


def check_units(sequences, fitted):
    """Raise unless the units are those of the fit, in their order."""
    if fitted.observation == "categorical":
        return
    rate = fitted.rate_
    known = list(map(str, rate[rate.dims[0]].to_numpy()))
    own = list(map(str, sequences.names))
    if len(own) != len(known):
        odd = sorted(set(own) ^ set(known))[:6]
        raise SchemaError(
            f"X has {len(own)} features, but {type(fitted).__name__} is expecting "
            f"{len(known)} features as input: the units of the fit, in that order. "
            f"Different: {odd}."
        )
    if own != known and sequences.kind != "array":
        odd = sorted(set(own) ^ set(known))[:6]
        raise SchemaError(
            message(
                f"X: dim {sequences.dim!r}",
                f"the {len(known)} units of the fit, in that order",
                f"others: {odd}" if odd else "another order",
                "select and order the units as in the fit",
            )
        )


def check_clocks(sequences):
    """Raise unless times increase without gaps, at one rate in all sequences."""
    rates = []
    for time, label in zip(sequences.times, sequences.labels):
        steps = check_increasing(time, f"{label}: 'time'")
        if not len(steps):
            continue
        usual = np.median(steps)
        if (steps > 1.5 * usual).any():
            first = int(np.argmax(steps > 1.5 * usual))
            raise SchemaError(
                message(
                    f"{label}: 'time'",
                    f"one sample every {usual:g} s",
                    f"a gap of {steps[first]:g} s after sample {first}",
                    "fill the gap with NaN, or pass the pieces as a list",
                )
            )
        uneven = np.abs(steps - usual) > UNEVEN * usual
        if uneven.any():
            first = int(np.argmax(uneven))
            raise SchemaError(
                message(
                    f"{label}: 'time'",
                    f"one sample every {usual:g} s",
                    f"{uneven.sum()} other steps, first {steps[first]:g} s after "
                    f"sample {first}",
                    "bin or resample the recording on a regular clock",
                )
            )
        rates.append(rate_of(time))
    if rates and max(rates) - min(rates) > 1e-3 * max(rates):
        raise SchemaError(
            message(
                "X",
                "one bin width in all sequences",
                f"{sorted({round(1 / r, 6) for r in rates})} s",
                "bin or resample the recordings alike",
            )
        )


def check_values(sequences, values, good, here, label, kind, missing):
    """Raise on infinite values, unwelcome NaN, and counts that are not counts."""

    def place(bad):
        t, n = np.argwhere(bad)[0]
        return f"sample {t}, {sequences.dim} {sequences.names[n]}"

    infinite = np.isinf(values)
    if infinite.any():
        raise SchemaError(
            message(
                f"{label}: 'signal'",
                "finite values",
                f"{infinite.sum()} infinite, first at {place(infinite)}",
                "mark missing samples with NaN",
            )
        )
    lost = ~here & good[:, None]
    if missing == "raise" and lost.any():
        raise SchemaError(
            message(
                f"{label}: 'signal'",
                "no missing values",
                f"{lost.sum()} NaN, first at {place(lost)}",
                "pass missing='mask' to leave them out of the likelihood",
            )
        )
    whole = np.abs(values - np.round(values)) <= 1e-6
    wanted, hint = ACCEPTED[kind]
    odd = here & ~(whole & (values >= 0) & (values <= HIGHEST[kind]))
    if kind != "real" and odd.any():
        t, n = np.argwhere(odd)[0]
        raise SchemaError(
            message(
                f"{label}: 'signal'", wanted, f"{values[t, n]:g} at {place(odd)}", hint
            )
        )
