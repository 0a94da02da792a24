"""The Monte Carlo error reported for a total elpd is the spread of that total over independent sets of draws."""

import numpy as np
import pytest

from multilevel.scores import loo

ROWS, DRAWS, REPLICATIONS = 40, 500, 60


@pytest.mark.parametrize("pull", [0.0, 1.5], ids=["a weak prior", "a prior that pulls all rows one way"])
def test_the_reported_error_is_the_spread_over_replications(pull: float) -> None:
    rng = np.random.default_rng(20240117)
    y = rng.standard_normal(ROWS) + pull
    # y_i ~ N(mu, 1); mu's posterior is centred at 0, so with pull every row wants the same shift of mu.
    deviation = 1 / np.sqrt(ROWS)
    totals, reported = [], []
    for _ in range(REPLICATIONS):
        mu = deviation * rng.standard_normal(DRAWS)
        log_density = -0.5 * np.square(y[None, :] - mu[:, None]) - 0.5 * np.log(2 * np.pi)
        record, _ = loo.from_log_density([log_density[:, :15], log_density[:, 15:]], chains=2)
        totals.append(record["elpd"])
        reported.append(record["mcse"])
    # The sd of 60 values is known to 9 %, and the reported error varies from set to set: 30 % is three times both.
    assert np.std(totals, ddof=1) / np.mean(reported) == pytest.approx(1, rel=0.3)
