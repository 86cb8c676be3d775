"""Variants of a training config under one budget, compared; the ablations are in train/ablations."""
