"""The command line: ``neuroana VERB``. One file a verb; the only place that prints."""
