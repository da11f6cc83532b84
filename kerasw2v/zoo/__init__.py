"""The model zoo: trainings that are known to work, ready to run, and vectors ready to use."""

from kerasw2v.zoo.loading import FOLDER as FOLDER
from kerasw2v.zoo.loading import Loaded, english_vectors, find_recipe, load, names
from kerasw2v.zoo.loading import find_file as find_file

__all__ = ["Loaded", "english_vectors", "find_recipe", "load", "names"]
