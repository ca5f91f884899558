"""Model file <-> network, one file or folder per format."""
