"""Ninelives: prove that what an agent can delete, you can recover, in the time you promised.

This package is light on purpose. The pytest plugin is loaded into every pytest session on the
machine, so importing ``harness`` must not import the product behind it.
"""

__version__ = "0.1.0"
