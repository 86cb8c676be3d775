"""The page's endpoints for programs."""
