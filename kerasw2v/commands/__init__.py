"""The commands of `kerasw2v`, one a file: its arguments, and what runs it.

Without anything that takes long to import: `--help` is instant.
"""
