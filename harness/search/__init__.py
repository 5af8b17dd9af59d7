"""Many runs to one answer."""
