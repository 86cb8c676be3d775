"""What is found out about denoisers: results, sweeps, repeats, their insides, tests with people."""
