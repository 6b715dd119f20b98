"""Instances of a season follow from its secret, which is committed to first and published afterwards."""

import hashlib
import json
import stat

import pytest

from leaderboards import open_season as opening
from leaderboards import reveal_season as reveal
from leaderboards import season as seasons
from leaderboards.season import Season, SeasonError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(seasons, "SEASONS", tmp_path / "seasons")
    return tmp_path


def opened(folder, name="2027.1"):
    opening.main(opening.OpenSeason(name, folder / f"{name}.secret"))
    return folder / f"{name}.secret"


def hmac_by_hand(key, message):
    """RFC 2104 with SHA-256, for keys of up to 64 bytes."""
    key = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner).digest()


def test_seeds_are_the_hmac_of_season_and_index():
    season = Season("2027.1", secret=bytes(range(32)))
    for index in (0, 1, 12):
        digest = hmac_by_hand(bytes(range(32)), f"2027.1:{index}".encode())
        assert season.seed(index) == int.from_bytes(digest[:8], "big") // 2
    seeds = [season.seed(index) for index in range(500)]
    assert len({*seeds}) == 500 and all(0 <= seed < 2**63 for seed in seeds)
    assert not {*seeds} & {Season("2027.2", secret=bytes(range(32))).seed(index) for index in range(500)}


def test_validation_is_public_and_apart_from_other_episodes():
    assert [seasons.read("validation").seed(i) for i in (0, 1, 199)] == [500_000, 500_001, 500_199]


def test_a_season_from_its_opening_to_its_end(folder):
    path = opened(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    about = json.loads((folder / "seasons/2027.1/season.json").read_text())
    secret = opening.read_secret(path)
    assert about["commitment"] == hashlib.sha256(secret).hexdigest() and about["secret"] is None
    season = seasons.read("2027.1")
    with pytest.raises(SeasonError, match="has not been revealed"):
        season.seed(0)
    expected = season.with_secret(secret).seed(7)
    reveal.main(reveal.Reveal("2027.1", path))
    assert seasons.read("2027.1").seed(7) == expected


def test_two_seasons_have_two_secrets(folder):
    assert opened(folder).read_text() != opened(folder, "2027.2").read_text()
    opened(folder, "2027.10")
    assert seasons.known() == ["2027.10", "2027.2", "2027.1"]


def test_a_season_is_begun_once_and_a_secret_is_not_overwritten(folder):
    path = opened(folder)
    before = path.read_text()
    with pytest.raises(SystemExit, match=r"season '2027.1' is already open"):
        opening.main(opening.OpenSeason("2027.1", folder / "other"))
    with pytest.raises(SystemExit, match="exists and is not overwritten"):
        opening.main(opening.OpenSeason("2027.2", path))
    assert path.read_text() == before and seasons.known() == ["2027.1"]


@pytest.mark.parametrize("name", ["../x", "2027", "validation", "2027.1/..", ""])
def test_names_of_seasons(folder, name):
    with pytest.raises(SystemExit, match="season must be a year and a number"):
        opening.main(opening.OpenSeason(name, folder / "secret"))


def test_another_secret_is_refused(folder):
    opened(folder)
    (folder / "other").write_text("00" * 32)
    with pytest.raises(SystemExit, match="secret must have the SHA-256"):
        reveal.main(reveal.Reveal("2027.1", folder / "other"))
    assert seasons.read("2027.1").secret is None


@pytest.mark.parametrize(("text", "said"), [("zz", "must be a file of hex"), ("00" * 31, "must hold 32 bytes, got 31")])
def test_what_is_no_secret(folder, text, said):
    (folder / "secret").write_text(text)
    with pytest.raises(SeasonError, match=said):
        opening.read_secret(folder / "secret")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not a valid season"),
        ("[]", "not a valid season"),
        ('{"commitment": "00"}', "commitment must be 64 hexadecimal digits"),
    ],
)
def test_broken_seasons(folder, text, said):
    path = folder / "seasons/2027.1/season.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(SeasonError, match=said):
        seasons.read("2027.1")


def test_a_forged_secret_in_the_file_is_noticed(folder):
    opened(folder)
    path = folder / "seasons/2027.1/season.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "secret": "11" * 32}))
    with pytest.raises(SeasonError, match="secret must have the SHA-256"):
        seasons.read("2027.1")


def test_unknown_seasons_are_named(folder):
    with pytest.raises(SeasonError, match=r"season must be one of validation, got '2026.9'"):
        seasons.read("2026.9")
