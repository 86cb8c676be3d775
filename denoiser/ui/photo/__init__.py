"""The tab "Photo"."""
