"""The page of a model's neurons: the frame it is made of, and what it holds."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
from planted_pages import HOSTILE, N_NEURONS, TOKENS, checkpoint_tables, neuron_frames, planted_neuron_page

from rareneurons.report.neurons import NO_GROUP, neuron_frame


@pytest.fixture(scope="module")
def page():
    return planted_neuron_page()


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def unpacked(array: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["data"]), dtype=array["type"])


def test_frame_takes_heldout_numbers_of_the_same_neuron(rng):
    influence, neurons, groups = checkpoint_tables(rng, 1e-3)
    shuffled = influence.sample(frac=1, random_state=0)
    frame = neuron_frame(shuffled, neurons.sample(frac=1, random_state=1), groups, ["rare", "common"])
    assert frame["neuron"].tolist() == list(range(N_NEURONS))
    for condition in ("rare", "common"):
        mine = influence[(influence["split"] == "heldout") & (influence["condition"] == condition)]
        for effect in ("mean_delta_loss", "mean_abs_delta_loss", "se_delta_loss", "se_abs_delta_loss"):
            np.testing.assert_array_equal(frame[f"{condition}.{effect}"], mine[effect])
    np.testing.assert_array_equal(frame["null_space_share"], neurons["null_space_share"])
    assert "expert" not in frame


def test_colour_is_of_the_fitted_regime_and_of_the_fixed_one_where_there_is_none(rng):
    influence, neurons, groups = checkpoint_tables(rng, 1e-3)
    groups = pd.concat([groups, pd.DataFrame([("fixed_suppress_decay", 5)], columns=["group", "neuron"])])
    frame = neuron_frame(influence, neurons, groups, ["rare", "common"]).set_index("neuron")
    assert frame.loc[7, "group"] == "plateau"
    assert set(frame.loc[7, "groups"]) == {"plateau", "top_33"}
    assert frame.loc[5, "group"] == "fixed_suppress_decay"
    assert frame.loc[0, "group"] == NO_GROUP


@pytest.mark.parametrize(("expert", "named"), [(2, True), (-1, False)])
def test_expert_is_named_in_a_mixture_alone(rng, expert, named):
    influence, neurons, groups = checkpoint_tables(rng, 1e-3)
    frame = neuron_frame(influence.assign(expert=expert), neurons, groups, ["rare", "common"])
    assert ("expert" in frame) == named


def test_page_holds_every_number_and_token(page):
    data, frames = data_of(page), neuron_frames()
    assert [checkpoint["name"] for checkpoint in data["checkpoints"]] == ["step0", "step16"]
    for checkpoint in data["checkpoints"]:
        frame = frames[checkpoint["name"]]
        for column, array in checkpoint["numbers"].items():
            np.testing.assert_allclose(unpacked(array), frame[column], rtol=1e-6)
        groups = [data["groups"][place]["name"] for place in unpacked(checkpoint["whole"]["group"])]
        assert groups == frame["group"].tolist()
        together = [tuple(data["combinations"][place]) for place in unpacked(checkpoint["whole"]["combination"])]
        assert together == frame["groups"].tolist()
        for side in ("promoted", "suppressed"):
            named = np.array(data["tokens"])[unpacked(checkpoint["whole"][side])].reshape(N_NEURONS, 3)
            assert (named == np.array(HOSTILE)[np.searchsorted(TOKENS, np.stack(frame[side]))]).all()
        assert checkpoint["rows"] == {"rare": [800, 120], "common": [800, 120]}


def test_range_holds_all_effects_of_all_checkpoints(page):
    low, high = data_of(page)["range"]
    effects = np.concatenate(
        [frame[f"{c}.mean_abs_delta_loss"] for frame in neuron_frames().values() for c in ("rare", "common")]
    )
    effects = np.log10(effects[effects > 0])
    assert low < effects.min() < effects.max() < high
    assert low > effects.min() - 0.3


def test_page_loads_nothing_and_lists_the_other_models(page):
    before_plotly, after = page.split("plotly.js v", 1)
    own = before_plotly + after[after.index("</script>") :]
    assert not re.search(r'(src|href)="(https?:)?//', own)
    assert "default-src 'none'" in own
    assert '<option value="tiny.html" selected>tiny</option>' in own
    assert '<option value="other.html">other</option>' in own
    assert "<script>alert(1)" not in own
