"""Models of strangers: each runs in a process of its own, which can use little and reach nothing."""
