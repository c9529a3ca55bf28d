"""The report of a run: verdicts, then each claim with its figures, tables and time, then the origin of the data."""

import base64
import struct
from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml
from docutils.core import publish_parts
from markupsafe import Markup

from rareneurons.claims import TITLES
from rareneurons.claims.firmness import firmness_by_claim
from rareneurons.claims.sentences import firmness_sentence
from rareneurons.planning.captions import filled
from rareneurons.planning.figures import FIGURES, Figure
from rareneurons.planning.report_sections import MORE, SECTIONS, Section
from rareneurons.planning.tables import TABLES, Table
from rareneurons.report.page import rendered

VERDICT_MARKS = {"supported": "✓", "contradicted": "✗", "undecided": "?"}
PAPER_NAMES = {
    "rank_influence": "the paper's Figure 1",
    "paper_table_1": "the paper's Table 1",
    "paper_table_2": "the paper's Table 2",
    "paper_table_3": "the paper's Table 3",
}
TABLE_ROWS = 10  # rows shown per table
SHOWN_WHOLE = ("audit", "firmness", "provenance")  # tables that the report reads completely
DIGITS = 3  # significant digits
PIXELS_PER_INCH = 180  # in the browser; figures are drawn at FIGURE_DPI
FIGURE_DPI = 300


def run_report(
    run: str,
    claims: pd.DataFrame,
    figures: Mapping[str, bytes],
    tables: Mapping[str, tuple[pd.DataFrame, int]],
    captions: Mapping[str, str],
    benchmarks: pd.DataFrame,
    config: Mapping[str, Any],
    neuron_pages: Mapping[str, str],
) -> str:
    """The report as one page that loads nothing. Its links lead to files beside it.

    Args:
        run: name of the run.
        claims: the table of verdicts. ``need`` and rows of the model ``all`` are optional.
        figures: name -> PNG. Figures that are not registered are shown in the section "More", in this order.
        tables: name -> its first rows (all rows of those in ``SHOWN_WHOLE``), and its number of rows.
        captions: name of a figure or table, or ``workflow``, -> reStructuredText with Jinja's expressions of
            ``snakemake.config``, as ``snakemake --report`` reads them.
        benchmarks: for each job its ``rule``, and Snakemake's columns ``s``, ``cpu_time`` and ``max_rss`` (MB).
        config: the configuration.
        neuron_pages: model -> address of its neuron page, relative to the report.
    """
    texts = {name: caption(source, config) for name, source in captions.items()}
    times = run_times(benchmarks)
    claims = claims.assign(firmness=_firmness_texts(claims, tables))
    sections = [_section(section, claims, figures, tables, texts, times) for section in SECTIONS]
    audit, provenance = tables["audit"][0], tables["provenance"][0]
    return rendered(
        "report.html",
        {
            "run": run,
            "introduction": texts.get("workflow", ""),
            "models": list(dict.fromkeys(claims["model"])),
            "verdicts": _verdict_matrix(claims),
            "marks": VERDICT_MARKS,
            "sections": [each for each in sections if each["verdicts"] or each["figures"] or each["tables"]],
            "neuron_pages": neuron_pages,
            "findings": _table(audit[audit["finding"] != "ok"]),
            "n_checkpoints": len(audit),
            "provenance": _table(provenance[provenance["subject"] == "run"][["item", "value"]]),
            "times": _table(times),
            "total": {"jobs": int(times["jobs"].sum()), "cpu": _duration(times["CPU s"].sum())},
            "config": yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        },
    )


def caption(source: str, config: Mapping[str, Any]) -> Markup:
    """A caption as HTML.

    Args:
        source: reStructuredText with Jinja's expressions of ``snakemake.config``.
        config: the configuration.
    """
    settings = {"file_insertion_enabled": False, "raw_enabled": False, "report_level": 2, "halt_level": 2}
    text = filled(source, config)
    return Markup(publish_parts(text, writer="html5", settings_overrides=settings)["body"])  # noqa: S704  raw is off


def run_times(benchmarks: pd.DataFrame) -> pd.DataFrame:
    """Time and memory by rule, with the longest first.

    Args:
        benchmarks: one row per job, see :func:`run_report`.

    Returns:
        ``rule``, ``jobs``, ``wall s`` and ``CPU s`` (sums over jobs), ``peak MB`` (largest of a job).
    """
    grouped = benchmarks.groupby("rule", sort=False)
    times = pd.DataFrame(
        {
            "jobs": grouped.size(),
            "wall s": grouped["s"].sum(),
            "CPU s": grouped["cpu_time"].sum(),
            "peak MB": grouped["max_rss"].max(),
        }
    )
    return times.sort_values("CPU s", ascending=False, kind="stable").reset_index()


def _firmness_texts(claims: pd.DataFrame, tables: Mapping[str, tuple[pd.DataFrame, int]]) -> list[str]:
    """What each verdict's firmness says; empty where the run has no such table, and over models."""
    firm = firmness_by_claim(tables["firmness"][0]) if "firmness" in tables else {}
    found = (firm.get(place) for place in zip(claims["claim"], claims["model"], strict=True))
    return ["" if each is None else firmness_sentence(each) for each in found]


def _verdict_matrix(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per claim: its name, title and section, and model -> what the cell says."""
    places: dict[str, str] = {name: _anchor(section.title) for section in SECTIONS for name in section.claims}
    return [
        {
            "claim": claim,
            "text": TITLES.get(str(claim), ""),
            "place": places.get(str(claim)),
            "cells": {row["model"]: _cell(row) for _, row in part.iterrows()},
        }
        for claim, part in claims.groupby("claim", sort=False)
    ]


def _cell(row: pd.Series) -> dict[str, str]:
    """Verdict, statistic, value with interval, and p, n, power and bound, as text, without missing numbers."""
    value = _number(row["value"])
    if value and pd.notna(row["ci_low"]) and pd.notna(row["ci_high"]):
        value += f" [{_number(row['ci_low'])}, {_number(row['ci_high'])}]"
    details = [("p", row["p_value"]), ("n", row["n"]), ("power", row["power"]), ("bound", row["bound"])]
    numbers = ", ".join(f"{name} {_number(number)}" for name, number in details if _number(number))
    return {"verdict": str(row["verdict"]), "statistic": str(row["statistic"]), "value": value, "numbers": numbers}


def _in_section(section: Section, found: Mapping[str, Any], registered: Mapping[str, Figure | Table]) -> list[str]:
    """Names of the figures or tables that a section shows: those registered for it, and in "More" all others."""
    mine = [name for name, entry in registered.items() if entry.section == section and name in found]
    return mine + [name for name in found if name not in registered] if section == MORE else mine


def _section(
    section: Section,
    claims: pd.DataFrame,
    figures: Mapping[str, bytes],
    tables: Mapping[str, tuple[pd.DataFrame, int]],
    captions: Mapping[str, Markup],
    times: pd.DataFrame,
) -> dict[str, Any]:
    mine = claims[claims["claim"].isin(section.claims)]
    spent = times[times["rule"].isin(section.rules)]
    return {
        "title": section.title,
        "anchor": _anchor(section.title),
        "claims": section.claims,
        "verdicts": [
            {
                key: _text(row.get(key))
                for key in (
                    "claim",
                    "model",
                    "statistic",
                    "verdict",
                    "sentence",
                    "rule",
                    "evidence",
                    "need",
                    "firmness",
                )
            }
            for row in mine.to_dict("records")
        ],
        "figures": [
            {"name": name, "title": _title(name), "caption": captions.get(name, "")} | _image(figures[name])
            for name in _in_section(section, figures, FIGURES)
        ],
        "tables": [
            {"name": name, "title": _title(name), "caption": captions.get(name, ""), "rows": rows}
            | _table(tables[name][0].head(TABLE_ROWS))
            for name in _in_section(section, tables, TABLES)
            for rows in [tables[name][1]]
        ],
        "time": ", ".join(
            f"{row['rule']} {_duration(row['CPU s'])} over {row['jobs']} {'job' if row['jobs'] == 1 else 'jobs'}"
            for row in spent.to_dict("records")
        ),
    }


def _image(png: bytes) -> dict[str, Any]:
    """The image as a data address, with its width and height in the browser's pixels."""
    width, height = struct.unpack(">II", png[16:24])  # from the header at the start of every PNG
    scale = PIXELS_PER_INCH / FIGURE_DPI
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return {"source": source, "width": round(width * scale), "height": round(height * scale)}


def _table(frame: pd.DataFrame) -> dict[str, Any]:
    """Column names, and rows of cells. A cell is its text and whether it is a number."""
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    return {
        "columns": list(map(str, frame.columns)),
        "cells": [
            [(_number(value) if number else _text(value), number) for value, number in zip(row, numeric, strict=True)]
            for row in frame.itertuples(index=False)
        ],
    }


def _title(name: str) -> str:
    paper = PAPER_NAMES.get(name)
    words = name.replace("_", " ").capitalize()
    return f"{words} ({paper})" if paper else words


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _text(value: Any) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value)


def _number(value: Any) -> str:
    """Three significant digits, or all digits before the point. Empty if there is no number."""
    if pd.isna(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 10**DIGITS or float(value).is_integer() else f"{value:.{DIGITS}g}"


def _duration(seconds: float) -> str:
    """Seconds in the largest unit that leaves a number above one and a half."""
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
