"""The report and a neuron page in a headless Chromium, phone-wide and desk-wide, as somebody uses them."""

import pytest
from chromium import Chromium, executable
from planted_pages import HOSTILE, planted_neuron_page, planted_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        executable() is None, reason="no chromium, chromium-browser, google-chrome or chrome on the PATH"
    ),
]
WIDTHS = [375, 1400]
DRAWN = "document.querySelector('#plot .scatterlayer .point') !== null"
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
    (results / "neurons").mkdir()
    (results / "neurons/tiny.html").write_text(planted_neuron_page(), encoding="utf-8")
    return results


def is_sound(browser, file, width):
    """Nothing said in the console, nothing loaded but the page, nothing wider than the window."""
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [file.as_uri()]
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
    x, y = browser.evaluate(
        "(() => { const box = document.querySelector('.trace .point').getBoundingClientRect();"  # plateau: neuron 7
        " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    browser.point(x, y)
    browser.wait(f"{CARD}.includes('Neuron (3, 7)')")
    card = browser.evaluate(CARD)
    assert "0.04 ± 0.005" in card  # rare: 50 times 0.001, of which four fifths are net
    assert "0.05 ± 0.0025" in card
    assert "0.015 ± 0.00075" in card  # common: 0.3 of that
    assert "plateau, top 33" in card
    drawn = "(({x, y}) => [x[0], y[0]])(document.getElementById('plot').data[0])"
    assert browser.evaluate(drawn) == pytest.approx([0.015, 0.05])
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
    before = browser.evaluate("document.querySelector('.trace .point').getAttribute('transform')")
    browser.evaluate("document.getElementById('checkpoint').focus()")
    browser.press("ArrowLeft")
    browser.wait(f"{CARD}.includes('step0') && {CARD}.includes('0.0005 ± 0.000025')")
    assert browser.evaluate("document.getElementById('checkpoint-name').textContent") == "step0"
    assert "40 neurons; 800 rare rows of 120 documents" in browser.evaluate("document.body.innerText")
    assert "without any effect: 1" in browser.evaluate("document.getElementById('said').textContent")
    browser.wait(f"document.querySelector('.trace .point').getAttribute('transform') !== {before!r}")
    for nobody in ("40", "-1", "1.5", ""):
        browser.evaluate(f"document.getElementById('neuron').value = '{nobody}'")
        browser.evaluate("document.getElementById('search').requestSubmit()")
        assert "Neuron (3, 7)" in browser.evaluate(CARD), "an index that is none changes nothing"
    is_sound(browser, folder / "neurons/tiny.html", 1400)


def test_choosing_a_model_opens_its_page(browser, folder):
    (folder / "neurons/other.html").write_text(planted_neuron_page(), encoding="utf-8")
    browser.open(folder / "neurons/tiny.html", 1400)
    browser.wait(DRAWN)
    browser.evaluate(
        "(() => { const model = document.getElementById('model'); model.value = 'other.html';"
        " model.dispatchEvent(new Event('change')); })()"
    )
    browser.wait("location.pathname.endsWith('/neurons/other.html')")
