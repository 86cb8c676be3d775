"""The tab "Sweep": methods over a range of strengths."""
