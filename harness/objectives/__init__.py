"""Judges: from a scenario and the record of its run to one verdict for each objective. Pure.

``gates`` holds what must be true before anything can be said at all; ``judging`` applies it for every
objective alike; ``losses`` derives what was lost from witness, ledger and what came back.
"""
