"""The job of comparing repairs: which, on what, and the table they leave."""
