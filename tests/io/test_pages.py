"""The pages about reading: every block of code runs, in order, offline."""

import re
from pathlib import Path

import pytest


DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (
    "reading",
    "coming_from_mne",
    "coming_from_nilearn",
    "coming_from_pynapple_suite2p",
)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.filterwarnings("ignore")
def test_blocks_of_the_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, f"{page}.md", "exec"), names)
