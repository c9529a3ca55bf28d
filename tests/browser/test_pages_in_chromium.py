"""The report and a neuron page in a headless Chromium, phone-wide and desk-wide, as somebody uses them."""

import pytest
from chromium import Chromium, executable
from planted_pages import HOSTILE, planted_report, write_large_page, write_planted_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        executable() is None, reason="no chromium, chromium-browser, google-chrome or chrome on the PATH"
    ),
]
WIDTHS = [375, 1400]
DRAWN = "scene !== null && document.querySelector('#plot .legend') !== null"
CARD = "document.getElementById('card').innerText"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Chromium(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    (results / "report.html").write_text(planted_report(), encoding="utf-8")
    write_planted_page(results / "neurons")
    return results


def place_of(browser, neuron: int) -> list[float]:
    """Where a neuron's point should be, from its effects and the axes as Plotly draws them."""
    return browser.evaluate(
        "(() => { const plot = document.getElementById('plot'), { xaxis, yaxis } = plot._fullLayout;"
        f" const {{ columns }} = scene, i = columns.neuron.indexOf({neuron}), box = plot.getBoundingClientRect();"
        " return [box.x + xaxis._offset + xaxis.d2p(influence(columns, 'common')[i]),"
        " box.y + yaxis._offset + yaxis.d2p(influence(columns, 'rare')[i])]; })()"
    )


def painted(browser, neuron: int) -> list[int] | None:
    """Colour in the middle of a neuron's point, None where nothing is painted."""
    x, y = place_of(browser, neuron)
    if x is None or y is None:
        return None
    red, green, blue, opacity = browser.evaluate(
        "(() => { const canvas = document.getElementById('points'), box = canvas.getBoundingClientRect();"
        f" return [...canvas.getContext('2d').getImageData({x} - box.x, {y} - box.y, 1, 1).data]; }})()"
    )
    return [red, green, blue] if opacity else None


def is_sound(browser, file, width):
    """Nothing said in the console, nothing loaded but the page and its own scripts, nothing wider than the window."""
    assert browser.errors == []
    own = (file.as_uri(), file.with_name("plotly.min.js").as_uri(), file.with_suffix("").as_uri() + "/")
    requested = [url for url in browser.requests if not url.startswith("data:")]
    assert requested[0] == file.as_uri()
    assert all(url.startswith(own) for url in requested), requested
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.querySelectorAll('img[src=x], #card script').length") == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
def test_report_fits_and_loads_nothing(browser, folder, width, dark):
    browser.open(folder / "report.html", width, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    browser.evaluate("document.querySelectorAll('img[src]').forEach((image) => { image.loading = 'eager'; })")
    browser.wait("[...document.querySelectorAll('figure img')].every((image) => image.naturalWidth > 0)")
    is_sound(browser, folder / "report.html", width)
    widths = browser.evaluate(
        "[...document.querySelectorAll('.scroll')].map((box) => [box.scrollWidth, box.clientWidth, box.offsetWidth])"
    )
    assert any(inner > shown for inner, shown, _ in widths), "the planted table is wider than any window"
    assert all(outer <= width for _, _, outer in widths)


def test_reports_links_lead_somewhere_and_figures_open(browser, folder):
    browser.open(folder / "report.html", 1400)
    broken = browser.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map((link) => link.hash.slice(1))"
        ".filter((name) => !document.getElementById(name))"
    )
    assert broken == []
    browser.evaluate("document.querySelector('nav a[href=\"#configuration\"]').click()")
    browser.wait("document.getElementById('configuration').getBoundingClientRect().top < innerHeight")
    browser.evaluate("document.querySelector('#figure-new_figure button').focus()")
    browser.press("Enter")
    browser.wait("document.querySelector('dialog').open && document.querySelector('dialog img').width === 3000")
    browser.press("Enter")  # the focus is on the button that closes it
    browser.wait("!document.querySelector('dialog').open")
    is_sound(browser, folder / "report.html", 1400)


@pytest.mark.parametrize("width", WIDTHS)
def test_pointing_at_a_neuron_shows_its_numbers_and_tokens(browser, folder, width):
    browser.open(folder / "neurons/tiny.html", width)
    browser.wait(DRAWN)
    browser.point(*place_of(browser, 7))
    browser.wait(f"{CARD}.includes('Neuron (3, 7)')")
    card = browser.evaluate(CARD)
    assert "0.04 ± 0.005" in card  # rare: 50 times 0.001, of which four fifths are net
    assert "0.05 ± 0.0025" in card
    assert "0.015 ± 0.00075" in card  # common: 0.3 of that
    assert "plateau, top_33" in card
    assert painted(browser, 7) == [204, 121, 167], "the plateau's colour"
    assert painted(browser, 9) is None, "a neuron without effect has no point"
    titles = "['x', 'y'].map((name) => document.querySelector(`.${name}title`).textContent.split(':')[0])"
    assert browser.evaluate(titles) == ["common", "rare"]
    promoted = "[...document.querySelectorAll('#card ol')[0].querySelectorAll('code')].map((code) => code.textContent)"
    assert browser.evaluate(promoted) == HOSTILE[:3]
    browser.point(2, 2)
    browser.wait(f"{CARD}.includes('Hover over a neuron')")
    is_sound(browser, folder / "neurons/tiny.html", width)


def test_slider_moves_the_checkpoint_and_the_kept_neuron_stays(browser, folder):
    browser.open(folder / "neurons/tiny.html", 1400)
    browser.wait(DRAWN)
    browser.evaluate("document.getElementById('neuron').focus()")
    browser.evaluate("document.getElementById('neuron').value = '7'")
    browser.press("Enter")
    browser.wait(f"{CARD}.includes('Neuron (3, 7)') && {CARD}.includes('step16')")
    before = place_of(browser, 7)
    browser.evaluate("document.getElementById('checkpoint').focus()")
    browser.press("ArrowLeft")
    browser.wait(f"{CARD}.includes('step0') && {CARD}.includes('0.0005 ± 0.000025')")
    assert browser.evaluate("document.getElementById('checkpoint-name').textContent") == "step0"
    assert "40 neurons; 800 rare rows of 120 documents" in browser.evaluate("document.body.innerText")
    assert "without any effect: 1" in browser.evaluate("document.getElementById('said').textContent")
    after = place_of(browser, 7)
    assert (after[0] < before[0], after[1] > before[1]) == (True, True), "smaller effects are further left and down"
    for nobody in ("40", "-1", "1.5", ""):
        browser.evaluate(f"document.getElementById('neuron').value = '{nobody}'")
        browser.evaluate("document.getElementById('search').requestSubmit()")
        assert "Neuron (3, 7)" in browser.evaluate(CARD), "an index that is none changes nothing"
    is_sound(browser, folder / "neurons/tiny.html", 1400)


def test_choosing_a_model_opens_its_page(browser, folder):
    write_planted_page(folder / "neurons", "other")
    browser.open(folder / "neurons/tiny.html", 1400)
    browser.wait(DRAWN)
    browser.evaluate(
        "(() => { const model = document.getElementById('model'); model.value = 'other.html';"
        " model.dispatchEvent(new Event('change')); })()"
    )
    browser.wait("location.pathname.endsWith('/neurons/other.html')")


def test_waiting_goes_on_when_the_page_leaves_meanwhile(browser, folder):
    browser.open(folder / "neurons/tiny.html", 1400)
    leave = "new Promise(() => { location.href = '../report.html'; })"  # never kept: the script ends with its page
    browser.wait(f"location.pathname.endsWith('/report.html') || {leave}")


def texts_of(browser) -> list[str]:
    return browser.evaluate("[...document.querySelectorAll('#texts .text')].map((text) => text.textContent)")


@pytest.mark.parametrize("width", WIDTHS)
def test_examples_of_a_neuron_by_keyboard_shaded_with_numbers_as_text(browser, folder, width):
    browser.open(folder / "neurons/tiny.html", width)
    browser.wait(DRAWN)
    browser.evaluate("document.getElementById('described').focus()")
    browser.press("ArrowDown")  # neuron 7, the first of the plateau
    browser.wait(f"document.querySelectorAll('#texts li').length === 5 && {CARD}.includes('Neuron (3, 7)')")
    assert set(texts_of(browser)) == {f"<|endoftext|>{'␣the' * 5}{HOSTILE[1]}xxxxx"}
    marks = (
        "[...document.querySelectorAll('#texts li:first-child .text span')].map((mark) =>"
        " [mark.className, mark.style.getPropertyValue('--shade'), mark.title])"
    )
    found = browser.evaluate(marks)
    assert found[5] == ["row", "", "activation 2.5; change of this token's loss 0.01; the row's own token"]
    assert found[6] == ["helps", "0.90", "activation −0.3; change of this token's loss 0.5"], "the loss is the target's"
    assert found[0][2] == "activation −0.3; change of this token's loss not measured"
    helped = browser.evaluate("document.getElementById('helped').innerText").split()
    assert helped[helped.index("twice") :][:5] == ["twice", "0.2", "±", "0.02", "3"]
    assert "once" not in helped
    browser.evaluate("document.querySelector('input[name=shade]:checked').focus()")
    browser.press("ArrowDown")
    browser.wait("document.querySelector('input[value=activation]').checked")
    browser.wait(f"{marks}[5][0] === 'row helps'")
    assert browser.evaluate(marks)[6][:2] == ["hurts", "0.11"]
    browser.evaluate("document.getElementById('kind').focus()")
    browser.press("ArrowDown")
    browser.wait(f"{marks}[5][0] === 'row hurts'")
    browser.evaluate("document.querySelector('.example summary').focus()")
    browser.press("Enter")
    browser.wait(
        "document.querySelectorAll('.example:first-child tbody tr, .example:first-child table > tr').length === 12"
    )
    numbers = browser.evaluate("document.querySelector('.example table').innerText")
    assert "the (the row's own)\t−2.5\t0.01" in numbers
    assert f"{HOSTILE[1]}\t−0.3\t−0.5" in numbers
    is_sound(browser, folder / "neurons/tiny.html", width)


def test_neuron_without_examples_says_so(browser, folder):
    browser.open(folder / "neurons/tiny.html", 1400)
    browser.wait(DRAWN)
    browser.evaluate("keep(11)")
    browser.wait("document.getElementById('examples-said').textContent.includes('no examples of neuron 11')")
    assert browser.evaluate("document.getElementById('examples-shown').hidden")


def test_table_has_the_plots_numbers_and_sorts_filters_and_chooses_by_keyboard(browser, folder):
    browser.open(folder / "neurons/tiny.html", 1400)
    browser.wait(DRAWN)
    browser.evaluate("document.querySelector('#all summary').focus()")
    browser.press("Enter")
    first = "document.querySelector('#table tbody tr')?.innerText.split('\\t')"
    browser.wait(f"{first} !== undefined")
    assert browser.evaluate(first) == ["7", "0.04", "0.05", "0.012", "0.015", "plateau, top_33"]
    assert browser.evaluate("document.querySelector('th[aria-sort=descending]').innerText") == "rare: mean |ΔL| (nats)"
    assert "Rows 1 to 25 of 40 at step16" in browser.evaluate("document.getElementById('shown').textContent")
    browser.evaluate("document.querySelector('#table thead button').focus()")
    browser.press("Enter")
    browser.wait(f"{first}[0] === '0' && document.querySelector('th[aria-sort=ascending]').innerText === 'neuron'")
    browser.evaluate("document.getElementById('after').focus()")
    browser.press("Enter")
    browser.wait(f"{first}[0] === '25' && document.getElementById('after').disabled")
    browser.evaluate("document.getElementById('of-group').focus()")
    browser.press("ArrowDown")
    browser.wait("document.querySelectorAll('#table tbody tr').length < 4")
    browser.evaluate("document.querySelector('#table tbody button').focus()")
    browser.press("Enter")
    browser.wait(f"{CARD}.includes(document.getElementById('of-group').value)")


def test_focus_goes_through_the_controls_in_their_order_and_each_has_a_name(browser, folder):
    browser.open(folder / "neurons/tiny.html", 1400)
    browser.wait(DRAWN)
    seen = []
    for _ in range(6):
        browser.press("Tab")
        seen.append(browser.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert seen[:5] == ["model", "checkpoint", "neuron", "BUTTON", "described"]
    nameless = browser.evaluate(
        "[...document.querySelectorAll('input, select')].filter((one) => !one.labels.length).map((one) => one.id)"
    )
    assert nameless == []


def test_missing_script_is_named(browser, folder, tmp_path):
    page = write_planted_page(tmp_path)
    (tmp_path / "tiny/step0.js").unlink()
    browser.open(page, 1400)
    browser.wait(DRAWN)
    browser.evaluate("document.getElementById('checkpoint').focus()")
    browser.press("ArrowLeft")
    browser.wait("document.getElementById('said').textContent.includes('tiny/step0.js cannot be read')")


def test_legend_hides_a_group_and_a_click_keeps_a_neuron(browser, folder):
    browser.open(folder / "neurons/tiny.html", 1400)
    browser.wait(DRAWN)
    browser.point(*place_of(browser, 7), click=True)
    browser.wait("kept === 7 && document.getElementById('neuron').value === '7'")
    x, y = browser.evaluate(
        "(() => { const legend = document.querySelector('.legendtoggle'); legend.scrollIntoView({behavior: 'instant'});"
        " const box = legend.getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    browser.point(x, y, click=True)
    browser.wait("!scene.there.includes(7)")
    assert painted(browser, 7) is None


def test_large_page_loads_what_it_shows_and_its_slider_is_quick(browser, tmp_path):
    """A checkpoint that nobody looks at is not loaded, and only the last ones that somebody looked at are kept."""
    page = write_large_page(tmp_path, 4000, 15)
    assert page.stat().st_size < 2_500_000
    browser.open(page, 1400)
    browser.wait(DRAWN)
    assert [url.rsplit("/", 1)[1] for url in browser.requests] == ["large.html", "plotly.min.js", "step14.js"]
    for place in range(15):
        before = browser.processor_seconds()
        browser.evaluate(f"document.getElementById('checkpoint').value = {place}; draw()")
        browser.wait(f"scene.columns.name === 'step{place}'")
        assert browser.processor_seconds() - before < 0.5
    assert browser.evaluate("scene.there.length") == 4000
    assert browser.evaluate("checkpoints.size") == 12
    boosting = browser.evaluate("scene.columns['rare.mean_delta_loss'].findIndex((mean) => mean > 0)")
    browser.point(*place_of(browser, boosting))
    browser.wait(f"{CARD}.includes('Neuron (31, {boosting})')")
    assert painted(browser, boosting) == pytest.approx([204, 121, 167], abs=60), "the plateau is on top"
    assert browser.errors == []
