"""The main job: pruning for each allowed drop, and the folder it leaves."""
