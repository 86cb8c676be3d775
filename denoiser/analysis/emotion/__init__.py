"""A classifier of facial expressions, and what it reads in noisy and denoised faces."""
