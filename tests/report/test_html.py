import json
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

import neuroana as na
from neuroana.core.errors import CorruptFileError, SchemaError
from neuroana.core.recording import from_array
from neuroana.plot.sections import Section, read_section, write_section
from neuroana.report.data_quality import quality, quality_section
from neuroana.report.html import render


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=5000",
]
PROBE = """
<script>
window.addEventListener("load", () => {
  const images = [...document.images];
  const texts = [...document.querySelectorAll("p, td, dd, dt, figcaption")];
  const size = e => parseFloat(getComputedStyle(e).fontSize);
  parent.postMessage({
    width: innerWidth,
    images: images.length,
    shown: images.filter(i => i.complete && i.naturalWidth > 0).length,
    overflows: document.documentElement.scrollWidth > innerWidth + 1,
    smallest: Math.min(...texts.map(size)),
  }, "*");
});
</script>"""
FRAME = """
<body><script>
addEventListener("message", e => document.title = JSON.stringify(e.data));
</script>
<iframe src="inner.html" style="width: {width}px; height: 1900px; border: 0"></iframe>
"""


class Tags(HTMLParser):
    """Collects start tags with their attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page():
    sections = [
        quality_section(na.load_sample("eeg_rest_14ch"), title="EEG at rest"),
        quality_section(na.load_sample("spikes_mouse_135", bin_width=0.1)),
        Section("Three <states>", "switching", lead="A & B", numbers={"score": 0.5}),
    ]
    return render(sections, title="Test")


def test_page_asks_nothing_of_the_network(page):
    tags = Tags()
    tags.feed(page)
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "iframe", "object", "embed"}
    for _, attrs in tags.found:
        for key in ("src", "href"):
            value = attrs.get(key)
            assert value is None or value.startswith(("#", "data:"))


def test_page_stays_below_three_megabytes(page):
    assert len(page.encode()) < 3_000_000


def test_page_escapes_what_sections_say(page):
    assert "Three &lt;states&gt;" in page
    assert "A &amp; B" in page


def test_the_same_sections_give_the_same_page(page):
    sections = [quality_section(na.load_sample("eeg_rest_14ch"))] * 2
    assert render(sections[:1]) == render(sections[1:])


def test_synthetic_data_are_marked_on_top_and_in_the_section():
    section = Section("A", "recording", synthetic=True, source={"modality": "eeg"})
    assert render([section]).count("SYNTHETIC") >= 3


def test_failures_are_listed_on_top(tmp_path):
    failed = [(tmp_path / "a.nc", {"step": "io.read", "error": "CorruptFileError: x"})]
    page = render([], failures=failed)
    assert "io.read" in page
    assert "CorruptFileError" in page


def test_quality_counts_what_is_wrong():
    values = np.random.default_rng(0).standard_normal((100, 3))
    values[:, 1] = 5.0
    values[:10, 0] = np.nan
    rec = from_array(values, "calcium", sampling_rate=10.0, good=np.arange(100) < 80)
    found = quality(rec)
    assert found["constant signals"] == ["1"]
    assert found["excluded time (%)"] == 20.0
    assert found["missing samples (%)"] == pytest.approx(100 * 10 / 240, abs=1e-3)


def test_sections_survive_the_file(tmp_path):
    section = Section("A", "recording", numbers={"x": 1.5})
    section.add_table("t", ["a"], [[1], [2.5]])
    assert read_section(write_section(section, tmp_path / "a.json")) == section


def test_a_file_that_is_no_section_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"colour": 1}')
    with pytest.raises(SchemaError, match=r"a\.json"):
        read_section(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CorruptFileError, match=r"a\.json"):
        read_section(tmp_path / "a.json")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [390, 1200])
def test_browser_shows_the_page_without_complaint(page, tmp_path, width):
    inner, outer = tmp_path / "inner.html", tmp_path / "outer.html"
    inner.write_text(page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    outer.write_text(FRAME.format(width=width), encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}",
         "--window-size=1300,2000", "--enable-logging=stderr",
         "--dump-dom", outer.as_uri()],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    seen = json.loads(done.stdout.split("<title>")[1].split("</title>")[0])
    assert seen["width"] == width
    assert seen["images"] == seen["shown"] == 3
    assert not seen["overflows"]
    assert seen["smallest"] >= 12
