import gzip
import os
import pickle
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from gensim.models import KeyedVectors, Word2Vec

from kerasw2v import SkipGram, Vocabulary, layers
from kerasw2v.keyed_vectors import (
    check_vectors_path,
    load_vectors,
    save_projector,
    save_vectors,
    to_keyed_vectors,
    with_counts,
)

SUFFIXES = [".kv", ".vec", ".txt", ".bin", ".vec.gz", ".txt.gz", ".bin.gz"]


def stub(rows=4, dim=3, output=True, dtype=np.float32):
    rng = np.random.default_rng(1)
    tables = [keras.Variable(rng.normal(size=(rows, dim)).astype(dtype)) for _ in range(2)]
    output_layer = SimpleNamespace(embeddings=tables[1]) if output else SimpleNamespace()
    return SimpleNamespace(
        embedding=SimpleNamespace(embeddings=tables[0]), output_layer=output_layer
    )


@pytest.fixture
def vocabulary():
    return Vocabulary(["the", "cat", "sat", "down"], [9, 4, 4, 1])


class TestToKeyedVectors:
    def test_copies_vectors_words_and_counts(self, vocabulary):
        model = stub()
        vectors = to_keyed_vectors(model, vocabulary)
        assert type(vectors) is KeyedVectors
        assert vectors.index_to_key == ["the", "cat", "sat", "down"]
        np.testing.assert_array_equal(
            vectors["sat"], keras.ops.convert_to_numpy(model.embedding.embeddings)[2]
        )
        assert [vectors.get_vecattr(word, "count") for word in vocabulary] == [9, 4, 4, 1]
        assert vectors.expandos["count"].dtype == np.int64

    def test_a_copy_stays_as_it_is_when_training_goes_on(self, vocabulary):
        model = stub()
        vectors = to_keyed_vectors(model, vocabulary)
        before = vectors.vectors.copy()
        model.embedding.embeddings.assign(np.zeros((4, 3)))
        np.testing.assert_array_equal(vectors.vectors, before)
        vectors.vectors[0] = 1  # and it can be written

    def test_without_a_copy_the_memory_is_the_model_s(self, vocabulary, tmp_path):
        model = stub()
        variable = model.embedding.embeddings.value
        vectors = to_keyed_vectors(model, vocabulary, copy=False).vectors
        assert np.shares_memory(vectors, np.asarray(memoryview(variable.read_value())))
        assert not vectors.flags.writeable
        before = vectors.copy()
        # Written in place by the optimizer: what was exported stays as it was.
        variable.scatter_nd_sub([[1]], np.ones((1, 3), np.float32))
        np.testing.assert_array_equal(vectors, before)
        np.testing.assert_allclose(variable.numpy()[1], before[1] - 1, rtol=1e-6)

    def test_a_word_twice_is_named(self):
        with pytest.raises(ValueError, match=r"must be distinct\. Received: the word 'b' twice"):
            with_counts(["a", "b", "b"], np.eye(3), np.ones(3))

    def test_most_similar_is_the_largest_cosine(self, vocabulary):
        model = stub()
        vectors = to_keyed_vectors(model, vocabulary)
        table = keras.ops.convert_to_numpy(model.embedding.embeddings)
        unit = table / np.linalg.norm(table, axis=1, keepdims=True)
        cosines = unit @ unit[1]
        cosines[1] = -2
        word, score = vectors.most_similar("cat", topn=1)[0]
        assert word == vocabulary.words[np.argmax(cosines)]
        assert score == pytest.approx(cosines.max(), abs=1e-6)

    def test_output_table(self, vocabulary):
        model = stub()
        vectors = to_keyed_vectors(model, vocabulary, table="output")
        np.testing.assert_array_equal(
            vectors.vectors, keras.ops.convert_to_numpy(model.output_layer.embeddings)
        )

    def test_half_precision_becomes_float32(self, vocabulary):
        assert to_keyed_vectors(stub(dtype=np.float16), vocabulary).vectors.dtype == np.float32

    def test_a_real_model(self, vocabulary):
        model = SkipGram(4, 6, layers.NegativeSampling(vocabulary.counts))
        for table in ("input", "output"):
            assert to_keyed_vectors(model, vocabulary, table).vectors.shape == (4, 6)

    def test_vocabulary_of_another_size(self, vocabulary):
        with pytest.raises(ValueError, match=r"`vocabulary` must .* 4 words for 5 vectors"):
            to_keyed_vectors(stub(rows=5), vocabulary)

    def test_layer_without_output_vectors(self, vocabulary):
        with pytest.raises(ValueError, match="`table` must be 'input' for a model whose output"):
            to_keyed_vectors(stub(output=False), vocabulary, table="output")

    def test_unknown_table(self, vocabulary):
        with pytest.raises(ValueError, match=r"`table` must be .* Received: table='hidden'"):
            to_keyed_vectors(stub(), vocabulary, table="hidden")


class TestSaveAndLoad:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_gensim_reads_every_format(self, vectors, tmp_path, suffix):
        path = str(tmp_path / f"vectors{suffix}")
        save_vectors(vectors, path)
        if suffix == ".kv":
            read = KeyedVectors.load(path)
            np.testing.assert_array_equal(read.expandos["count"], vectors.expandos["count"])
        else:
            read = KeyedVectors.load_word2vec_format(path, binary=".bin" in suffix)
        assert read.index_to_key == vectors.index_to_key
        np.testing.assert_array_equal(read.vectors, vectors.vectors)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_round_trip(self, vectors, tmp_path, suffix):
        path = tmp_path / f"Vectors{suffix}"
        save_vectors(vectors, path)
        read = load_vectors(path)
        assert type(read) is KeyedVectors
        assert read.index_to_key == vectors.index_to_key
        np.testing.assert_array_equal(read.vectors, vectors.vectors)
        assert read.most_similar("cat") == vectors.most_similar("cat")
        assert os.listdir(tmp_path) == [path.name]

    def test_large_arrays_lie_beside_a_kv_file(self, tmp_path):
        shape = (10_500, 1_000)
        large = KeyedVectors(shape[1])
        large.add_vectors(list(map(str, range(shape[0]))), np.ones(shape, np.float32))
        save_vectors(large, tmp_path / "large.kv")
        assert sorted(os.listdir(tmp_path)) == ["large.kv", "large.kv.vectors.npy"]
        assert load_vectors(tmp_path / "large.kv").vectors.shape == shape
        assert KeyedVectors.load(str(tmp_path / "large.kv"), mmap="r").vectors.shape == shape
        os.remove(tmp_path / "large.kv.vectors.npy")
        with pytest.raises(ValueError, match=r"its vectors are in .* which is missing"):
            load_vectors(tmp_path / "large.kv")

    def test_vectors_without_counts(self, tmp_path):
        plain = KeyedVectors(2)
        plain.add_vectors(["b", "a"], np.eye(2))
        for name in ("plain.kv", "plain.vec"):
            save_vectors(plain, tmp_path / name)
            assert load_vectors(tmp_path / name).index_to_key == ["b", "a"]

    @pytest.mark.parametrize("name", ["vectors", "vectors.pkl", "vectors.kv.gz", ".kv"])
    def test_unknown_suffix(self, vectors, tmp_path, name):
        for call in (lambda path: save_vectors(vectors, path), load_vectors, check_vectors_path):
            with pytest.raises(ValueError, match=r"`path` must end in \.kv, "):
                call(tmp_path / name)

    @pytest.mark.parametrize("word", ["New York", "a\tb", "a\nb", ""])
    def test_words_that_word2vec_formats_cannot_hold(self, tmp_path, word):
        odd = KeyedVectors(2)
        odd.add_vectors([word], np.ones((1, 2)))
        for suffix in (".vec", ".bin"):
            with pytest.raises(ValueError, match="must have words without whitespace"):
                save_vectors(odd, tmp_path / f"odd{suffix}")
        assert os.listdir(tmp_path) == []
        save_vectors(odd, tmp_path / "odd.kv")
        assert load_vectors(tmp_path / "odd.kv").index_to_key == [word]

    @pytest.mark.parametrize("word", [7, ("New", "York"), b"York", None, np.int64(7)])
    def test_words_that_are_no_strings(self, tmp_path, word):
        vocabulary = Vocabulary([word, "a"], [2, 1])
        odd = to_keyed_vectors(stub(2), vocabulary)
        for suffix in (".vec", ".bin"):
            with pytest.raises(TypeError, match="must have words that are strings to be saved"):
                save_vectors(odd, tmp_path / f"odd{suffix}")
        assert os.listdir(tmp_path) == []
        save_vectors(odd, tmp_path / "odd.kv")
        loaded = load_vectors(tmp_path / "odd.kv")
        assert loaded.index_to_key == [word, "a"]
        assert loaded.get_vecattr(word, "count") == 2
        np.testing.assert_array_equal(loaded.get_vector(word), odd.vectors[0])

    def test_no_such_folder(self, vectors, tmp_path):
        for call in (check_vectors_path, lambda path: save_vectors(vectors, path)):
            with pytest.raises(FileNotFoundError, match="folder that exists"):
                call(tmp_path / "none" / "vectors.kv")

    def test_a_failure_leaves_the_old_file(self, vectors, tmp_path, monkeypatch):
        path = tmp_path / "vectors.vec"
        save_vectors(vectors, path)
        before = path.read_bytes()

        def fail(self, file, **kwargs):
            with open(file, "wb") as half:
                half.write(b"6 5\nthe 0.1")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(KeyedVectors, "save_word2vec_format", fail)
        with pytest.raises(OSError, match="The disk is full"):
            save_vectors(vectors, path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["vectors.vec"]


class TestBadFiles:
    def test_no_such_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="`path` must name a file that exists"):
            load_vectors(tmp_path / "none.kv")

    def test_a_folder(self, tmp_path):
        (tmp_path / "folder.kv").mkdir()
        with pytest.raises(IsADirectoryError, match="`path` must name a file, not a folder"):
            load_vectors(tmp_path / "folder.kv")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("content", [b"", b"PNG\r\n\x1a\n\0\0", b"[section]\nkey = value\n"])
    def test_foreign_content(self, tmp_path, suffix, content):
        path = tmp_path / f"foreign{suffix}"
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
        with pytest.raises(ValueError, match="`path` must be an undamaged file of"):
            load_vectors(path)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    # A text file cut within the digits of its very last number is a good file, alas.
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.95])
    def test_a_file_that_was_cut_off(self, vectors, tmp_path, suffix, share):
        path = tmp_path / f"cut{suffix}"
        save_vectors(vectors, path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ValueError, match="`path` must be an undamaged file of") as caught:
            load_vectors(path)
        assert "\n" not in str(caught.value)

    def test_a_row_of_one_number(self, tmp_path):
        (tmp_path / "short.vec").write_text("2 3\na 1 2 3\nb 1\n")
        with pytest.raises(ValueError, match="1 numbers for 'b' instead of 3"):
            load_vectors(tmp_path / "short.vec")

    @pytest.mark.parametrize("suffix", [".vec", ".bin"])
    def test_a_header_that_promises_too_much(self, tmp_path, suffix):
        path = tmp_path / f"liar{suffix}"
        path.write_bytes(b"999999999999 300\na 1 2 3\n")
        with pytest.raises(ValueError, match="too short"):
            load_vectors(path)

    def test_not_utf8(self, tmp_path):
        (tmp_path / "latin.vec").write_bytes("1 2\nkäse 1 2\n".encode("latin-1"))
        with pytest.raises(ValueError, match="undamaged file of word2vec vectors"):
            load_vectors(tmp_path / "latin.vec")

    def test_a_pickle_that_would_run_code(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return os.system, (f"touch {tmp_path}/ran",)

        (tmp_path / "evil.kv").write_bytes(pickle.dumps(Evil()))
        with pytest.raises(ValueError, match=r"it asks for posix\.system"):
            load_vectors(tmp_path / "evil.kv")
        assert os.listdir(tmp_path) == ["evil.kv"]

    def test_pickles_beside_the_pickle_are_not_followed(self, vectors, tmp_path):
        vars(vectors)["__recursive_saveloads"] = ["more"]
        (tmp_path / "linked.kv").write_bytes(pickle.dumps(vectors))
        with pytest.raises(ValueError, match="it refers to further pickles"):
            load_vectors(tmp_path / "linked.kv")

    def test_arrays_elsewhere_are_not_followed(self, vectors, tmp_path):
        vars(vectors)["__numpys"] = ["../../secret"]
        (tmp_path / "linked.kv").write_bytes(pickle.dumps(vectors))
        with pytest.raises(ValueError, match="it refers to an array named"):
            load_vectors(tmp_path / "linked.kv")

    def test_a_whole_gensim_model(self, tmp_path):
        Word2Vec([["a", "b"]] * 9, vector_size=2, min_count=1).save(str(tmp_path / "model.kv"))
        with pytest.raises(ValueError, match=r"it asks for gensim\.models\.word2vec\.Word2Vec"):
            load_vectors(tmp_path / "model.kv")

    def test_another_object(self, tmp_path):
        (tmp_path / "list.kv").write_bytes(pickle.dumps([1, 2]))
        with pytest.raises(ValueError, match="it holds a list"):
            load_vectors(tmp_path / "list.kv")

    @pytest.mark.parametrize(
        ("attribute", "value"),
        [
            ("vectors", np.zeros((2, 5), np.float32)),
            ("vectors", None),
            ("index_to_key", ["the"] * 6),
            ("expandos", []),
        ],
    )
    def test_parts_that_do_not_fit_together(self, vectors, tmp_path, attribute, value):
        setattr(vectors, attribute, value)
        (tmp_path / "torn.kv").write_bytes(pickle.dumps(vectors))
        with pytest.raises(ValueError, match="undamaged file of gensim KeyedVectors"):
            load_vectors(tmp_path / "torn.kv")


class TestProjector:
    def test_files(self, vectors, tmp_path):
        save_projector(vectors, tmp_path / "new")
        rows = np.loadtxt(tmp_path / "new" / "tensors.tsv", delimiter="\t")
        np.testing.assert_array_equal(rows.astype(np.float32), vectors.vectors)
        lines = (tmp_path / "new" / "metadata.tsv").read_text("utf-8").split("\n")
        assert lines[:3] == ["word\tcount", "the\t60", "cat\t50"]
        assert len(lines) == 1 + 6 + 1
        config = (tmp_path / "new" / "projector_config.pbtxt").read_text()
        assert 'tensor_path: "tensors.tsv"' in config
        assert 'metadata_path: "metadata.tsv"' in config

    def test_words_that_would_break_the_table(self, tmp_path):
        odd = KeyedVectors(2)
        odd.add_vectors(["a\tb", "c\nd", "", " "], np.ones((4, 2)))
        save_projector(odd, tmp_path)
        lines = (tmp_path / "metadata.tsv").read_text().split("\n")
        assert lines == ["word\tcount", r"a\tb" + "\t4", r"c\nd" + "\t3", "\t2", " \t1", ""]

    def test_the_most_frequent_words(self, vectors, tmp_path):
        save_projector(vectors, tmp_path, max_words=2)
        assert len((tmp_path / "tensors.tsv").read_text().splitlines()) == 2
        assert len((tmp_path / "metadata.tsv").read_text().splitlines()) == 3

    def test_bad_arguments(self, vectors, tmp_path):
        with pytest.raises(ValueError, match="`max_words` must be at least 1"):
            save_projector(vectors, tmp_path, max_words=0)
        with pytest.raises(FileNotFoundError):
            save_projector(vectors, tmp_path / "a" / "b")
