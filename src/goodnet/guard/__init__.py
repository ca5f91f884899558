"""The N+1 network G (`form` as a plain description, `goodnet` to run), and input detectors."""
