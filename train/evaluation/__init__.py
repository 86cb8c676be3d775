"""Scores on the test split, and where they are written."""
