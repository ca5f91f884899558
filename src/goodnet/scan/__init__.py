"""Ways of telling whether a network carries a backdoor, for which label, with what trigger."""

from goodnet.scan.case import Case, Shown
from goodnet.scan.k_arm import KArm
from goodnet.scan.last_layer import HTell, LastLayer
from goodnet.scan.mm_bd import MMBD
from goodnet.scan.neural_cleanse import NeuralCleanse
from goodnet.scan.result import Direction, RecoveredTrigger, ScanResult, Target, Verdict
from goodnet.scan.scan import Scan
from goodnet.scan.scanner import Scanner
from goodnet.scan.stimulation import ChannelStimulation

__all__ = [
    "MMBD",
    "Case",
    "ChannelStimulation",
    "Direction",
    "HTell",
    "KArm",
    "LastLayer",
    "NeuralCleanse",
    "RecoveredTrigger",
    "Scan",
    "ScanResult",
    "Scanner",
    "Shown",
    "Target",
    "Verdict",
]
