"""The command line: parse, call, print, exit code. The only room that prints."""

from goodnet.cli.main import main

__all__ = ["main"]
