"""One driver of each kind, as a package of a third party would have them."""
