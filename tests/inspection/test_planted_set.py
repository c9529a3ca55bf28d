"""``measure`` finds a set of neurons that was planted, and no random one.

``python tests/inspection/planted_set.py`` counts over 20 seeds.
"""

import pandas as pd
import pytest
from planted_set import verdicts


@pytest.mark.calibration
def test_planted_set_is_found_and_a_random_one_is_not():
    found = pd.DataFrame([verdicts(seed) for seed in range(4)]) == "supported"
    assert found["planted"].sum() >= 3
    assert found["random"].sum() <= 1
