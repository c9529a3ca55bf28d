"""The page of a model's neurons: the frame it is made of, what it holds, and what it loads."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
from planted_pages import (
    HOSTILE,
    N_NEURONS,
    TOKENS,
    checkpoint_tables,
    neuron_frames,
    planted_examples,
    write_planted_page,
)

from rareneurons.report.examples import LEAST_DOCUMENTS, SHOWN
from rareneurons.report.neurons import NO_GROUP, DescribedNeurons, neuron_frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_planted_page(tmp_path_factory.mktemp("neurons")).parent


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "tiny.html").read_text(encoding="utf-8")


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def brought(folder, name: str) -> dict:
    """What a script brings, as ``arrived(name, content)`` gets it."""
    found = (folder / f"tiny/{name}.js").read_text(encoding="utf-8")
    called, content = json.loads("[" + found.removeprefix("arrived(").removesuffix(");\n") + "]")
    assert called == name
    return content


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


def test_scripts_hold_every_number_and_token(folder, page):
    data = data_of(page)
    assert data["checkpoints"] == ["step0", "step16"]
    assert unpacked(data["neurons"]["neuron"]).tolist() == list(range(N_NEURONS))
    text_of = dict(zip(unpacked(data["tokens"]["id"]), data["tokens"]["text"], strict=True))
    assert text_of == dict(zip(TOKENS, HOSTILE, strict=True))
    for name, frame in neuron_frames().items():
        checkpoint = brought(folder, name)
        arrays = {column: unpacked(array) for column, array in checkpoint["arrays"].items()}
        for column in frame.columns.intersection(list(arrays)).difference(["group", "promoted", "suppressed"]):
            np.testing.assert_allclose(arrays[column], frame[column], rtol=1e-6)
        assert {"rare.mean_delta_loss", "common.se_abs_delta_loss", "null_space_share"} <= set(arrays)
        assert [checkpoint["groups"][place] for place in arrays["group"]] == frame["group"].tolist()
        together = [tuple(checkpoint["combinations"][place]) for place in arrays["combination"]]
        assert together == frame["groups"].tolist()
        for side in ("promoted", "suppressed"):
            np.testing.assert_array_equal(arrays[side].reshape(N_NEURONS, 3), np.stack(frame[side]))
        assert checkpoint["rows"] == {"rare": [800, 120], "common": [800, 120]}


def test_groups_are_named_as_in_the_tables(page):
    assert [group["name"] for group in data_of(page)["groups"]] == ["plateau", "power_law", NO_GROUP, "suppress_decay"]
    assert data_of(page)["described"] == {"plateau": [7], "top_33": [7, 2]}


def test_examples_hold_the_first_of_each_kind_and_every_token(folder):
    examples, _ = planted_examples()
    found = brought(folder, "examples")
    of = {name: unpacked(array) for name, array in found["examples"].items()}
    shown = examples[examples["rank"] <= SHOWN]
    assert found["checkpoint"] == "step16"
    for column in ("neuron", "rank", "document", "position", "window_row", "loss", "activation", "delta_loss"):
        np.testing.assert_allclose(of[column], shown[column], rtol=1e-6)
    assert [found["kinds"][kind] for kind in of["kind"]] == shown["kind"].tolist()
    assert [found["text"][place] for place in of["window_text"]] == [
        token for text in shown["window_text"] for token in text
    ]
    for column in ("window_activation", "window_delta_loss"):
        np.testing.assert_allclose(of[column], np.concatenate(shown[column].to_list()), rtol=1e-6)


def test_tokens_that_are_helped_occur_in_several_documents(folder):
    tokens = brought(folder, "examples")
    of = {name: unpacked(array) for name, array in tokens["tokens"].items()}
    assert [tokens["text"][place] for place in of["text"]] == ["twice", HOSTILE[0], "third"]
    assert (of["n_documents"] >= LEAST_DOCUMENTS).all()
    np.testing.assert_allclose(of["mean_delta_loss"], [0.2, 0.1, 0.05], rtol=1e-6)


def test_page_without_examples_says_nothing_about_them(tmp_path):
    examples, _ = planted_examples()
    groups = pd.DataFrame({"group": ["top_33"], "neuron": [1], "rank": [1]})
    assert DescribedNeurons.of("step16", groups, examples) is None
    page = write_planted_page(tmp_path, described=False).read_text(encoding="utf-8")
    assert 'id="described"' not in page
    assert "examples" not in page.lower()


def test_range_holds_all_effects_of_all_checkpoints(page):
    low, high = data_of(page)["range"]
    effects = np.concatenate(
        [frame[f"{c}.mean_abs_delta_loss"] for frame in neuron_frames().values() for c in ("rare", "common")]
    )
    effects = np.log10(effects[effects > 0])
    assert low < effects.min() < effects.max() < high
    assert low > effects.min() - 0.3


def test_page_loads_its_neighbours_alone_and_lists_the_other_models(page):
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == {"plotly.min.js", "../report.html"}
    assert "default-src 'none'" in page
    assert '<option value="tiny.html" selected>tiny</option>' in page
    assert '<option value="other.html">other</option>' in page
    assert "<script>alert(1)" not in page
    assert len(page) < 100_000
