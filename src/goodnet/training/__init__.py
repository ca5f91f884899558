"""Training a network that is given as a plain description; used to attack and to repair."""

from goodnet.training.examples import Examples
from goodnet.training.fit import fit
from goodnet.training.held import silent_numbers
from goodnet.training.schedule import Schedule

__all__ = ["Examples", "Schedule", "fit", "silent_numbers"]
