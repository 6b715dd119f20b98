"""The README is true: its code runs, its tables are the generated ones, its pictures and links exist."""

import re

import pytest
from paths import ROOT

from benchmarks.figures import claims
from benchmarks.suites import catalogue as suites
from benchmarks.suites.results import load
from leaderboards import validate

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "page", ["README.md", "docs/bounds.md", "docs/learning.md", "docs/federated.md", "docs/forecasting.md"]
)
def test_python_blocks_run(page):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})


def test_the_recipe_of_a_submission_makes_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "leaderboards/README.md").read_text(), re.DOTALL)
    exec(compile(block, "leaderboards/README.md", "exec"), {})
    validate.main(validate.Validate([tmp_path / "leaderboards/submissions/my-agent"]))
    assert capsys.readouterr().out.endswith("my-agent' is valid\n")


@pytest.mark.parametrize(
    ("page", "generated", "first", "after"),
    [
        ("README.md", "balanced/table.md", "`balanced`, S = 15", "`balanced`, S = 21"),
        ("README.md", "placement/table.md", "`paper-100x10`", None),
        ("README.md", "migration/table.md", "`balanced`", "`ping-pong`"),
        ("docs/learning.md", "learning/balanced/table.md", "`balanced`, S = 15", "`balanced`, S = 21"),
        ("docs/learning.md", "learning/topology/table.md", "| trained", None),
        ("docs/learning.md", "learning/sequential/table.md", "`sequential`", None),
        ("docs/learning.md", "learning/paper/table.md", "`paper`", None),
        ("docs/learning.md", "learning/placement/table.md", "`paper-100x10`", None),
        ("docs/learning.md", "learning/migration/table.md", "`balanced`", None),
        ("docs/learning.md", "learning/wallclock/table.md", "DTMigration-v0", None),
        ("docs/learning.md", "learning/transfer/table.md", "Grade", None),
    ],
)
def test_tables_are_the_generated_ones(page, generated, first, after):
    text = (ROOT / "docs/results" / generated).read_text()
    part = text[text.index(first) : text.index(after) if after else None].strip()
    assert part and part in (ROOT / page).read_text(), f"{page} does not hold {generated} as it is"


def test_rows_of_speed_are_the_generated_ones():
    generated = (ROOT / "docs/results/speed/speed.md").read_text().splitlines()
    section = README[README.index("## Speed") : README.index("## Cite")].splitlines()
    shown = [line for line in section if line.startswith("|")]
    assert len(shown) > 10 and all(line in generated for line in shown)


@pytest.mark.parametrize("paper", ["zhou2025", "lu2021"])
def test_claims_are_what_the_committed_rows_say(paper):
    """All but the one finding for which trained policies play again: they are not kept with the rows."""
    folder = ROOT / f"docs/results/{paper}-quick"
    page = (ROOT / "benchmarks/README.md").read_text()
    assert (folder / "figures/claims.md").read_text().strip() in page
    summary, *lines = [line for line in claims.markdown(load(folder)) if line]
    told = [line for line in lines if line in page]
    left = [line for line in lines if line not in page]
    assert len(told) >= 9 and all("cannot be played again" in line for line in left) and len(left) <= 1
    assert left or summary in page


def test_suites_are_those_that_there_are():
    page = (ROOT / "benchmarks/README.md").read_text()
    assert all(line in page for line in suites.table())


PAGES = ["README.md", "benchmarks/README.md", "docs/bounds.md", "docs/instance.md", "docs/learning.md"]


@pytest.mark.parametrize("page", PAGES)
def test_files_named_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), target


def test_environments_pages_examples_run():
    import doctest

    from dtenv.envs import association, migration, parallel, parallel_vector, placement

    for page in (association, placement, parallel, parallel_vector, migration):
        result = doctest.testmod(page)
        assert result.attempted > 2 and result.failed == 0, page.__name__


def test_documented_instances_are_scored():
    import json

    from dtenv.instance import loads, score

    page = (ROOT / "docs/instance.md").read_text()
    for name in ("instance", "placement"):
        text = (ROOT / f"docs/{name}.json").read_text()
        report = score(loads(text))
        if name == "instance":
            feasible = {"compute": True, "synchronisation": True}
            assert report["certificate"]["gap"] <= 1e-9 and report["feasible"] == feasible
        else:
            assert not any(report["capacity_violated"] + report["deadline_violated"])
        groups = [group for group in json.loads(text).values() if isinstance(group, dict)]
        fields = {field for group in (*groups, report) for field in group}
        assert not {field for field in fields if f"`{field}" not in page}, name
        assert f"]({name}.json)" in page
