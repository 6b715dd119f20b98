"""The CI check of submissions: its permissions, and the files that it accepts."""

import os
import re
import subprocess

import pytest
from paths import ROOT

yaml = pytest.importorskip("yaml")

PATH = ROOT / ".github" / "workflows" / "submission.yml"
WORKFLOW = yaml.safe_load(PATH.read_text())
STEPS = WORKFLOW["jobs"]["submission"]["steps"]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
FOLDER = "leaderboards/submissions"


def test_it_may_read_and_has_no_secrets():
    assert WORKFLOW[True] == {"pull_request": {"paths": [f"{FOLDER}/**"]}}  # YAML reads the key "on" as true
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in WORKFLOW["jobs"]["submission"]
    told = re.sub(r"#.*", "", PATH.read_text())
    assert "secrets" not in told and "github.token" not in told and "pull_request_target" not in told


def test_its_actions_are_pinned_and_its_code_is_the_base_branchs():
    actions = [step for step in STEPS if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]) for step in actions)
    checkouts = [step["with"] for step in actions if "checkout" in step["uses"]]
    assert [each["ref"] for each in checkouts] == ["${{ github.event.pull_request.base.sha }}"]
    assert all(each["persist-credentials"] is False for each in checkouts)
    assert STEPS[0] is actions[0]


def test_no_stranger_writes_its_scripts():
    assert not any("${{" in script for script in SCRIPTS)
    given = {value for step in STEPS for value in step.get("env", {}).values()}
    assert given == {"${{ github.event.pull_request.number }}", "${{ steps.take.outputs.folder }}"}
    assert 'python -m pip install -c constraints.txt -e ".[leaderboard]"' in SCRIPTS
    for command in ("validate", "evaluate"):
        assert sum(f"python -m leaderboards {command} " in script for script in SCRIPTS) == 1


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repositories(tmp_path):
    """A public repository with one submission, and a contributor's clone of it."""
    public, stranger = tmp_path / "public", tmp_path / "stranger"
    (public / FOLDER / "old").mkdir(parents=True)
    (public / FOLDER / "old" / "manifest.json").write_text("{}")
    (public / "referee.py").write_text("fair = True\n")
    git(public, "init", "-q", "-b", "main")
    git(public, "add", "-A")
    git(public, "commit", "-q", "-m", "begun")
    git(tmp_path, "clone", "-q", public, stranger)
    return public, stranger


def add(stranger, name="new", files=("manifest.json", "policy.onnx")):
    for file in files:
        path = stranger / FOLDER / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("new")


def link(stranger):
    add(stranger)
    (stranger / FOLDER / "new" / "policy.onnx").unlink()
    (stranger / FOLDER / "new" / "policy.onnx").symlink_to("/etc/passwd")


def program(stranger):
    add(stranger)
    (stranger / FOLDER / "new" / "policy.onnx").chmod(0o755)


def code(stranger):
    add(stranger)
    (stranger / "referee.py").write_text("fair = False\n")


def removed(stranger):
    git(stranger, "rm", "-q", f"{FOLDER}/old/manifest.json")


def moved(stranger):
    (stranger / FOLDER / "new").mkdir()
    git(stranger, "mv", f"{FOLDER}/old/manifest.json", f"{FOLDER}/new/manifest.json")


def several(stranger):
    add(stranger)
    add(stranger, "newer")


CHANGES = {
    "new": (add, "new"),
    "newer-version": (lambda stranger: add(stranger, "old"), "old"),
    "code-too": (code, None),
    "several": (several, None),
    "link": (link, None),
    "program": (program, None),
    "subfolder": (lambda stranger: add(stranger, "new/inner"), None),
    "other-file": (lambda stranger: add(stranger, files=("manifest.json", "policy.onnx", "run.py")), None),
    "odd-name": (lambda stranger: add(stranger, "näw"), None),
    "name-with-newline": (lambda stranger: add(stranger, "new\nfolder=x"), None),
    "other-place": (lambda stranger: add(stranger, "../seasons/new"), None),
    "removed": (removed, None),
    "moved": (moved, None),
}


@pytest.mark.parametrize("case", CHANGES)
def test_it_takes_one_folder_of_plain_files(tmp_path, repositories, case):
    public, stranger = repositories
    change, taken = CHANGES[case]
    change(stranger)
    git(stranger, "add", "-A")
    git(stranger, "commit", "-q", "-m", "submitted")
    git(stranger, "push", "-q", "origin", "HEAD:refs/pull/7/head")
    (public / "referee.py").write_text("fair = 1\n")  # the base has moved on
    git(public, "commit", "-q", "-a", "-m", "later")
    git(tmp_path, "clone", "-q", public, tmp_path / "runner")
    script = next(step["run"] for step in STEPS if step.get("id") == "take")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path / "runner",
        env={"NUMBER": "7", "GITHUB_OUTPUT": str(tmp_path / "output"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert (tmp_path / "runner" / "referee.py").read_text() == "fair = 1\n"
    if taken is None:
        assert done.returncode == 1 and done.stdout.startswith("A ") and done.stderr == ""
        assert not (tmp_path / "runner" / FOLDER / "new").exists()
    else:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "output").read_text() == f"folder={FOLDER}/{taken}\n"
        assert (tmp_path / "runner" / FOLDER / taken / "policy.onnx").read_text() == "new"
