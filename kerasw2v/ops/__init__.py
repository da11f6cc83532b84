"""Pure functions and small helpers that the rest of the package is built on."""
