"""The attacker's side: triggers, and poisoned sets of images to test defences on."""

from goodnet.attack.landmarks import Landmarks, default_landmarks
from goodnet.attack.poison import CLEAN, Goal, PoisonPlan, plan_poison, poison_blocks
from goodnet.attack.stamp import Trigger
from goodnet.attack.triggers import TRIGGERS, trigger

__all__ = [
    "CLEAN",
    "TRIGGERS",
    "Goal",
    "Landmarks",
    "PoisonPlan",
    "Trigger",
    "default_landmarks",
    "plan_poison",
    "poison_blocks",
    "trigger",
]
