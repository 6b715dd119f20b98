"""Data take one road: who may import whom, read from the sources; and a light `import dtenv`."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

FOLDERS = ("dtenv", "agents", "benchmarks", "leaderboards")
ROAD = (
    "dtenv.physics",
    "dtenv.scenario",
    "dtenv.world",
    "dtenv.tasks",
    "dtenv.oracle",
    "dtenv.render",
    "dtenv.envs",
    "agents",
    "benchmarks",
    "leaderboards",
)
HEAVY = {"torch", "wandb", "matplotlib", "pygame"}
TORCH = "dtenv.fl"  # what runs inside the twins; nothing else in dtenv may import it


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def top_imports(source: str, package: str) -> set[str]:
    """Modules that a source imports outside functions, every `from a import b` as both a and a.b."""
    found: set[str] = set()
    pending: list[ast.AST] = list(ast.parse(source).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_for_type_checkers(node):
            pending += ast.iter_child_nodes(node)
    return found


SOURCES = {module_of(path): path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}


def imports_of(module: str) -> set[str]:
    path = SOURCES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return top_imports(path.read_text(encoding="utf-8"), package)


def place(module: str) -> int | None:
    """How far along the road a module lies."""
    return next((i for i, stop in enumerate(ROAD) if f"{module}.".startswith(f"{stop}.")), None)


def test_reading_of_imports():
    source = "import a.b\ntry:\n from c import d\nexcept E:\n pass\nfrom . import e\nfrom ..f import g"
    assert top_imports(source, "p.q") == {"a.b", "c", "c.d", "p.q", "p.q.e", "p.f", "p.f.g"}
    assert top_imports("def h():\n import i", "p") == set()
    assert top_imports("if TYPE_CHECKING:\n import a\nclass B:\n import c", "p") == {"c"}


def test_the_road_is_there():
    stops = range(len(ROAD))
    assert all(any(place(module) == stop for module in SOURCES) for stop in stops), "a stop of the road has no file"


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A circle of arrows, or []."""
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_circles_are_seen():
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_no_files_import_each_other():
    assert circle({module: (imports_of(module) & SOURCES.keys()) - {module} for module in SOURCES}) == []


def test_no_folders_of_dtenv_import_each_other():
    arrows: dict[str, set[str]] = {}
    folders = {folder.name for folder in (ROOT / "dtenv").iterdir() if (folder / "__init__.py").exists()}
    for module in SOURCES:
        here = module.split(".")[1:2]
        if here and here[0] in folders and module.startswith("dtenv."):
            there = {name.split(".")[1] for name in imports_of(module) if name.startswith("dtenv.")}
            arrows.setdefault(here[0], set()).update((there & folders) - {here[0]})
    assert len(arrows) == len(folders)
    assert circle(arrows) == []


@pytest.mark.parametrize(
    ("folder", "most"),
    [("dtenv", 21), ("dtenv/tasks", 6), ("dtenv/fl", 20), ("benchmarks", 28), ("agents", 16)],
)
def test_folders_stay_small(folder, most):
    """A folder that grows beyond this wants a folder of its own for one of its subjects."""
    things = [p for p in (ROOT / folder).iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    assert len([p for p in things if p.name != "__init__.py"]) <= most


@pytest.mark.parametrize("module", SOURCES)
def test_imports_go_back_along_the_road(module):
    here = place(module)
    if here is None:  # beside the road: of dtenv, so nothing outside the wheel
        here = ROAD.index("dtenv.envs")
    ahead = {name for name in imports_of(module) if (there := place(name)) is not None and there > here}
    assert not ahead, f"{module} imports {sorted(ahead)}"


@pytest.mark.parametrize("module", [module for module in SOURCES if module.split(".")[0] == "dtenv"])
def test_dtenv_imports_nothing_heavy_at_module_top(module):
    inside = f"{module}.".startswith(f"{TORCH}.")
    refused = HEAVY - {"torch"} if inside else HEAVY
    heavy = {name for name in imports_of(module) if name.split(".")[0] in refused}
    heavy |= {name for name in imports_of(module) if not inside and f"{name}.".startswith(f"{TORCH}.")}
    assert not heavy, f"{module} imports {sorted(heavy)}"


def test_physics_imports_nothing_of_dtenv_but_the_compiler():
    for module in SOURCES:
        if module.startswith("dtenv.physics."):
            inside = {name for name in imports_of(module) if name.startswith("dtenv")}
            assert all(name.startswith(("dtenv.compiled", "dtenv.physics")) for name in inside), module


def test_import_dtenv_loads_nothing_heavy():
    code = "import sys, dtenv; print(*sorted(set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "dtenv" in loaded, done.stderr
    unwanted = HEAVY | {"pandas", "cvxpy", "highspy", "PIL", "openpyxl", "stable_baselines3"}
    # Numba looks at scipy's version where there is one; its parts stay out.
    unwanted |= {f"scipy.{part}" for part in ("special", "optimize", "linalg", "sparse", "stats", "spatial")}
    assert sorted(loaded & unwanted) == []
