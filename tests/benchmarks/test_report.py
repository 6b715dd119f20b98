"""The report of a run is one complete, self-contained file."""

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_results import made
from PIL import Image

from benchmarks.plotting import plt
from benchmarks.report import command as report
from benchmarks.report.plots import curves, scores, spread, svg
from benchmarks.statistics import Interval
from benchmarks.suites.tables import bound_note, tables

GOOD = {"ppo": 0.11, "hysteresis": 0.1, "nearest": 0.09, "maddpg": -1.8, "greedy-add": -1.6, "hindsight": 0.9}


@pytest.fixture(scope="module")
def results():
    return made(
        "smoke",
        lambda cell, agent: {"score": GOOD.get(agent, 0.8)},
        lambda cell, agent, share: {"score": GOOD[agent] * (0.5 + 0.5 * share)},
        episodes=5,
        trainings=2,
    )


@pytest.fixture(scope="module")
def page(results):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "PICTURES", 2)
        return report.page(results)


class Page(HTMLParser):
    """Elements with their attributes, and the text; elements must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.text = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_is_self_contained(page):
    read = Page(page)
    assert read.all("html") == [{"lang": "en"}] and len(read.all("h1")) == 1
    assert all(image["src"].startswith("data:image/") for image in read.all("img"))
    assert all(link["href"].startswith("#") for link in read.all("a"))
    assert not read.all("script") and not read.all("link") and not re.search(r"https?:|url\(|@import", page)
    names = {attributes["id"] for _, attributes in read.found if "id" in attributes}
    assert {link["href"][1:] for link in read.all("a")} == names
    assert len(page) < 3_000_000


def test_every_number_of_the_tables_is_on_the_page(page, results):
    text = " ".join(" ".join(Page(page).text).split())
    for cell in results.suite.cells:
        for line in tables(cell, results.of(cell), results.trainings, bound_note(results, cell)):
            for part in re.split(r"[|`]", line) if not line.startswith("|--") else ():
                assert " ".join(part.strip(" :").split()) in text
    for shown in (results.manifest["commit"], "held-out episodes 5, seeds 100 to 104", "training seeds 1, 2"):
        assert shown in text


def test_tables_and_pictures_can_be_read_without_eyes(page, results):
    read = Page(page)
    cells = len(results.suite.cells)
    assert len(read.all("caption")) == len(read.all("table")) == cells
    assert all(len(image["alt"]) > 20 for image in read.all("img"))
    assert {head.get("scope") for head in read.all("th")} == {"col", "row"}
    assert len(read.all("img")) == cells * 5  # scores, spread, curves, an episode, its last slot


def test_an_episode_is_played(page):
    films = re.findall(r"data:image/gif;base64,([^\"]+)", page)
    assert len(films) == 3  # one an environment
    with Image.open(io.BytesIO(base64.b64decode(films[0]))) as film:
        assert film.n_frames == 2 and film.width == report.FILM_PIXELS
    assert "hysteresis playing held-out episode 100" in page  # the best: made results have no policies


def test_films_are_shrunk(monkeypatch):
    monkeypatch.setattr(report, "FILM_BYTES", 12_000)
    ramp = np.linspace(0, 255, 900).astype(np.uint8)
    frames = [Image.fromarray(np.tile(np.roll(ramp, 90 * k), (100, 1))) for k in range(8)]
    file = io.BytesIO()
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=200)
    film, still = report.small(file.getvalue())
    with Image.open(io.BytesIO(film)) as read:
        assert read.size == (720, 80) and 1 <= read.n_frames < 8
        assert read.n_frames * read.info["duration"] == 1600
    assert len(film) <= 12_000 and Image.open(io.BytesIO(still)).size == (720, 80)


def test_texts_are_escaped(results):
    suite = dataclasses.replace(results.suite, about="<script>alert(1)</script>", cells=())
    text = report.page(dataclasses.replace(results, suite=suite))
    assert "<script" not in text and "&lt;script&gt;" in text


def test_a_table_is_parsed():
    lines = [
        "`a`, 2 held-out episodes:",
        "",
        "| agent | score |",
        "|---|---:|",
        "| ppo | 0.1 [0.0, 0.2] |",
        "",
        "Note.",
    ]
    table = report.read_table(lines)
    assert (table["title"], table["rest"]) == ("`a`, 2 held-out episodes", ["Note."])
    assert table["heads"] == ["agent", "score"] and table["rows"] == [[("ppo", ""), ("0.1", "[0.0, 0.2]")]]


def test_pictures_show_means_spreads_and_curves():
    means = {"a": 5.0, "b": 4.9, "c": 4.8, "d": 4.7, "e": 4.6, "f": -90.0}
    found = {name: Interval(mean, mean - 0.01, mean + 0.01) for name, mean in means.items()}
    axes = scores(found, ["a"], bound=6.0).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list("abcdef")
    assert [text.get_text() for text in axes.texts] == ["◂ -90.0000"] and axes.get_xlim()[0] > 4
    assert axes.get_xlim()[1] > 6.0
    axes = spread({"a": np.arange(101.0), "b": np.arange(101.0) / 2}, ["a"]).axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(25.0, 50.0), (12.5, 25.0)]
    found = {"ppo": [[{"steps": s, "score": k + s / 100} for s in range(0, 101, 10)] for k in (0.0, 1.0)]}
    figure = curves(found, {"nearest": 0.3})
    line = figure.axes[0].lines[0]
    assert line.get_ydata()[20] == pytest.approx(0.5 + line.get_xdata()[20] / 100)
    text = svg(figure, "name")
    assert text == svg(curves(found, {"nearest": 0.3}), "name") and b"environment steps" in text
    plt.close("all")


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"no results, manifest\.json is missing"):
        report.main(report.WriteReport(tmp_path))
