"""One seed, one tree of random generators.

Each part of a computation (a start, a fold, a recording) takes the branch with its
own number. A branch depends on the seed and its number only, so results do not
depend on the order of the work or on how many processes share it.
"""

import numpy as np


def draw_seed(random_state: int | np.random.Generator | None = None) -> int:
    """Return the seed to store with a result.

    Parameters
    ----------
    random_state : int, Generator, RandomState or None
        A whole number is returned as it is; a generator is asked for one; None
        draws one from the operating system, so that it can be recorded.

    Examples
    --------
    >>> draw_seed(7)
    7
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**32))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    return int(random_state)


def branch(seed: int, *path: int) -> np.random.Generator:
    """Return the generator of one branch of the seed's tree.

    Parameters
    ----------
    seed : int
        Root, as :func:`draw_seed` returns it.
    *path : int
        Number of the branch at each level, for example ``(start,)`` or
        ``(fold, start)``.

    Examples
    --------
    >>> bool(branch(1, 0).random() == branch(1, 0).random())
    True
    >>> bool(branch(1, 0).random() == branch(1, 1).random())
    False
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))


def branch_seed(seed: int, *path: int) -> int:
    """Return a whole-number seed for libraries that want one (torch, scikit-learn).

    Examples
    --------
    >>> branch_seed(1, 0) == branch_seed(1, 0) != branch_seed(1, 1)
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=path)
    return int(sequence.generate_state(1)[0])
