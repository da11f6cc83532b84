"""The model zoo: trainings that are known to work, ready to run, and vectors ready to use."""

from kerasw2v.zoo.loading import FOLDER, Loaded, english_vectors, find_recipe, load, names

__all__ = ["FOLDER", "Loaded", "english_vectors", "find_recipe", "load", "names"]
