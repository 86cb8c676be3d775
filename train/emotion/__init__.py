"""Training and evaluation of the classifier of facial expressions."""
