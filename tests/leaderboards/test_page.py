"""The page and the Markdown tables show the data of the board, whatever untrusted text it contains."""

import hashlib
import json
import math
import re
from base64 import b64encode
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_board import HOSTILE, made

from leaderboards import page as pages
from leaderboards.columns import COLUMNS, number, share, shown
from leaderboards.tables import literal, table, tables

VOID = ("meta", "link", "input", "line", "circle", "path")


@pytest.fixture(scope="module")
def board():
    return made()


@pytest.fixture(scope="module")
def text(board):
    return pages.page(board)


class Elements(HTMLParser):
    """Parser of elements, attributes and text; asserts that every element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.inside = [], [], {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.inside.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.fixture(scope="module")
def elements(text):
    return Elements(text)


def test_page_is_well_formed_and_loads_nothing(text, elements):
    assert text.startswith('<!doctype html>\n<html lang="en">')
    for tag, attributes in elements.found:
        assert tag not in ("img", "iframe", "object", "embed", "base")
        assert not {"src", "srcset", "style", "onclick", "onerror"} & set(attributes)
        link = attributes.get("href", "#")
        assert re.match(r"#|\.\./README\.md$|data:image/svg\+xml,", link), link
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "@import" not in text and "url(" not in text
    assert len(text.encode()) < 2e6


def test_policy_allows_just_what_stands_on_the_page(text):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.S)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    for name, content in (("script", script), ("style", style)):
        assert f"{name}-src 'sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_data_round_trip(text, board):
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert "<" not in data
    told = json.loads(data)
    assert told == json.loads(json.dumps(pages.content(board)))
    for ours, theirs in zip(board.tracks, told["tracks"], strict=True):
        assert theirs["film"] == ours.film
        for standing, entry in zip(ours.standings, theirs["entries"], strict=True):
            assert entry["entry"] == standing.entry
            assert np.allclose(entry["score"], [i.score for i in standing.instances], rtol=1e-6)
            assert entry["normalised"][3] is None
            assert entry["status"] == "".join(i.status[0] for i in standing.instances)


def test_every_figure_of_the_tables_is_on_the_page(board, elements):
    cells = [" ".join(data.split()) for tag in ("td", "b", "span") for data in elements.inside[tag]]
    for track in board.tracks:
        for standing in track.standings:
            mean, interval = number(standing.iqm.mean, ".3f"), f"[{number(standing.iqm.low, '.3f')}, "
            assert mean in cells
            assert any(cell.startswith(interval) for cell in cells)
            for column in COLUMNS[4:]:
                assert column.text(standing) in cells


def test_hostile_text_is_no_element(text, elements):
    assert HOSTILE not in text and "<img" not in text and "\u202e" not in text
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert HOSTILE in elements.inside["bdi"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain Ünïcode 中文", "plain Ünïcode 中文"),
        ("a\u202eb", "a\\u202eb"),
        ("a\x00b\nc", "a\\u0000b c"),
        ("\ud800", "\\ud800"),
        ("o" + "\u0301" * 50 + "k", "o\u0301\u0301\u0301k"),
        ("x" * 9000, "x" * 4000 + "…"),
    ],
    ids=["plain", "bidi", "control", "surrogate", "zalgo", "long"],
)
def test_shown(given, wanted):
    assert shown(given) == wanted


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://example.org/a?b=1", True),
        ("http://example.org", False),
        ("javascript:alert(1)", False),
        ("https://user@example.org/", False),
        ("https://example.org/\u202egpj.exe", False),
        ("https://example.org/ a", False),
        ("https://" + "a" * 600, False),
    ],
    ids=["https", "http", "javascript", "user", "bidi", "space", "long"],
)
def test_links_that_are_followed(url, fine):
    assert pages.https(url) is fine


def test_nan_and_nothing_are_written_as_dashes(board):
    standing = board.tracks[0].standings[0]
    nothing = type(standing)(**{**standing.__dict__, "iqm": standing.iqm._replace(mean=math.nan), "gap": math.nan})
    assert pages.bar(nothing) is None
    assert [column.text(nothing) for column in COLUMNS[3:6]] == ["–", "–", "0.0 %"]
    assert number(-1e-9, ".3f") == "0.000" and number(-0.5, ".1f") == "−0.5"


def test_a_share_that_is_not_nothing_never_reads_zero():
    assert [share(value) for value in (0.0, 1e-6, 4e-4, 5e-4, 0.123)] == [
        "0.0 %",
        "< 0.1 %",
        "< 0.1 %",
        "0.1 %",
        "12.3 %",
    ]


def test_markdown_tables(board):
    lines = tables(board)
    assert [line for line in lines if line.startswith("### ")] == [f"### {t.track.title}" for t in board.tracks]
    first = table(board.tracks[0])
    heads = (
        "Place | Entry | Normalised score, IQM [95 %] | Gap to bound | Violations | Decisions/s | Parameters | Failed"
    )
    assert first[4] == f"| {heads} |"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in first[6:-1]]
    assert all(len(row) == 8 for row in rows)
    assert [row[0] for row in rows] == ["–", "1=", "1=", "2=", "2=", "3", "4", "5", "6", "7", "–"]
    assert rows[1][1] == "**ppo**" and rows[1][6] == "2,700"
    assert rows[5][1:2] == ["**&#60;script&#62;window.hacked=1&#60;/script&#62;** (submission)"]
    assert rows[5][7] == "3 (2 late, 1 invalid)"
    assert rows[-1][1] == "**eager** (submission) ✗ infeasible" and rows[-1][4] == "20.0 %"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("local-search", "local-search"),
        ("a|b", "a&#124;b"),
        ("[x](https://e.org)", "&#91;x&#93;&#40;https&#58;//e.org&#41;"),
        ("www.e.org", "www&#46;e.org"),
        ("a\n| b", "a &#124; b"),
        ("<b>&amp;", "&#60;b&#62;&#38;amp;"),
        ("", "(no name)"),
    ],
    ids=["plain", "pipe", "link", "autolink", "line", "html", "empty"],
)
def test_strangers_names_in_markdown(name, wanted):
    assert literal(name) == wanted
