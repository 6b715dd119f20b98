"""The README is true: its code runs, its tables are the generated ones, its pictures and links exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_python_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_tables_are_the_generated_ones():
    for generated in ("docs/results/speed/speed.md", "docs/results/balanced/table.md"):
        text = (ROOT / generated).read_text()
        part = (
            text if "S = 15" not in text else text[text.index("`balanced`, S = 15") : text.index("`balanced`, S = 21")]
        )
        assert part.strip() in README, f"README.md does not hold {generated} as it is"


def test_files_named_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_environments_page_example_runs():
    import doctest

    from dtenv.envs import single

    assert doctest.testmod(single).failed == 0


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
