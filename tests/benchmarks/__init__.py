"""Measurements that can be run again: ``python -m tests.benchmarks.NAME``.

Each prints its figures and the machine they were taken on, and the same as JSON on its last line.
"""
