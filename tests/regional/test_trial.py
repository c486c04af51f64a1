"""A trial of two sizes: it bears noise and a load that changes, and is as short as it can be."""

from regional.trial import Trial


def trial_of(*rates: int) -> Trial:
    """A trial down after windows with these throughputs."""
    trial = Trial(10, 20, is_up=False, measures_high=True)
    for rate in rates:
        trial.add(rate, 1.0)
    return trial


def test_a_trial_is_cut_short_where_half_is_clearly_worse() -> None:
    assert trial_of(1000).is_low_enough is None
    assert trial_of(1000, 500).is_low_enough is False


def test_a_trial_bears_a_load_that_ebbs_or_grows() -> None:
    for step in (-20, 20):
        assert trial_of(*[1000 + i * step for i in range(8)]).is_low_enough is True


def test_a_trial_takes_its_time_in_doubt() -> None:
    assert trial_of(*[1000, 920, 1000, 1000] * 2).is_low_enough is None
    assert trial_of(*[1000, 920, 1000, 1000] * 4).is_low_enough is True
    assert trial_of(*[1000, 850, 850, 1000] * 2).is_low_enough is False


def test_what_all_halvings_together_may_cost_is_bounded() -> None:
    rates = [1000, 975, 975, 1000] * 4
    trial = trial_of(*rates)
    assert trial.is_low_enough is True
    trial.given_up = 2 * trial.mean
    assert trial.is_low_enough is False


def test_nothing_at_all_is_clearly_worse() -> None:
    assert trial_of(1000, 0).is_low_enough is False
