"""The report: verdicts first, everything escaped, nothing lost, sums right."""

import re

import pandas as pd
import pytest
from planted_pages import HOSTILE, planted_report, png, run_parts

from rareneurons.report.run_report import caption, run_times


@pytest.fixture(scope="module")
def page():
    return planted_report()


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def cell(page: str, claim: str, number: int) -> str:
    row = next(row for row in re.findall(r"<tr>.*?</tr>", page, re.S) if f">{claim}</a>" in row)
    return text_of(re.findall(r"<td.*?</td>", row, re.S)[number])


def test_verdict_table_comes_first_and_says_all(page):
    assert page.index('class="verdicts"') < page.index("<figure")
    assert cell(page, "C1", 0) == "✓ supported C1.statistic 0.123 [0.1, 0.2] p 0.0123, n 1600, bound 0.5"
    assert cell(page, "C1", 1) == "✗ contradicted C1.statistic -3 [-4, -2] p 0.5, n 12, power 0.25, bound 0.5"
    assert cell(page, "C3", 0) == "? undecided C3.statistic 1"
    assert 'class="verdict contradicted"' in page
    assert "Statistic: C1.statistic. Rule: rule of C1. Evidence: 0.4." in text_of(page)


def test_how_firm_a_verdict_is_stands_with_it():
    rows = [{"choice": "own", "changed": False, "verdict": "supported"}] + [
        {"choice": "x", "changed": False, "verdict": "supported"}
    ]
    firmness = pd.DataFrame([{"claim": "C1", "model": "small"} | row for row in rows])
    tables = run_parts()["tables"] | {"firmness": (firmness, 2)}
    page = text_of(planted_report(tables=tables))
    assert page.count("1 of 1 other choices gives the same verdict.") == 1
    assert "C1 is supported. 1 of 1 other" in page


def test_claims_over_models_and_needs_are_shown_where_there_are_any():
    claims = run_parts()["claims"]
    over = claims.head(1).assign(model="all", need="4,000 rows")
    page = planted_report(claims=pd.concat([claims, over], ignore_index=True))
    assert cell(page, "C1", 2).startswith("✓ supported")
    assert cell(page, "C3", 2) == ""
    assert text_of(page).count("What would decide it: 4,000 rows") == 1
    assert "all models" in page
    assert "What would decide it" not in text_of(planted_report())


def test_texts_are_escaped(page):
    for hostile in HOSTILE[:2]:
        assert hostile not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_figure_and_table_is_there_and_those_without_a_section_too(page):
    sections = re.findall(r'<h2 id="([\w-]+)">', page)
    assert sections.index("regimes-of-influence") < sections.index("more") < sections.index("models-and-data")
    assert page.count("data:image/png;base64,") == 2
    for name in ("rank_influence", "new_figure"):
        assert f'id="figure-{name}"' in page
        assert f'href="figures/{name}.pdf"' in page
    for name in ("regimes", "novel"):
        assert f'href="tables/{name}.csv"' in page
    assert "The first 10 of 4000 rows of" in text_of(page)
    assert "The 10 rows of novel.csv" in text_of(page)
    assert "the paper&#39;s Figure 1" in page


def test_figures_keep_their_proportions(page):
    assert 'width="360" height="180"' in page  # 2 by 1 inches at 180 pixels an inch
    assert 'width="1800" height="240"' in page


def test_captions_are_rendered_with_the_configuration(page):
    assert "<em>a paper</em>" in page
    assert "Seed 7" in page
    assert '<span class="docutils literal">code</span> with' in page
    assert "300 documents &amp; more" in page


def test_caption_that_names_an_unknown_key_is_an_error():
    with pytest.raises(Exception, match="nothing"):
        caption("{{ snakemake.config['nothing'] }}", {"seed": 1})


def test_times_are_sums_by_rule_and_peaks_the_largest(page):
    times = run_times(run_parts()["benchmarks"]).set_index("rule")
    assert times.index.tolist() == ["influence", "attention"]
    assert times.loc["attention"].tolist() == [2, 8.0, 6.0, 700.0]
    assert "3 jobs, 1.6 min of processor time" in text_of(page)
    assert "attention 6 s over 2 jobs" in text_of(planted_report(figures={"attention": png()}))


def test_audit_speaks_up_where_it_found_something(page):
    assert "found nothing wrong with the 2 checkpoints" in text_of(page)
    parts = run_parts()
    audit = pd.DataFrame({"checkpoint": ["step0", "step1"], "finding": ["ok", "duplicate"]})
    found = text_of(planted_report(tables=parts["tables"] | {"audit": (audit, 2)}))
    assert "The audit of 2 checkpoints found: checkpoint finding step1 duplicate" in found


def test_provenance_of_the_run_and_configuration_are_shown(page):
    words = text_of(page)
    assert "item value seed 0" in words
    assert "commit abc" not in words.split("Provenance")[-1]
    assert "documents: 300" in words
