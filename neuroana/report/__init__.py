"""The report: one self-contained HTML page out of the sections that steps write."""
