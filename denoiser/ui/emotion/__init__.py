"""The tab "Emotion check"."""
