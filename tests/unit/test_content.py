import pytest

from axbuild.engine.run.content import Contents, File, NoSuchEntry, SameName, known_names, said, shape_of
from axbuild.engine.run.nodes import Completed
from axbuild.workspace.artifact import Entry, Output, Result, SourceFiles, Tree

A, B, C = (("//t", name) for name in "abc")
SINGLE = SourceFiles((("x", "p/x"),))
FOLDER = SourceFiles((("x", "p/x"), ("y/z", "p/y/z")), tree=True)


@pytest.fixture
def done():
    return {A: Completed({"one": "1", "many/": {"f": "2", "g": "3"}}, {})}


@pytest.fixture
def contents(done):
    return Contents(done, lambda path: f"digest of {path}")


def test_sources_are_read_by_their_path(contents):
    assert contents.content(SINGLE) == File("digest of p/x", "p/x")
    assert shape_of(contents.content(FOLDER)) == {"x": "digest of p/x", "y/z": "digest of p/y/z"}


def test_outputs_and_entries_of_what_is_done(contents):
    assert contents.content(Output(A, "one")) == File("1")
    assert shape_of(contents.content(Output(A, "many/"))) == {"f": "2", "g": "3"}
    assert contents.content(Entry(Output(A, "many/"), "g")) == File("3")
    assert contents.content(Entry(FOLDER, "y/z")) == File("digest of p/y/z", "p/y/z")


def test_an_entry_may_be_a_folder(contents, done):
    done[B] = Completed({"deep/": {"a/x": "4", "a/b/y": "5", "ab": "6"}}, {})
    deep = Output(B, "deep/")
    assert shape_of(contents.content(Entry(deep, "a/"))) == {"x": "4", "b/y": "5"}
    assert shape_of(contents.content(Entry(Entry(deep, "a/"), "b/"))) == {"y": "5"}
    assert contents.content(Entry(Entry(deep, "a/"), "x")) == File("4")
    with pytest.raises(NoSuchEntry, match=r"deep/ of //t b has no folder 'c/'; it holds a/b/y, a/x, ab"):
        contents.content(Entry(deep, "c/"))
    with pytest.raises(NoSuchEntry, match=r"has no folder 'ab/'"):
        contents.content(Entry(deep, "ab/"))


def test_a_folder_of_a_result_needs_only_the_parts_in_it(contents, done):
    done[B] = Completed({}, {"b1/p": Output(A, "one"), "b1/q": Output(A, "many/"), "b4/p": Output(C, "out")})
    assert list(contents.pending(Entry(Result(B), "b1/"))) == []
    assert shape_of(contents.content(Entry(Result(B), "b1/"))) == {"p": "1", "q/f": "2", "q/g": "3"}
    assert list(contents.pending(Entry(Result(B), "b4/"))) == [C]


def test_a_tree_is_put_together_under_prefixes(contents):
    tree = Tree((("model.onnx", Output(A, "one")), ("", Output(A, "many/")), ("data", FOLDER)))
    assert shape_of(contents.content(tree)) == {
        "model.onnx": "1",
        "f": "2",
        "g": "3",
        "data/x": "digest of p/x",
        "data/y/z": "digest of p/y/z",
    }


def test_two_files_of_one_name_and_a_missing_entry_are_errors(contents):
    with pytest.raises(SameName, match="'f'"):
        contents.content(Tree((("", Output(A, "many/")), ("f", Output(A, "one")))))
    with pytest.raises(NoSuchEntry, match=r"many/ of //t a has no file 'h'; it holds f, g"):
        contents.content(Entry(Output(A, "many/"), "h"))
    with pytest.raises(NoSuchEntry, match="has no file 'two'"):
        contents.content(Output(A, "two"))


def test_pending_names_what_must_be_done_before_more_is_known(contents, done):
    everything = Tree((("r", Result(B)), ("o", Output(A, "one"))))
    assert list(contents.pending(everything)) == [B]
    done[B] = Completed({}, {"p": Output(C, "out"), "q": Output(A, "one")})
    assert list(contents.pending(everything)) == [C]
    assert list(contents.pending(Entry(Result(B), "q"))) == []
    assert list(contents.pending(Entry(Result(B), "p"))) == [C]
    done[C] = Completed({"out": "9"}, {})
    assert shape_of(contents.content(everything)) == {"r/p": "9", "r/q": "1", "o": "1"}


def test_an_entry_that_an_expansion_does_not_yield_is_named(contents, done):
    done[B] = Completed({}, {"p": Output(A, "one")})
    with pytest.raises(NoSuchEntry, match="the results of //t b has no file 'z'; it holds p"):
        list(contents.pending(Entry(Result(B), "z")))


def test_artifacts_in_a_users_words():
    assert said(SINGLE) == "p/x"
    assert said(Entry(Output(A, "many/"), "f")) == "f in many/ of //t a"
    assert known_names("data", FOLDER) == {"data": "p", "data/x": "p/x", "data/y/z": "p/y/z"}
    assert known_names("model", Output(A, "one")) == {"model": "one of //t a"}
