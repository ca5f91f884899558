"""Labelled images, streamed."""
