"""A study file is data: YAML 1.2 scalars, nothing twice, nothing hidden, nothing endless, and a line for every key."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel import strict_yaml
from multilevel.errors import StudyError


def content_of(text: str):
    return strict_yaml.parse(text)[0]


def refusal_of(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        strict_yaml.parse(text, "study.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("007", 7),
        ("008", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2001-01-01", "2001-01-01"),
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.5e300", 1.5e300),
        ("1e", "1e"),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("=", "="),
        ("'12'", "12"),
        ('"true"', "true"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = content_of(f"key: {text}")["key"]
    kind = float if isinstance(found, float) else type(found)  # a float remembers how it was written
    assert (kind, found) == (type(value), value)


@pytest.mark.parametrize("text", ["12.10", ".44", "-0.670", "5.", "1.50e-3", "+2.0"])
def test_a_number_remembers_how_it_was_written(text: str) -> None:
    assert content_of(f"key: {text}")["key"].written == text


def test_nan_is_a_number() -> None:
    assert math.isnan(content_of("key: .nan")["key"])


@pytest.mark.parametrize("key", ["1990", "true", "null", "no", "1.5", "2001-01-01"])
def test_a_key_is_a_name_whatever_it_looks_like(key: str) -> None:
    assert content_of(f"{key}: x") == {key: "x"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\na: 2", "a: the key 'a' stands twice (lines 1 and 2)"),
        ("m:\n  a: 1\n  b: 2\n  a: 3", "m.a: the key 'a' stands twice (lines 2 and 4)"),
        ("l:\n  - a: 1\n    a: 2", "l[0].a: the key 'a' stands twice (lines 2 and 3)"),
        ("m: {a: 1, a: 1}", "m.a: the key 'a' stands twice (lines 1 and 1)"),
        ('1: x\n"1": y', "1: the key '1' stands twice (lines 1 and 2)"),
        ('a: 1\n"\\x61": 2', "a: the key 'a' stands twice (lines 1 and 2)"),
    ],
)
def test_a_key_that_stands_twice_is_refused_wherever_it_is(text: str, where: str) -> None:
    assert where in refusal_of(text)


def test_every_duplicate_is_told_at_once() -> None:
    message = refusal_of("a: 1\na: 2\nm:\n  b: 1\n  b: 2")
    assert message.startswith("study.yaml: 2 problems")


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "!local x",
        "!!str 5",
        "!!int abc",
        "!!float abc",
        "!!bool maybe",
        "!!set {x}",
        "!!omap [x: 1]",
        "!!binary aGk=",
        "!!timestamp 2001-01-01",
        "!!null x",
        "[1, !!str 5]",
    ],
)
def test_tags_are_refused(value: str) -> None:
    message = refusal_of(f"key: {value}")
    assert "(line 1): the tag !" in message
    assert "is not allowed; quote text that begins with !" in message


def test_merge_keys_are_refused() -> None:
    assert "line 2: merge keys (<<) are not part of YAML 1.2" in refusal_of("base: &b {x: 1}\n<<: *b")


def test_a_quoted_merge_key_is_a_name() -> None:
    assert content_of('"<<": 1') == {"<<": 1}


def test_anchors_stand_for_what_they_name() -> None:
    assert content_of("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def test_aliases_that_unfold_without_end_are_refused() -> None:
    assert "the file unfolds to more than" in refusal_of("a: &a [*a]")


def test_a_billion_laughs_are_refused_before_they_unfold() -> None:
    names = "abcdefghijkl"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join(['*' + old] * 9)}]" for old, new in itertools.pairwise(names)]
    assert f"the file unfolds to more than {strict_yaml.MAX_NODES:,}" in refusal_of("\n".join(lines))


@pytest.mark.parametrize("text", ["a: " + "[" * 200 + "]" * 200, "a: " + "{b: " * 100 + "1" + "}" * 100])
def test_deep_nesting_is_refused(text: str) -> None:
    assert f"{strict_yaml.MAX_DEPTH} levels" in refusal_of(text)


def test_nesting_too_deep_for_the_parser_itself_is_refused() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # Python's own; packages that other tests import raise it
    try:
        assert "nested deeper" in refusal_of("a: " + "[" * 600 + "]" * 600)
    finally:
        sys.setrecursionlimit(limit)


def test_a_number_too_long_to_read_is_refused() -> None:
    assert "holds a number that cannot be read" in refusal_of("seed: " + "1" * 5000)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty; it must be a mapping of keys"),
        ("- 1", "the file holds no keys; it must be a mapping of keys"),
        ("just text", "must be a mapping of keys"),
        ("a: [", "line 1, column 5: not valid YAML: the file ends where a value should begin"),
        ("a: [1", "line 1, column 4: not valid YAML: a bracket that was opened does not close; ']' is expected here"),
        ("a: 'b", "line 1, column 4: not valid YAML: a quote does not close"),
        (
            "a: b: c",
            "line 1, column 5: not valid YAML: a colon cannot stand here; quote text that holds a colon and a blank",
        ),
        ("a: @b", "line 1, column 4: not valid YAML: the character @ cannot begin a value; quote the text"),
        ("a: 1\n---\nb: 2", "line 2, column 1: not valid YAML: a second document begins here; a file holds one"),
        ("a: *nothing", "line 1, column 4: not valid YAML: *nothing refers to nothing; quote text that begins with *"),
        ("? [1, 2]\n: x", "line 1: a key must be plain text"),
        ("a: \t1", "line 1, column 4: not valid YAML: a tab stands where blanks should; indent with blanks"),
        ("a: '\x01'", "the file holds the character U+0001, which YAML does not allow"),
        ('a: "\\ud800"', "a (line 1): the text holds half of a character"),
    ],
)
def test_what_is_no_study_file_is_refused_with_its_place(text: str, sentence: str) -> None:
    assert sentence in refusal_of(text)

    text = (
        "title: x\n\nmodels:\n  a:\n    formula: y ~ x\n"
        "  b: {formula: y ~ 1, priors: {sd: 'exponential(1)'}}\njoin:\n  - by: k\n"
    )
    assert strict_yaml.parse(text)[1] == {
        "title": 1,
        "models": 3,
        "models.a": 4,
        "models.a.formula": 5,
        "models.b": 6,
        "models.b.formula": 6,
        "models.b.priors": 6,
        "models.b.priors.sd": 6,
        "join": 7,
        "join[0]": 8,
        "join[0].by": 8,
    }


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbftitle: \xc3\xa9t\xc3\xa9\r\nseed: 1\r\n")
    assert strict_yaml.read(path)[0] == {"title": "été", "seed": 1}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"title: caf\xe9", "is not UTF-8 (byte 10); save it as UTF-8"),
        (b"#" * (strict_yaml.MAX_BYTES + 1), "the file has 1,000,001 bytes; at most 1,000,000 are read"),
    ],
)
def test_files_of_another_encoding_or_size_are_refused(tmp_path: Path, raw: bytes, sentence: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    with pytest.raises(StudyError) as caught:
        strict_yaml.read(path)
    assert str(path) in str(caught.value)
    assert sentence in str(caught.value)


def test_a_missing_file_is_told_with_the_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "radon.yaml").touch()
    with pytest.raises(StudyError, match=r"no such file; files there: radon\.yaml"):
        strict_yaml.read(tmp_path / "randon.yaml")
    with pytest.raises(StudyError, match="has no YAML file"):
        strict_yaml.read(tmp_path / "nowhere" / "x.yaml")


def test_a_folder_is_no_study_file(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        strict_yaml.read(tmp_path)


@given(st.text(max_size=80) | st.text(alphabet=":{}[],&*!?|>'\"%@`#-\n \tab<~01.", max_size=60))
def test_any_text_is_a_mapping_or_refused(text: str) -> None:
    try:
        content, _ = strict_yaml.parse(text)
    except StudyError:
        return
    assert isinstance(content, dict)
    assert plain(content)


def plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)
