"""What a stored run proves to somebody who was not there: numbered, digested, signed, verified offline."""
