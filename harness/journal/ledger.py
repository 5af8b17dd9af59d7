"""Every write of the workload, as the child process saw it: sent, acknowledged, refused or broken.

One JSON array a line, appended with a single write(2) so that a killed child leaves whole lines:

    [seq, "sent",    mono, wall, user, [[table, key, op], ...]]
    [seq, "acked",   mono, wall, user, [[table, key, op, hash], ...]]
    [seq, "refused", mono, wall, user, detail]      the server said no: nothing was written
    [seq, "broken",  mono, wall, user, detail]      the answer never came: it may have been written

``op`` is ``insert``, ``update`` or ``delete``; ``hash`` is the row's as acknowledged (after an insert
or update, before a delete), the same function as the witness uses. ``mono`` and ``wall`` are seconds.
A write that was sent and has no later line, or a broken one, is indeterminate.
"""
