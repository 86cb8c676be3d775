"""Variants of a training config under one budget, compared; `studies/` holds each."""
