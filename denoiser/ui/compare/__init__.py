"""The tab "Compare": the live grid, its charts, and its downloads."""
