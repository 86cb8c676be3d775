"""Tests of training, evaluation and publishing."""
