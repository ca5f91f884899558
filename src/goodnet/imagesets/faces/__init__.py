"""Synthetic people to recognise: aligned colour portraits with landmarks, drawn from numbers."""

from goodnet.imagesets.faces.draw import LANDMARKS, SIZE, Faces, check_request, draw_faces

__all__ = ["LANDMARKS", "SIZE", "Faces", "check_request", "draw_faces"]
