"""Training, evaluation and publishing: ``python -m train fit | evaluate | sweep``."""
