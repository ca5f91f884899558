"""From the files of a run folder, which nobody vouches for, to facts."""
