"""Tests of what is found out about denoisers, and of the lessons."""
