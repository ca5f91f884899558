"""Read what nobody vouches for in a child process that can do no harm.

The libraries that unpack HDF5 files and pictures are written in C, and a crafted file may make them
crash, write where they should not, or never end. So such files are parsed in a child process with
limits of memory, time, file size and open files, which writes nothing but its pipe (see
`quarantine.limits`); what comes back is plain data and arrays, checked again (see
`quarantine.message`).

The child is forked, so nothing is imported twice. Where a system cannot fork (Windows), files are
parsed in the process itself.
"""

from goodnet.quarantine.child import quarantined, quarantined_stream
from goodnet.quarantine.limits import allow_for, renew_time
from goodnet.quarantine.message import kinds_of

__all__ = ["allow_for", "kinds_of", "quarantined", "quarantined_stream", "renew_time"]
