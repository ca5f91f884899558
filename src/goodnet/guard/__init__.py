"""The N+1 network G, and input detectors."""
