"""The history of runs, and what is asked of it: what was run, what has changed, whether a release may pass.

It is made from the roll and the run folders, and can be made again from them: nothing stands in it alone.
"""
