"""The compiled kernels are installed here."""
