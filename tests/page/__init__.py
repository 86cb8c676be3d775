"""Tests of the page and how it is served, without a browser."""
