"""Splits leak nothing, and what happens with splits that do."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from neuroana.core.errors import ParameterError
from neuroana.learn import (
    BlockedGapKFold,
    ChronologicalSplit,
    CrossCondition,
    LeaveSubjectsOut,
    check_leakage,
    hold_out,
)
from neuroana.learn.splits import LeakageError


TR, LENGTH = 2.1, 16.0


def windows(n_subjects=1, n_volumes=575, tasks=("rest",), shared=True):
    rows = []
    for s in range(n_subjects):
        for number, task in enumerate(tasks):
            subject = f"{s}" if shared else f"{task}{s}"
            time = TR * np.arange(8, n_volumes)
            rows.append(
                pd.DataFrame(
                    {
                        "label": f"sub-{subject}_task-{task}",
                        "subject": subject,
                        "session": str(number),
                        "task": task,
                        "time": time,
                        "begin": time - LENGTH,
                        "end": time,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


SPLITS = [
    (BlockedGapKFold(5), windows(2), "run", 36.0),
    (ChronologicalSplit(), windows(2), "run", 20.0),
    (LeaveSubjectsOut(3, random_state=0), windows(6, 60), "subject", 0.0),
    (
        CrossCondition("rest", "task", n_splits=3, random_state=0),
        windows(6, 60, ("rest", "task")),
        "subject",
        0.0,
    ),
    (
        CrossCondition("0", "1", by="session", same_people=True),
        windows(3, 60, ("rest", "task")),
        "recording",
        0.0,
    ),
]


@pytest.mark.parametrize(
    ("splitter", "table", "apart", "gap"), SPLITS, ids=lambda v: str(v)[:30]
)
def test_no_split_lets_the_parts_touch(splitter, table, apart, gap):
    folds = list(splitter.split(table))
    assert len(folds) == splitter.get_n_splits(table)
    for train, test in folds:
        assert not set(train) & set(test)
        check_leakage(table, train, test, gap=gap, apart=apart)


def test_every_volume_is_tested_once():
    table = windows(2)
    tested = np.concatenate([b for _, b in BlockedGapKFold(5).split(table)])
    assert sorted(tested) == list(range(len(table)))
    table = windows(7, 60)
    tested = np.concatenate([b for _, b in LeaveSubjectsOut(3).split(table)])
    assert sorted(tested) == list(range(len(table)))


def test_published_intra_scan_counts():
    parts = ChronologicalSplit().three_parts(windows())
    assert [len(p) for p in parts] == [453, 46, 48]


def test_touching_parts_are_refused_by_name():
    table = windows(2)
    n = len(table) // 2
    with pytest.raises(LeakageError, match="sub-0_task-rest"):
        check_leakage(table, np.arange(0, n, 2), np.arange(1, n, 2))
    with pytest.raises(LeakageError, match="volumes"):
        check_leakage(table, np.arange(100), np.arange(115, 200), gap=36.0)
    with pytest.raises(LeakageError, match="no subject in both"):
        check_leakage(table, np.arange(10), np.arange(300, 310), apart="subject")
    check_leakage(table, np.arange(n), np.arange(n, 2 * n), apart="subject")


def test_people_in_both_conditions_are_never_on_both_sides():
    table = windows(6, 60, ("rest", "task"))
    for train, test in CrossCondition("rest", "task", n_splits=3).split(table):
        assert set(table.task.iloc[train]) == {"rest"}
        assert set(table.task.iloc[test]) == {"task"}
        assert not set(table.subject.iloc[train]) & set(table.subject.iloc[test])
    apart = windows(6, 60, ("rest", "task"), shared=False)
    assert CrossCondition("rest", "task").get_n_splits(apart) == 1


def test_seed_decides_who_goes_together():
    table = windows(8, 60)
    one, two, other = (
        [b.tolist() for _, b in LeaveSubjectsOut(4, random_state=s).split(table)]
        for s in (0, 0, 1)
    )
    assert one == two != other


def test_validation_takes_people_or_the_end_of_runs():
    table = windows(5, 60)
    train, validation = hold_out(table, random_state=0)
    check_leakage(table, train, validation, apart="subject")
    table = windows(2)
    train, validation = hold_out(table)
    check_leakage(table, train, validation, gap=36.0)


def test_impossible_folds_are_refused():
    with pytest.raises(ParameterError, match="people"):
        list(LeaveSubjectsOut(5).split(windows(3, 60)))
    with pytest.raises(ParameterError, match="smaller gap"):
        list(BlockedGapKFold(5, gap=5000.0).split(windows()))
    with pytest.raises(ParameterError, match="add up to 1"):
        ChronologicalSplit((0.8, 0.1, 0.2))
    with pytest.raises(ParameterError, match="'rest'"):
        list(CrossCondition("rest", "sleep").split(windows(3, 60)))


# --- the leakage table ---------------------------------------------------------------


def autoregression(rng, n, phi):
    from scipy.signal import lfilter

    noise = rng.standard_normal(n) * np.sqrt(1 - phi**2)
    noise[0] = rng.standard_normal()
    return lfilter([1.0], [1.0, -phi], noise)


def independent(seed, n_volumes=575):
    """EEG power in lags and a BOLD course that have nothing to do with each other."""
    from scipy.signal import butter, sosfiltfilt

    rng = np.random.default_rng(seed)
    n = int(n_volumes * TR) + 40
    power = np.stack(
        [
            autoregression(rng, n, np.exp(-1 / tau))
            for _ in range(8)
            for tau in (5, 10, 20)
        ],
        axis=1,
    )
    ends = (np.arange(n_volumes) * TR).astype(int) + 20
    X = np.stack([power[e - 16 : e].ravel() for e in ends])[8:]
    sos = butter(5, 0.15, fs=1 / TR, output="sos")
    y = sosfiltfilt(sos, autoregression(rng, n_volumes, 0.71))[8:]
    return (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()


def models():
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor

    return {
        "ridge": Ridge(1e3),
        "neighbour": KNeighborsRegressor(1),
        "kernel": KernelRidge(alpha=0.1, kernel="rbf", gamma=1 / 384),
    }


def splits(rng, table):
    n = len(table)
    order = rng.permutation(n)
    blocks = np.arange(n) // 5
    shuffled = np.isin(blocks, rng.permutation(blocks.max() + 1)[: n // 25])
    return {
        "random": [(order[n // 5 :], order[: n // 5])],
        "interleaved": [(np.flatnonzero(~shuffled), np.flatnonzero(shuffled))],
        "chronological": list(ChronologicalSplit((0.8, 0.0, 0.2)).split(table)),
        "blocked": list(BlockedGapKFold(5).split(table)),
    }


@pytest.fixture(scope="module")
def leakage_table():
    """Mean R by split and model over 24 seeds, without any coupling."""
    table, rows = windows(), []
    for seed in range(24):
        X, y = independent(seed)
        for split, folds in splits(np.random.default_rng(seed), table).items():
            for name, model in models().items():
                r = []
                for train, test in folds:
                    fitted = clone(model).fit(X[train], y[train])
                    r.append(np.corrcoef(fitted.predict(X[test]), y[test])[0, 1])
                rows.append((split, name, np.mean(r)))
    frame = pd.DataFrame(rows, columns=["split", "model", "r"])
    return frame.pivot_table(index="split", columns="model", values="r")


def test_random_windows_score_high_without_any_coupling(leakage_table):
    assert leakage_table.loc["random", "neighbour"] > 0.6
    assert leakage_table.loc["random", "kernel"] > 0.6
    assert leakage_table.loc["random", "ridge"] > 0.2
    assert leakage_table.loc["interleaved", "neighbour"] > 0.3


def test_our_splits_score_nothing_without_coupling(leakage_table):
    ours = leakage_table.loc[["chronological", "blocked"]]
    assert ours.abs().to_numpy().max() < 0.1
