"""The electrode table of LaBraM: which row of the embedding a name has.

Row 0 belongs to the class token. The 128 rows behind it carry names of the 10-20,
10-10 and 10-05 systems and eight bipolar derivations. T3, T4, T5, T6 and their
younger names T7, T8, P7, P8 are rows of their own.
"""

import difflib
from collections.abc import Iterable, Sequence

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import SchemaError


TABLE = """
FP1 FPZ FP2
AF9 AF7 AF5 AF3 AF1 AFZ AF2 AF4 AF6 AF8 AF10
F9 F7 F5 F3 F1 FZ F2 F4 F6 F8 F10
FT9 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 FT10
T9 T7 C5 C3 C1 CZ C2 C4 C6 T8 T10
TP9 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 TP10
P9 P7 P5 P3 P1 PZ P2 P4 P6 P8 P10
PO9 PO7 PO5 PO3 PO1 POZ PO2 PO4 PO6 PO8 PO10
O1 OZ O2 O9 CB1 CB2 IZ O10 T3 T5 T4 T6 M1 M2 A1 A2
CFC1 CFC2 CFC3 CFC4 CFC5 CFC6 CFC7 CFC8
CCP1 CCP2 CCP3 CCP4 CCP5 CCP6 CCP7 CCP8
T1 T2 FTT9H TTP7H TPP9H FTT10H TPP8H TPP10H
FP1-F7 F7-T7 T7-P7 P7-O1 FP2-F8 F8-T8 T8-P8 P8-O2
"""
ELECTRODES = tuple(TABLE.split())


def electrode_rows(names: Sequence[str], *, minimum: int = 4) -> np.ndarray:
    """Rows of the electrode embedding that belong to channel names.

    Use it to show a LaBraM network any subset or order of known electrodes.

    Parameters
    ----------
    names : sequence of str (channel,)
        Electrode names; upper and lower case are the same, blanks do not count.
    minimum : int, default=4
        Fewest channels that make a montage.

    Returns
    -------
    ndarray of int (channel,)
        Rows 1 to 128; row 0 is the class token's.

    Raises
    ------
    SchemaError
        If a name is unknown (with the three nearest known ones) or comes twice, or
        if there are too few.

    Examples
    --------
    >>> electrode_rows(["Fp1", "C3", "Oz", "T8", "FT9"]).tolist()
    [1, 40, 82, 46, 26]
    """
    check_number("minimum", minimum, minimum=1, integer=True)
    return positions_of(names, ELECTRODES, minimum=minimum) + 1


def positions_of(
    names: Sequence[str], known: Iterable[str], *, minimum: int = 1
) -> np.ndarray:
    """Position of each name in a table, upper and lower case alike.

    Examples
    --------
    >>> positions_of(["Pz", "Cz"], ["CZ", "PZ"]).tolist()
    [1, 0]
    """
    if isinstance(names, str):
        names = [names]
    table = {plain_name(name): i for i, name in enumerate(known)}
    asked = [plain_name(name) for name in names]
    twice = sorted({name for name in asked if asked.count(name) > 1})
    if twice:
        raise SchemaError(
            message("channel names", "each name once", f"{twice} more than once")
        )
    unknown = [name for name in asked if name not in table]
    if unknown:
        near = "; ".join(f"{n}: {nearest_names(n, table)}" for n in unknown[:6])
        raise SchemaError(
            message(
                "channel names",
                f"names of the {len(table)} known channels",
                f"unknown {unknown}",
                f"rename them or leave them out (nearest known: {near})",
            )
        )
    if len(asked) < minimum:
        raise SchemaError(
            message("channel names", f"at least {minimum} channels", f"{len(asked)}")
        )
    return np.array([table[name] for name in asked], dtype=np.int64)


def plain_name(name: str) -> str:
    return str(name).strip().upper()


def nearest_names(name: str, known: Iterable[str]) -> str:
    """The three nearest known names, for messages."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.0)
    return ", ".join(near)
