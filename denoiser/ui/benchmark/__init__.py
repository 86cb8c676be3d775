"""The tab "Benchmark": all methods on FER2013's test split."""
