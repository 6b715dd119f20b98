"""The page in a browser: loading, sorting, filtering, details, playback, and untrusted text shown as text."""

import itertools
import json
import re
import time

import numpy as np
import pytest
from browser import Browser, found
from fake_board import HOSTILE, MANIFEST, made

from leaderboards import page as pages
from leaderboards.columns import COLUMNS

BOARD = "document.querySelector('section:not([hidden])')"


@pytest.fixture(scope="module")
def board():
    return made()


@pytest.fixture(scope="module")
def text(board):
    return pages.page(board)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if found() is None:
        pytest.skip("no chromium, chromium-browser or google-chrome here")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def load(browser, text, tmp_path_factory, request):
    path = tmp_path_factory.getbasetemp() / "page.html"
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    browser.size(1280, 900)
    browser.media(prefers_color_scheme="light", prefers_reduced_motion="reduce")

    def open_at(link=""):
        browser.open(f"file://{path}{link}")
        return browser

    yield open_at
    wrong = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled", "Network.loadingFailed")
    assert [event for event in browser.events if event.get("method") in wrong] == []
    assert browser.run("window.hacked") is None


def column(browser, key, body="feasible"):
    rows = f"[...{BOARD}.querySelectorAll('tbody.{body} tr[data-entry]:not([hidden]) .{key}')]"
    return browser.run(f"{rows}.map((cell) => cell.dataset.value)")


def names(browser):
    return browser.run(
        "[...document.querySelectorAll('section:not([hidden]) tbody:not([hidden]) tr[data-entry]:not([hidden])')]"
        ".map((row) => row.dataset.entry)"
    )


def test_loads_with_nothing_wrong_and_no_request(load):
    browser = load()
    assert browser.run("document.getElementById('count').textContent") == "30 entries in 3 tracks"
    requests = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert all(url.startswith(("file:", "data:", "about:")) for url in requests)
    assert browser.run("[...document.querySelectorAll('section')].every((each) => !each.hidden)")


@pytest.mark.parametrize("key", [column.key for column in COLUMNS])
def test_sorts_by_a_column_both_ways(load, board, key):
    browser, button = load(), f"{BOARD}.querySelector('th[data-key={key}] button')"
    wanted = next(column for column in COLUMNS if column.key == key)
    values = [wanted.value(s) for s in board.tracks[0].standings if s.feasible and s.kind != "bound"]
    known = sorted(value for value in values if value is not None)
    for turn in range(2):
        if not (key == "place" and turn == 0):  # which the page begins with
            browser.run(f"{button}.click()")
        falls = wanted.falling == (turn == 0)
        assert browser.run(f"{button}.parentElement.ariaSort") == ("descending" if falls else "ascending")
        assert browser.run("document.querySelectorAll('section:first-of-type [aria-sort]').length") == 1
        told = [value for value in column(browser, key) if value != ""]
        told = [float(value) for value in told] if wanted.number else told
        assert told == (known[::-1] if falls else known)
        assert column(browser, key)[: len(told)] == column(browser, key)[: len(known)]  # those without come last
    assert column(browser, "entry", "infeasible") == ["eager"]  # which sorting never lifts


def test_filters(load):
    browser = load("#track=placement-paper-100x10")
    assert len(names(browser)) == 11
    assert browser.run("document.querySelector('.tracks [aria-current]').dataset.track") == "placement-paper-100x10"
    browser.run("document.querySelector('.tracks a').click()")
    type_into = (
        "((field, value) => { field.value = value; field.dispatchEvent(new Event('input', { bubbles: true })); })"
    )
    browser.run(f"{type_into}(document.querySelector('[name=q]'), 'SEARCH')")
    assert names(browser) == ["local-search"] * 3
    assert browser.run("document.getElementById('count').textContent") == "3 of 30 entries in 3 tracks"
    browser.run(f"{type_into}(document.querySelector('[name=q]'), 'no such entry')")
    assert names(browser) == [] and not browser.run("document.getElementById('none').hidden")
    browser.run("document.getElementById('clear').click()")
    browser.run(f"{type_into}(document.querySelector('[name=kind]'), 'submission')")
    assert sorted(set(names(browser))) == [HOSTILE, "eager"]
    browser.run("document.querySelector('[name=feasible]').click()")
    assert set(names(browser)) == {HOSTILE}
    assert "kind=submission" in browser.run("location.hash") and "feasible=1" in browser.run("location.hash")


def test_deep_link_and_back(load):
    browser = load("#track=migration-balanced&entry=ppo&sort=speed&vs=hindsight")
    assert browser.run("document.getElementById('detail').open")
    assert browser.run("document.getElementById('detail-title').textContent") == "ppo"
    assert browser.run("document.getElementById('versus').value") == "hindsight"
    assert browser.run("document.querySelectorAll('canvas.map').length") == 2
    assert browser.run(f"{BOARD}.dataset.track") == "migration-balanced"
    assert browser.run(f"{BOARD}.querySelector('[aria-sort]').dataset.key") == "speed"
    browser.run("document.getElementById('close').click()")
    browser.wait("!document.getElementById('detail').open && !location.hash.includes('entry')")
    browser.run(f"{BOARD}.querySelector('[data-entry=never] a').click()")
    assert browser.run("document.getElementById('detail-title').textContent") == "never"
    assert "sort=speed" in browser.run("location.hash")
    browser.run("history.back()")
    browser.wait("!document.getElementById('detail').open")
    browser.run("history.forward()")
    browser.wait("document.getElementById('detail').open")


def test_entry_of_all_tracks_closes_onto_all_tracks(load):
    browser = load()
    link = "document.querySelector('#migration-balanced [data-entry=ppo] a')"
    browser.run(f"{link}.focus(), {link}.click()")
    assert browser.run("document.querySelectorAll('section:not([hidden])').length") == 3
    browser.press("Escape")
    browser.wait("!document.getElementById('detail').open")
    assert browser.run("document.querySelectorAll('section:not([hidden])').length") == 3
    assert browser.run("document.activeElement.textContent") == "ppo"


def test_unknown_links_show_everything(load):
    browser = load("#track=nothing&entry=nobody&sort=%3Cscript%3E&kind=odd")
    assert browser.run("document.getElementById('none').hidden") is False  # there is no such kind
    assert not browser.run("document.getElementById('detail').open")


def focus(browser, wanted, limit=80):
    """Go on with the tabulator until an element has the focus."""
    for _ in range(limit):
        browser.press("Tab")
        if browser.run(f"document.activeElement.matches({json.dumps(wanted)})"):
            return
    raise AssertionError(f"{wanted} has no turn")


def test_keyboard_alone(load):
    browser = load()
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    browser.press("Enter", text="\r")
    browser.wait("document.activeElement.id === 'boards'")
    focus(browser, "th[data-key=speed] button")
    browser.press("Enter", text="\r")
    assert browser.run(f"{BOARD}.querySelector('th[data-key=speed]').ariaSort") == "descending"
    focus(browser, "[data-entry=ppo] a")
    browser.press("Enter", text="\r")
    browser.wait("document.getElementById('detail').open")
    focus(browser, "#play")
    browser.press(" ", "Space", text=" ")
    browser.wait("Number(document.querySelector('#detail input[type=range]').value) > 0")
    browser.press(" ", "Space", text=" ")
    focus(browser, "input[type=range]")
    browser.press("Home")
    browser.press("ArrowRight")
    assert browser.run("document.querySelector('#detail output').textContent") == "slot 2 of 60"
    browser.press("Escape")
    browser.wait("!document.getElementById('detail').open")


@pytest.mark.parametrize(
    "link",
    [
        "",
        "#track=association-balanced&entry=ppo",
        "#track=association-balanced&entry=%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E",
    ],
    ids=["tables", "entry", "hostile"],
)
def test_phone_has_no_horizontal_scroll(load, browser, link):
    browser.size(360, 740)
    load(link)
    assert browser.run("document.documentElement.scrollWidth") <= 360
    assert browser.run("document.getElementById('detail').scrollWidth <= document.getElementById('detail').clientWidth")
    assert browser.run("document.getElementById('detail').open") == bool(link)


def test_hostile_manifest_is_text(load):
    browser = load("#track=association-balanced&entry=%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E")
    dialog = "document.getElementById('detail')"
    assert browser.run("document.getElementById('detail-title').textContent") == HOSTILE
    told = browser.run(f"{dialog}.textContent")
    for hostile in (
        MANIFEST["authors"][0],
        "\\u202eEve",
        MANIFEST["licence"],
        MANIFEST["code"],
        "</dialog><b>about</b>",
    ):
        assert hostile in told
    assert browser.run(f"{dialog}.querySelectorAll('script, img, b:not(.stage b)').length") == 0
    links = browser.run(f"[...{dialog}.querySelectorAll('a')].map((link) => [link.href, link.rel])")
    assert links == [["https://example.org/code", "nofollow noopener noreferrer"]]


def test_theme(load, browser):
    ground = "getComputedStyle(document.body).backgroundColor"
    load()
    light = browser.run(ground)
    browser.run("document.getElementById('theme').click()")
    dark = browser.run(ground)
    assert dark != light
    browser.run("document.getElementById('theme').click()")
    assert browser.run(ground) == light
    browser.run("localStorage.clear()")
    browser.media(prefers_color_scheme="dark")
    load()
    assert browser.run(ground) == dark
    assert browser.run("document.getElementById('theme').textContent") == "Light colours"


def test_animation_plays_unless_motion_is_reduced(load, browser):
    link, slot = (
        "#track=association-balanced&entry=ppo",
        "Number(document.querySelector('#detail input[type=range]').value)",
    )
    load(link)
    time.sleep(0.3)
    assert browser.run(slot) == 0 and browser.run("document.getElementById('play').textContent") == "Play"
    picture = "document.querySelector('canvas.map').toDataURL()"
    still = browser.run(picture)
    browser.media(prefers_reduced_motion="no-preference")
    load(link)
    browser.wait(f"{slot} >= 2")
    assert browser.run("document.getElementById('play').textContent") == "Pause"
    browser.run("document.getElementById('play').click()")
    assert browser.run("document.getElementById('play').textContent") == "Play"
    assert browser.run(picture) != still
    stopped = browser.run(slot)
    time.sleep(0.3)
    assert browser.run(slot) == stopped


def test_film_follows_the_slider_and_the_comparison(load, board):
    browser = load("#track=association-balanced&entry=eager&vs=none")
    film = board.tracks[0].film["entries"]["eager"]
    assert browser.run("document.querySelectorAll('canvas.map').length") == 1
    browser.run(
        "((slider) => { slider.value = 5; slider.dispatchEvent(new Event('input')); })"
        "(document.querySelector('#detail input[type=range]'))"
    )
    told = browser.run("document.querySelector('figcaption span').textContent")
    moved = film["migrations"][5]
    assert re.fullmatch(rf"score −?[\d.]+ · {moved} moved · ✗ violated", told)
    assert float(told.split()[1]) == pytest.approx(film["score"][5], rel=1e-3)
    browser.run(
        "((choice) => { choice.value = 'ppo'; choice.dispatchEvent(new Event('change')); })"
        "(document.getElementById('versus'))"
    )
    assert browser.run("[...document.querySelectorAll('figcaption b')].map((name) => name.textContent)") == [
        "eager",
        "ppo",
    ]
    assert "vs=ppo" in browser.run("location.hash")


def test_instances_are_drawn_and_listed(load, board):
    browser = load("#track=association-balanced&entry=ppo&vs=local-search")
    assert browser.run("document.querySelectorAll('.strip .own').length") == 31  # one has no headroom
    assert browser.run("document.querySelectorAll('.strip .vs').length") == 31
    ours = next(s for s in board.tracks[0].standings if s.entry == "ppo")
    rows = "[...document.querySelectorAll('#numbers tbody tr')]"
    cells = browser.run(f"{rows}.map((row) => [...row.cells].map((cell) => cell.textContent))")
    assert len(cells) == 32 and cells[3][5] == "no headroom"
    assert [float(row[1]) for row in cells] == pytest.approx([i.score for i in ours.instances], rel=1e-5)


def test_names_labels_and_captions(load):
    browser = load("#track=association-balanced&entry=ppo")

    def all_are(elements, condition):
        return browser.run(f"[...document.querySelectorAll('{elements}')].every((each) => {condition})")

    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("document.querySelectorAll('h1').length") == 1
    assert all_are("table", "each.caption?.textContent.trim()")
    assert all_are("button, a", "each.textContent.trim() || each.ariaLabel")
    assert all_are("input, select", "each.labels.length || each.ariaLabel")
    assert all_are("canvas, svg", "each.closest('[aria-hidden], [role=img]')")
    ids = browser.run("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(load, browser, scheme):
    browser.media(prefers_color_scheme=scheme)
    load()
    pairs = itertools.product(("ink", "soft", "accent", "warn", "other"), ("paper", "raised", "tint"))
    for ink, ground in pairs:
        read = [
            browser.run(
                "((probe) => { document.body.append(probe); "
                f"probe.style.color = 'var(--{name})'; const told = getComputedStyle(probe).color; probe.remove(); "
                "return told.match(/[\\d.]+/g).map(Number); })(document.createElement('span'))"
            )
            for name in (ink, ground)
        ]
        bright, dim = sorted((luminance(colour) for colour in read), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, ground)


def luminance(colour):
    """WCAG 2's relative luminance of sRGB 0..255."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour[:3]) / 255]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_tables_stand_without_scripts(load, browser, board):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        load()
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
    shown = browser.send("DOM.getDocument", depth=-1)["root"]
    assert shown["nodeName"] == "#document"
    assert browser.run("document.querySelectorAll('section tbody tr[data-entry]').length") == sum(
        len(track.standings) for track in board.tracks
    )
    assert browser.run("getComputedStyle(document.getElementById('filters')).display") == "none"
