"""Makes `python -m kerasw2v` the same as `kerasw2v`."""

from kerasw2v.cli import program

if __name__ == "__main__":
    program()
