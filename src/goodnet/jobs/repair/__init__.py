"""The job of one repair: what is asked of it, running it, and the folder it leaves."""
