"""The leaderboard as one HTML file whose table is sorted by a click on its head."""

from html import escape

import pandas as pd

from neuroana.plot.sections import Section


STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;
color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-size:.82rem;width:100%}
th,td{padding:.25rem .5rem;text-align:right;border-bottom:1px solid #ddd;
white-space:nowrap}
th:nth-child(-n+3),td:nth-child(-n+3){text-align:left}
th button{all:unset;cursor:pointer;font-weight:600}
th button:focus-visible{outline:2px solid #0072b2}
th[aria-sort=ascending] button::after{content:" \\25B2"}
th[aria-sort=descending] button::after{content:" \\25BC"}
.scroll{overflow-x:auto}img{max-width:100%;height:auto}
"""
SCRIPT = """
document.querySelectorAll("table.sortable").forEach(function (table) {
  table.querySelectorAll("th").forEach(function (head, place) {
    head.querySelector("button").addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th").forEach(function (h) {
        h.removeAttribute("aria-sort");
      });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      var body = table.tBodies[0];
      Array.from(body.rows).sort(function (a, b) {
        var x = a.cells[place].dataset.value, y = b.cells[place].dataset.value;
        if (x === "" || y === "") { return (x === "") - (y === ""); }
        var gap = Number(x) - Number(y);
        if (Number.isNaN(gap)) { gap = x.localeCompare(y); }
        return up ? gap : -gap;
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
});
"""


def _cell(value) -> str:
    missing = isinstance(value, float) and value != value
    key = "" if missing else escape(str(value), quote=True)
    text = "n/a" if missing else f"{value:.3g}" if isinstance(value, float) else key
    return f'<td data-value="{key}">{text}</td>'


def sortable(table: pd.DataFrame) -> str:
    """A table whose columns can be sorted.

    Examples
    --------
    >>> '<td data-value="1.0">1</td>' in sortable(pd.DataFrame({"a": [1.0]}))
    True
    """
    heads = "".join(f'<th scope="col"><button type="button">{escape(str(c))}</button>'
                    "</th>" for c in table.columns)  # fmt: skip
    rows = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>\n"
                   for row in table.itertuples(index=False, name=None))  # fmt: skip
    return (f'<div class="scroll"><table class="sortable"><thead><tr>{heads}</tr>'
            f"</thead><tbody>\n{rows}</tbody></table></div>")  # fmt: skip


def leaderboard_page(
    section: Section, table: pd.DataFrame, failures: pd.DataFrame
) -> str:
    """One page: what can be said, the sortable table, figures, failures.

    It needs nothing from elsewhere; the script only sorts.

    Parameters
    ----------
    section : Section
        Text and figures.
    table : DataFrame
        As :meth:`OperatorBenchmark.to_frame` gives it.
    failures : DataFrame
    """
    figures = "".join(
        f'<h2>{escape(f["title"])}</h2><img alt="{escape(f["caption"], quote=True)}" '
        f'src="data:image/png;base64,{f["png"]}"><p>{escape(f["caption"])}</p>\n'
        for f in section.figures
    )
    failed = "<p>None.</p>" if failures.empty else sortable(failures)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(section.title)}</title>'
        f"<style>{STYLE}</style></head><body>\n<h1>{escape(section.title)}</h1>\n"
        f"<p>{escape(section.lead)}</p>\n{sortable(table)}\n{figures}"
        f"<h2>Failures</h2>\n{failed}\n"
        f"<h2>Methods</h2><p>{escape(section.methods)}</p>\n"
        f"<script>{SCRIPT}</script></body></html>\n"
    )
