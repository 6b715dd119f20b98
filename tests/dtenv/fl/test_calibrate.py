"""`python -m dtenv.fl calibrate`: end to end on digits, with an interruption, and what it will not publish."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from paths import RESULTS, SHARED

from dtenv.fl.__main__ import main
from dtenv.fl.calibration import command as calibrate
from dtenv.fl.calibration import grid
from dtenv.fl.calibration.fit import curve
from dtenv.fl.calibration.picture import draw
from dtenv.fl.data.images import load_images
from dtenv.fl.data.skew import SKEWS
from dtenv.reporting.compressed import read_text, stored
from dtenv.utility_profile import available, load

COMMAND = "calibrate --data digits --skew missing --rounds 30 --sizes 30 60 120 --emds 0 0.6 --seeds 0 1 --processes 1"
CALIBRATION = RESULTS / "calibration"
OURS = sorted(name for name in available() if load(name).label == "calibrated")
MNIST = SHARED / "data" / "mnist"


def run(out: Path, *more: str) -> int:
    return main([*COMMAND.split(), "--out", str(out), *more])


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A calibration that is interrupted after its first job, and then gone on with."""
    folder = tmp_path_factory.mktemp("calibrated")
    out, really, asked = folder / "digits-missing.json", grid.train_job, []

    def interrupted(*given):
        asked.append(given[-1])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return really(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "train_job", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(out)
        assert not out.exists() and not (folder / "digits-missing.png").exists()
        assert len((folder / "digits-missing.rows.jsonl").read_text().splitlines()) == 1 + 2
        assert run(out) == 0
    assert len(asked) == 2 + 5  # the finished job was not asked for again
    return folder


def test_profile_and_its_provenance(calibrated):
    profile = load(calibrated / "digits-missing.json")
    assert (profile.name, profile.data, profile.skew, profile.variant) == (
        "digits-missing",
        "digits",
        "missing",
        "fedavg",
    )
    assert profile.label == "calibrated" and profile.metric == "personalised-balanced"
    assert profile.samples == (30.0, 120.0) and profile.emd == (0.0, 0.6)
    assert profile.rounds == 30 and profile.compute_factor == 1.0 and profile.epsilon is None
    assert profile.uplink_bytes == profile.downlink_bytes == 4 * (64 * 64 + 64 + 64 * 10 + 10)
    told = profile.provenance
    assert told["sha256"] == load_images("digits").sha256 and told["recipe"]["rounds"] == 30
    assert told["command"].startswith("python -m dtenv.fl calibrate --data digits --skew missing")
    assert "--rounds 30" in told["command"] and str(calibrated) not in json.dumps(profile.as_dict())
    assert set(told["packages"]) == {"numpy", "scipy", "torch"} and len(told["commit"].split("-")[0]) in (7, 40)


def test_profile_is_the_fit_of_the_rows(calibrated):
    profile, report = (
        load(calibrated / "digits-missing.json"),
        json.loads((calibrated / "digits-missing.fit.json").read_text()),
    )
    lines = (calibrated / "digits-missing.rows.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines[1:]]
    assert len(rows) == report["cells"] == 12 and report["cells_trained_now"] == 10 and report["refused"] is None
    measured = np.array([row["personalised-balanced"] for row in rows])
    at = [[row[name] for row in rows] for name in ("samples", "emd")]
    rmse = np.sqrt(np.mean((measured - curve(*at, profile.alpha)) ** 2))
    assert profile.fit["rmse"] == pytest.approx(rmse) and rmse < 0.02
    assert report["fits"]["personalised-balanced"]["alpha"] == list(profile.alpha)
    published = np.sqrt(np.mean((measured - load("zhou-2025").utility(*at)) ** 2))
    assert report["fits"]["personalised-balanced"]["published_rmse"] == pytest.approx(published)
    drop = report["fits"]["global"]["drop_at_largest_size"]["0.6"]
    of = {row["emd"]: [] for row in rows}
    for row in rows:
        of[row["emd"]] += [row["global"]] if row["samples"] == 120 else []
    assert drop["measured"] == pytest.approx(np.mean(of[0.6]) / np.mean(of[0.0]))


def test_picture_shows_points_and_curves(calibrated, tmp_path):
    pixels = image.imread(calibrated / "digits-missing.png")
    assert pixels.shape[0] > 300 and pixels.shape[1] > 500
    samples, emd = np.array([30.0, 120.0] * 2), np.array([0.0, 0.0, 0.6, 0.6])
    accuracy = np.array([0.6, 0.8, 0.5, 0.7])

    def drawn(fitted):
        draw(tmp_path / "a.png", "t", samples, emd, accuracy, fitted, load("zhou-2025").utility, "accuracy")
        return image.imread(tmp_path / "a.png")

    without, level = drawn(None), drawn(lambda sizes, _: np.full(np.shape(sizes), 0.65))
    assert (without != level).any() and (drawn(lambda sizes, _: np.full(np.shape(sizes), 0.9)) != level).any()


def test_another_metric_needs_no_training(calibrated, tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "train_job", lambda *given: pytest.fail("trained again"))
    run(tmp_path / "own.json", "--metric", "personalised-own", "--rows", str(calibrated / "digits-missing.rows.jsonl"))
    report = json.loads((tmp_path / "own.fit.json").read_text())
    first = json.loads((calibrated / "digits-missing.fit.json").read_text())
    assert report["metric"] == "personalised-own" and report["cells_trained_now"] == 0
    assert report["fits"] == first["fits"] and not (tmp_path / "own.rows.jsonl").exists()


def made(folder: Path, accuracy, **changes) -> Path:
    """Rows of the command's grid with made-up accuracies in place of trained ones."""
    out = folder / "made.json"
    settings = calibrate.Calibrate(
        data="digits", out=out, rounds=30, sizes=(30, 60, 120), emds=(0.0, 0.6), seeds=(0, 1), processes=1
    )
    asked = settings.grid()
    lines = [json.dumps(asked.settings(load_images("digits")))]
    for samples in asked.sizes:
        for emd in asked.emds:
            for seed in asked.seeds:
                value = accuracy(samples, emd, seed)
                row = {"samples": samples, "emd": emd, "seed": seed, "diverged": False, "epsilon": None, "protects": ""}
                row |= {"global": value, "personalised-balanced": value, "personalised-own": value}
                lines.append(json.dumps({**row, "upload_bytes": 1.0, "compute": 1.0, **changes}))
    (folder / "made.rows.jsonl").write_text("\n".join(lines) + "\n")
    return out


@pytest.mark.parametrize(
    ("accuracy", "why"),
    [
        (lambda samples, emd, seed: 0.6 - 0.002 * samples, "falls with more data"),
        (lambda samples, emd, seed: 0.5 + 0.001 * samples + (0.15 if samples == 60 else 0.0) + 0.1 * seed, "rmse"),
    ],
)
def test_what_is_not_published_is_still_written_and_drawn(tmp_path, capsys, accuracy, why):
    out = made(tmp_path, accuracy)
    assert run(out) == calibrate.REFUSED == 2
    assert not out.exists() and (tmp_path / "made.png").exists()
    report = json.loads((tmp_path / "made.fit.json").read_text())
    assert why in report["refused"] and f"not published: {report['refused']}" in capsys.readouterr().out
    assert "rmse" in report["fits"]["global"]


def test_diverged_cells_are_not_published(tmp_path, capsys):
    good = (0.8, 0.85, 0.9)
    out = made(tmp_path, lambda samples, emd, seed: good[(30, 60, 120).index(samples)] - 0.1 * emd)
    assert run(out) == 0
    out.unlink()
    lines = (tmp_path / "made.rows.jsonl").read_text().splitlines()
    row = json.loads(lines[1]) | {
        "diverged": True,
        "global": None,
        "personalised-balanced": None,
        "personalised-own": None,
    }
    (tmp_path / "made.rows.jsonl").write_text("\n".join([lines[0], json.dumps(row), *lines[2:]]) + "\n")
    assert run(out) == 2 and not out.exists()
    assert "1 of 12 cells diverged" in capsys.readouterr().out


def test_nothing_to_fit_is_told(tmp_path, capsys):
    out = made(tmp_path, lambda *_: None, diverged=True)
    assert run(out) == 2 and not out.exists()
    assert "eight points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("out", "more", "named"),
    [
        ("x.json", ["--metric", "best"], "metric must be one of"),
        ("x.json", ["--skew", "some"], "skew must be one of"),
        ("x.json", ["--variant", "8bit"], "variant must be one of"),
        ("x.json", ["--rounds", "0"], "rounds must be a positive integer"),
        ("x.json", ["--sizes", "10", "10"], "sizes must be distinct"),
        ("x.txt", [], "out must end in .json"),
    ],
)
def test_bad_settings_are_refused(tmp_path, capsys, out, more, named):
    with pytest.raises(SystemExit):
        run(tmp_path / out, *more)
    assert named in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_unknown_command(capsys):
    with pytest.raises(SystemExit, match=r"command must be one of .*calibrate"):
        main(["calibrat"])
    assert main(["--help"]) == 0 and "calibrate" in capsys.readouterr().out


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not next to the repository")
def test_mnist_is_read_and_a_cell_of_it_trained(tmp_path):
    asked = grid.Grid(data=str(MNIST), sizes=(100,), emds=(0.0,), seeds=(0,))
    rows = grid.train_grid(asked, load_images(str(MNIST)), tmp_path / "rows.jsonl", processes=1)
    assert 0.7 < rows[0]["global"] < 0.9 and set(SKEWS) >= {asked.skew}


def test_table_of_reports(calibrated, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / f"{name}.fit.json").write_bytes((calibrated / "digits-missing.fit.json").read_bytes())
    failed = json.loads((calibrated / "digits-missing.fit.json").read_text()) | {"refused": "for a reason"}
    failed["fits"] = {failed["metric"]: {"failed": "too few"}}
    (tmp_path / "c.fit.json").write_text(json.dumps(failed))
    main(["calibrate", "--summary", str(tmp_path), "--out", str(tmp_path / "table.md")])
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert capsys.readouterr().out.splitlines() == lines and len(lines) == 2 + 3
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert "for a reason" in lines[-1] and lines[2].startswith("| [digits-missing](digits-missing.png) | 12 | 0.0")
    assert main(["calibrations", str(tmp_path)]) == 0 and capsys.readouterr().out.splitlines() == lines
    with pytest.raises(SystemExit, match="no \\*"):
        main(["calibrations", str(tmp_path / "none")])


@pytest.mark.parametrize("name", OURS)
def test_shipped_profiles_are_what_their_rows_say(name):
    """The rows are committed: error, settings and picture belong to the profile that is shipped."""
    profile, report = load(name), json.loads((CALIBRATION / f"{name}.fit.json").read_text())
    rows_of = CALIBRATION / f"{name}.rows.jsonl"
    if not stored(rows_of):  # a further metric of the same training
        rows_of = CALIBRATION / f"{profile.data}-{profile.skew}.rows.jsonl"
    first, *rows = [json.loads(line) for line in read_text(rows_of).splitlines()]
    assert report["refused"] is None and report["fits"][profile.metric]["alpha"] == list(profile.alpha)
    assert {key: profile.provenance[key] for key in first} == first and not profile.provenance["commit"].endswith(
        "dirty"
    )
    samples, emd, accuracy = (np.array([row[of] for row in rows]) for of in ("samples", "emd", profile.metric))
    assert len(rows) == report["cells"] == profile.fit["points"]
    rmse = float(np.sqrt(np.mean((accuracy - profile.utility(samples, emd)) ** 2)))
    assert rmse == pytest.approx(profile.fit["rmse"], abs=1e-9) and rmse <= 0.02
    assert profile.samples == (samples.min(), samples.max()) and profile.emd == (emd.min(), emd.max())
    assert (CALIBRATION / f"{name}.png").exists()


def test_there_are_shipped_profiles():
    assert {"mnist-missing", "mnist-missing-same"} <= set(OURS)
