"""The documents are true: their code runs, their tables are the generated ones, their pictures and links exist."""

import importlib.util
import re

import pytest
from paths import RESULTS, ROOT

from benchmarks.figures import claims
from benchmarks.suites import catalogue as suites
from benchmarks.suites.results import load
from leaderboards import validate

PAGES = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "leaderboards/*.md", "examples/*/*.md")
    for page in ROOT.glob(pattern)
)


def test_readme_fits_on_a_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


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


def test_tables_are_the_generated_ones():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs/tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    marks = sum(len(tables.BLOCK.findall((ROOT / page).read_text())) for page in tables.PAGES)
    assert marks >= 14
    for page in tables.PAGES:
        assert tables.filled(page) == (ROOT / page).read_text(), f"{page}: run `python docs/tables.py`"


@pytest.mark.parametrize("paper", ["zhou2025", "lu2021"])
def test_claims_are_what_the_committed_rows_say(paper):
    """All but the one finding for which trained policies play again: they are not kept with the rows."""
    page = (ROOT / "docs/papers.md").read_text()
    summary, *lines = [line for line in claims.markdown(load(RESULTS / f"{paper}-quick")) if line]
    found = [line for line in lines if line in page]
    left = [line for line in lines if line not in page]
    assert len(found) >= 9 and all("cannot be played again" in line for line in left) and len(left) <= 1
    assert left or summary in page


def test_suites_are_those_that_there_are():
    page = (ROOT / "benchmarks/README.md").read_text()
    assert all(line in page for line in suites.table())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:\s]+)\)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_anchors_are_headings(page):
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", (ROOT / page).read_text()):
        text = ((ROOT / page).parent / target if target else ROOT / page).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in slugs, f"{page}: #{anchor}"


FIGURE = re.compile(r"(?<![\w.])[-+−]?(?:\d[\d,]*)?\.?\d+(?!\w)")
ROWS_BEHIND = {
    "calibration": "calibration/*.[!p]*",
    "deployment": "deployment/table.md",
    "federated": "fl-variants/*/table.md",
    "forecast_value": "forecast-value/table.md",
    "forecasting": "forecast/*/table.md",
    "utility": "profiles*/table.md",
}
"""Results that a page's prose is about."""


def figures(text):
    return [match[0].replace(",", "").replace("−", "-").lstrip("+-") for match in FIGURE.finditer(text)]


@pytest.mark.parametrize("page", ROWS_BEHIND)
def test_figures_in_prose_are_those_of_the_results(page):
    """Every decimal of the prose is a number of the results behind it, rounded; in percent or not."""
    files = [*RESULTS.glob(ROWS_BEHIND[page])]
    stored = {abs(float(figure)) for file in files for figure in figures(file.read_text())}
    prose = re.sub(
        r"```.*?```|`[^`]*`|\]\([^)]*\)|^\|.*?$", "", (ROOT / f"docs/{page}.md").read_text(), flags=re.S | re.M
    )
    shown = {figure for figure in figures(prose) if "." in figure}
    assert len(shown) > 3
    for figure in shown:
        decimals = len(figure.split(".")[1])
        found = any(round(value * scale, decimals) == float(figure) for value in stored for scale in (1, 0.01, 100))
        assert found, f"docs/{page}.md: {figure} is in none of {ROWS_BEHIND[page]}"


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


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
    for name in ("association", "placement"):
        text = (ROOT / f"docs/instances/{name}.json").read_text()
        report = score(loads(text))
        if name == "association":
            feasible = {"compute": True, "synchronisation": True}
            assert report["certificate"]["gap"] <= 1e-9 and report["feasible"] == feasible
        else:
            assert not any(report["capacity_violated"] + report["deadline_violated"])
        groups = [group for group in json.loads(text).values() if isinstance(group, dict)]
        fields = {field for group in (*groups, report) for field in group}
        assert not {field for field in fields if f"`{field}" not in page}, name
        assert f"](instances/{name}.json)" in page
