"""Files that belong together: a run that is killed between two of them mixes nothing."""

import os
import re

import numpy as np
import pytest
from gensim.models import KeyedVectors

from kerasw2v.keyed_vectors import load_vectors, save_projector, save_vectors


class Killed(BaseException):
    """What `kill -9` does, as far as the files are concerned: nothing is moved after it."""


def killed_at_move(number, monkeypatch, save):
    """Runs `save` up to its move of that number, from 0; returns whether there is one."""
    moves = []
    move = os.replace

    def count(*paths):
        if len(moves) == number:
            raise Killed
        moves.append(paths)
        move(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", count)
        try:
            save()
        except Killed:
            return True
    return False


def large_vectors(fill):
    large = KeyedVectors(1_000)
    words = [f"{fill}-{i}" for i in range(10_500)]
    large.add_vectors(words, np.full((10_500, 1_000), fill, np.float32))
    return large


def test_old_words_never_stand_with_new_vectors(tmp_path, monkeypatch):
    path = tmp_path / "large.kv"
    old, new = large_vectors(1.0), large_vectors(2.0)
    save_vectors(old, path)
    assert load_vectors(path)["1.0-7"][0] == 1
    assert not hasattr(old, "vectors_crc32")
    assert killed_at_move(1, monkeypatch, lambda: save_vectors(new, path))
    with pytest.raises(ValueError, match=r"'.*large\.kv\.vectors\.npy' belongs to another save"):
        load_vectors(path)
    save_vectors(new, path)
    for read in (load_vectors(path), KeyedVectors.load(str(path), mmap="r")):
        assert read.index_to_key == new.index_to_key
        np.testing.assert_array_equal(read.vectors, new.vectors)
    assert not hasattr(load_vectors(path), "vectors_crc32")


def projector_set(folder):
    """What TensorBoard shows: it looks for nothing but the configuration."""
    config = (folder / "projector_config.pbtxt").read_text()
    tensors, metadata = (
        (folder / re.search(f'{kind}_path: "(.*)"', config)[1]).read_text()
        for kind in ("tensor", "metadata")
    )
    return tensors, metadata


def test_the_projector_shows_the_old_set_or_the_new_one(tmp_path, monkeypatch):
    def vectors(fill):
        made = KeyedVectors(2)
        made.add_vectors([f"{fill}a", f"{fill}b"], np.full((2, 2), fill))
        return made

    save_projector(vectors(0), tmp_path)
    live = projector_set(tmp_path)
    for number in range(3):
        for fill in (1, 2, 3):
            killed = killed_at_move(
                number, monkeypatch, lambda fill=fill: save_projector(vectors(fill), tmp_path)
            )
            assert killed
            assert projector_set(tmp_path) == live
        save_projector(vectors(10 + number), tmp_path)
        assert projector_set(tmp_path) != live
        live = projector_set(tmp_path)
        assert f"{10 + number}a\t" in live[1]
        assert len(os.listdir(tmp_path)) == 3
