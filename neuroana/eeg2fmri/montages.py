"""Channels that the electrode table does not know, by their places on the head."""

from collections.abc import Sequence

import numpy as np

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import SchemaError
from neuroana.learn.electrodes import ELECTRODES, electrode_rows, plain_name


NEAR = 20.0  # mm within which a channel takes the row of a known electrode
UNKNOWN = ("raise", "interpolate")


def known_names(
    names: Sequence[str],
    positions: np.ndarray | None = None,
    *,
    on_unknown: str = "raise",
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name of the electrode table for each channel, and how it was found.

    Parameters
    ----------
    names : sequence of str (channel,)
    positions : ndarray (channel, 3), optional
        In mm, head frame; NaN where unknown.
    on_unknown : {'raise', 'interpolate'}
        What becomes of a name that is not in the table: an error with the nearest
        names, or the free electrode nearest to its place, at most 20 mm away.

    Returns
    -------
    names, how : tuple of str (channel,)
        `how` is ``'name'``, or ``'place'`` with the distance.

    Raises
    ------
    SchemaError
        If a name is unknown, or has no electrode near its place.

    Examples
    --------
    >>> known_names(["Cz", "Oz", "E1", "Fz"], place_of(["CZ", "OZ", "PZ", "FZ"]),
    ...             on_unknown="interpolate")
    (('CZ', 'OZ', 'PZ', 'FZ'), ('name', 'name', 'place, 0 mm', 'name'))
    """
    check_choice("on_unknown", on_unknown, UNKNOWN)
    plain = [plain_name(n) for n in names]
    unknown = [n for n in plain if n not in ELECTRODES]
    if not unknown or on_unknown == "raise":
        electrode_rows(plain, minimum=1)
        return tuple(plain), ("name",) * len(plain)
    table = place_of(ELECTRODES)
    how = ["name"] * len(plain)
    taken = {n for n in plain if n in ELECTRODES}
    for c, name in enumerate(list(plain)):
        if name in ELECTRODES:
            continue
        place = np.full(3, np.nan) if positions is None else positions[c]
        free = np.array([e not in taken for e in ELECTRODES])
        distance = np.where(free, np.linalg.norm(table - place, axis=1), np.inf)
        distance = np.where(np.isfinite(distance), distance, np.inf)
        nearest = int(distance.argmin())
        if distance[nearest] > NEAR:
            raise SchemaError(
                message(
                    f"channel {name!r}",
                    f"a known electrode within {NEAR:g} mm of its place",
                    "no place" if np.isnan(place).any() else "none that is free",
                    "give the recording a montage, or leave the channel out",
                )
            )
        plain[c] = ELECTRODES[nearest]
        how[c] = f"place, {distance[nearest]:.0f} mm"
        taken.add(plain[c])
    return tuple(plain), tuple(how)


def place_of(names: Sequence[str]) -> np.ndarray:
    """Places of electrodes in mm, head frame, (channel, 3); NaN where unknown."""
    from neuroana.io.raws import montage_positions

    known = [n for n in names if plain_name(n) in ELECTRODES]
    if not known:
        return np.full((len(names), 3), np.nan)
    table = montage_positions("standard_1005", known)
    return table.reindex(list(names)).to_numpy(dtype=float)


def spline_matrix(names: Sequence[str], places: np.ndarray, targets: Sequence[str]):
    """Matrix (target, channel) that interpolates EEG at other electrodes.

    Spherical splines of MNE, frozen: found by sending unit vectors through it.

    Raises
    ------
    SchemaError
        If a channel or a target has no place.

    Examples
    --------
    >>> names = ["FZ", "CZ", "PZ", "OZ", "C3", "C4"]
    >>> matrix = spline_matrix(names, place_of(names), ["CZ", "CPZ"])
    >>> matrix.shape, int(matrix[0].argmax())
    ((2, 6), 1)
    """
    import mne

    there = place_of(targets)
    lost = [n for n, p in zip(names, places) if np.isnan(p).any()]
    lost += [n for n, p in zip(targets, there) if np.isnan(p).any()]
    if lost:
        raise SchemaError(
            message(
                "interpolation between montages",
                "a place for every channel",
                f"none for {lost}",
                "give the recording a montage, or leave these channels out",
            )
        )

    def montage(labels, points):
        return mne.channels.make_dig_montage(
            dict(zip(labels, points / 1000.0)), coord_frame="head"
        )

    own = [f"c{i}" for i in range(len(names))]  # names may be the same in both
    info = mne.create_info(own, 100.0, "eeg")
    raw = mne.io.RawArray(np.eye(len(own)), info, verbose="ERROR")
    raw.set_montage(montage(own, places), verbose="ERROR")
    wanted = montage([f"t{i}" for i in range(len(targets))], there)
    with mne.use_log_level("ERROR"):
        made = raw.interpolate_to(wanted, origin=(0.0, 0.0, 0.04), method="spline")
    return made.get_data()
