"""One run: from scenario files to a run folder with a journal, verdicts and reports.

The life of a run is ``harness.run.drill.drill``; what touches systems is ``harness.run.execute``.
"""
