"""The tab "Blind test", alone or as a class."""
