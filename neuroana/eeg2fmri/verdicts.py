"""Is a linear model enough? One sentence, from tests over people."""

import pandas as pd


LEVEL = 0.05
LEAST = 6  # people: with fewer no pattern of signs is rarer than 5 %


def model_verdict(statistics: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Say whether any other model is better than the linear one it was held against.

    Parameters
    ----------
    statistics : DataFrame
        From :func:`region_statistics`.
    differences : DataFrame
        From :func:`model_differences`, the linear model as reference; only models that
        could be worth their cost, no controls.

    Returns
    -------
    str
        "Linear is enough" where neither the mean over regions nor a region
        (family-wise) is better at 5 %; otherwise which model is better, where, and by
        how much; or that there are too few people to decide.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["ridge", "net"], "roi": "a", "r": [0.5, 0.49]})
    >>> apart = pd.DataFrame({"model": "net", "reference": "ridge", "p": 0.4,
    ...     "roi": ["a", "mean"], "difference": -0.01, "p_family": 0.4, "n_people": 8})
    >>> model_verdict(table, apart)
    'Linear is enough: no model is better than ridge (8 people; regions: 1).'
    """
    linear = str(differences["reference"].iloc[0])
    mean = differences[differences["roi"] == "mean"].set_index("model")
    single = differences[differences["roi"] != "mean"]
    people, n = int(mean["n_people"].max()), single["roi"].nunique()
    better = []
    for name, part in single.groupby("model", sort=False):
        won = part[(part["difference"] > 0) & (part["p_family"] < LEVEL)]
        whole = mean.loc[name]
        if len(won) or (whole["difference"] > 0 and whole["p"] < LEVEL):
            better.append((len(won), float(whole["difference"]), str(name), won))
    if not better:
        if people < LEAST:
            return (
                f"Whether linear is enough cannot be decided with {people} people; "
                f"{linear} comes first until it can."
            )
        return (
            f"Linear is enough: no model is better than {linear} "
            f"({people} people; regions: {n})."
        )
    count, gain, name, won = max(better, key=lambda row: row[:2])
    where = f"in {count} of {n} regions (family-wise 5 %)"
    if count:
        table = statistics.set_index(["model", "roi"])["r"]
        best = max(won["roi"], key=lambda roi: table.get((name, roi), -1.0))
        now, then = table.get((name, best)), table.get((linear, best))
        if now is not None and then is not None:
            where += f", most clearly {best} (R {now:.2f} against {then:.2f})"
    return (
        f"{name} is better than {linear} {where}; Fisher z differs by {gain:.2f} in "
        f"the mean over regions ({people} people)."
    )
