"""Whole jobs, files in and files out: what each command does, without the printing."""
