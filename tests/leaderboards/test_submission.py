"""Untrusted submissions: valid ones are read, others refused with every reason at once; nothing is executed."""

import json
import os
import re

import hostile_submissions as hostile
import numpy as np
import pytest
from hostile_submissions import FLOAT, INT64, helper, write
from onnx import TensorProto

from leaderboards import policy_io as interface
from leaderboards import validate
from leaderboards.submission import SubmissionError, problems, read, submissions
from leaderboards.track_spec import spec_of
from leaderboards.tracks import TRACKS
from leaderboards.untrusted_text import quoted


def told(folder, *patterns, others=None):
    """Return the problems after checking that each pattern matches one of them, and that each is one printable line."""
    found = problems(folder, others)
    for pattern in patterns:
        assert any(re.search(pattern, problem) for problem in found), (pattern, found)
    assert all("\n" not in problem and problem.isprintable() for problem in found)
    return found


def test_a_submission_in_order_is_read(tmp_path):
    folder = write(tmp_path / "linear")
    assert problems(folder, tmp_path) == []
    submission = read(folder, tmp_path)
    assert (submission.name, submission.track, submission.overrides) == ("linear", hostile.TRACK, {})
    assert (submission.inputs, submission.parameters) == (("obs",), 2280)
    assert [each.name for each in submissions(tmp_path)[0]] == ["linear"]


POLICIES = {
    "pickle": (hostile.pickled, "policy.onnx: .*looks like a pickle"),
    "zip-bomb": (hostile.zip_bomb, "policy.onnx: .*looks like a zip archive"),
    "external-passwd": (lambda: hostile.external("../../etc/passwd"), r"external data at '\.\./\.\./etc/passwd'"),
    "external-environ": (lambda: hostile.external("/proc/self/environ"), "external data at '/proc/self/environ'"),
    "external-in-a-constant": (lambda: hostile.external("x", True), "'value' of 'Constant' must contain its data"),
    "two-gigabytes-of-dims": (hostile.hollow, r"547200000 elements, but holds data of 0"),
    "dims-that-overflow": (hostile.overflowing, r"18446744073709551616 elements, but holds data of 0"),
    "thousands-of-dims": (hostile.many_dims, "initialiser 'weights' must have at most 8 dims, got 400000"),
    "negative-dims": (hostile.negative, r"no negative dims, got \[-228, 10\]"),
    "sparse-tensor": (hostile.sparse, "must be dense"),
    "custom-operator": (hostile.own_operator, "'Backdoor' of domain 'com.evil'"),
    "function-that-hides-one": (hostile.own_function, "local functions must be inlined, got 'local.Harmless'"),
    "subgraph-that-hides-one": (hostile.hidden_operator, "'Backdoor' of domain 'com.evil'"),
    "unknown-operator": (hostile.unknown_operator, "operator 'ReadSeed' is not in opset 20"),
    "random-operator": (hostile.random_noise, "operator RandomNormalLike is random"),
    "dropout-in-training": (hostile.random_dropout, "operator Dropout in training mode is random"),
    "deep-if": (lambda: hostile.nested(9), "graphs must nest at most 8 deep"),
    "deeper-if": (lambda: hostile.nested(25), "nest at most 60 deep"),
    "endless-nesting": (hostile.deep_wire, "nest at most 60 deep"),
    "millions-of-empty-nodes": (hostile.many_empty_nodes, "at most 500000 fields"),
    "too-many-nodes": (hostile.many_nodes, "nodes must be at most 20000, .* got 20003"),
    "polyglot": (hostile.polyglot, "has a field 31 that ONNX does not know"),
    "notes": (hostile.large_notes, "documentation and metadata must have at most 1048576 characters"),
    "empty": (lambda: b"", "policy.onnx: it is empty"),
    "zeros": (lambda: b"\0" * 1000, "looks like a file of zeros"),
    "text": (lambda: b"hello world, I am a policy", "not a valid ONNX model"),
    "truncated": (lambda: hostile.linear()[:-500], "ends too early"),
    "no-graph": (lambda: b"\x08\x0a", "it has no graph"),
    "opset-too-old": (lambda: hostile.model(opset=11).SerializeToString(), "13 to 26, got 11"),
    "opset-too-new": (lambda: hostile.model(opset=99).SerializeToString(), "13 to 26, got 99"),
    "cycle": (lambda: hostile.replaced("", helper.make_node("Identity", ["b"], ["b"])), "the ONNX checker says"),
}


@pytest.mark.parametrize("case", POLICIES)
def test_hostile_policies_are_refused(tmp_path, case):
    make, pattern = POLICIES[case]
    told(write(tmp_path / "evil", make()), pattern)


@pytest.mark.parametrize("cut", range(0, 9000, 300))
def test_no_cut_model_crashes(tmp_path, cut):
    assert problems(write(tmp_path / "cut", hostile.linear()[:cut]), None)


def test_no_damaged_model_crashes(tmp_path):
    rng, good = np.random.default_rng(0), hostile.linear()
    head = bytearray(good)
    for _ in range(200):
        damaged = bytearray(head)
        for at in np.r_[rng.integers(0, 60, 2), rng.integers(len(good) - 90, len(good), 2)]:
            damaged[at] = rng.integers(256)
        told(write(tmp_path / "damaged", bytes(damaged)))


VALUES = {
    "other-input": ({"inputs": [("x", FLOAT, ["b", 228])]}, "inputs must be only 'obs', or .* got 'x'"),
    "input-width": ({"inputs": [("obs", FLOAT, ["b", 7])]}, "input 'obs' axis 1 must be 228 or free, got 7"),
    "input-type": ({"inputs": [("obs", TensorProto.DOUBLE, ["b", 228])]}, "input 'obs' must hold float32, got .* 11"),
    "input-rank": ({"inputs": [("obs", FLOAT, ["b"])]}, r"must have 2 axes \(batch, 228\), got 1"),
    "input-without-shape": ({"inputs": [("obs", FLOAT, None)]}, "input 'obs' must declare its shape"),
    "batch": ({"inputs": [("obs", FLOAT, [32, 228])]}, "input 'obs' axis 0 must be 1 or free, got 32"),
    "both": ({"inputs": [("obs", FLOAT, ["b", 228]), ("users", FLOAT, ["b", 1, 8])]}, "inputs must be only 'obs'"),
    "block-width": ({"inputs": [("users", FLOAT, ["b", 1, 9])]}, "input 'users' axis 2 must be 8 or free, got 9"),
    "other-output": ({"outputs": [("logits", INT64, ["b"])]}, "outputs must be only 'action', got 'logits'"),
    "output-type": ({"outputs": [("action", FLOAT, ["b"])]}, "output 'action' must hold integers, got .* 1$"),
    "output-without-shape": ({"outputs": [("action", INT64, None)]}, "output 'action' must declare its shape"),
    "output-rank": ({"outputs": [("action", INT64, ["b", 10])]}, "output 'action' must have 1 axes"),
    "two-outputs": ({"outputs": [("action", INT64, ["b"]), ("seed", INT64, ["b"])]}, "got 'action', 'seed'"),
}


@pytest.mark.parametrize("case", VALUES)
def test_inputs_and_outputs_are_the_tracks(tmp_path, case):
    given, pattern = VALUES[case]
    values = {key: [helper.make_tensor_value_info(*value) for value in each] for key, each in given.items()}
    told(write(tmp_path / "face", hostile.model(hostile.graph(**values)).SerializeToString()), pattern)


def test_a_track_of_several_sizes_needs_free_axes():
    spec = spec_of(TRACKS["association-topology"])

    def wrong(servers):
        inputs = [
            helper.make_tensor_value_info("servers", FLOAT, ["b", servers, 8]),
            helper.make_tensor_value_info("links", FLOAT, ["b", 20, "S", 4]),
        ]
        outputs = [helper.make_tensor_value_info("action", INT64, ["b", 20])]
        return interface.problems(hostile.model(hostile.graph(inputs=inputs, outputs=outputs)), spec)

    assert wrong("S") == []
    assert wrong(15) == ["input 'servers' axis 1 must be free (9 or 15 or 21 by scenario), got 15"]


FIELDS = {
    "schema": ({"schema": 2}, "schema: must be 1, .* got 2"),
    "schema-true": ({"schema": True}, "schema: must be 1, .* got True"),
    "name-of-another-folder": ({"name": "other"}, "name: must be the folder's, 'entry', got 'other'"),
    "path-in-name": ({"name": "../../etc/cron.d/x"}, r"name: must be 2 to 40 of .* got '\.\./\.\./etc"),
    "cyrillic-in-name": ({"name": "еntry"}, r"name: must be 2 to 40 of .*\\u0435ntry"),
    "newline-in-name": ({"name": "entry\n"}, "name: must contain no control characters, got U.000A"),
    "heuristic": ({"name": "best-latency"}, "name: 'best-latency' is the name of one of dtenv's own agents"),
    "learner": ({"name": "hindsight"}, "name: 'hindsight' is the name of one of dtenv's"),
    "zalgo": ({"description": "a" + "\u0301\u0302\u0303" * 40}, "description: must contain at most 2 combining marks"),
    "direction-override": ({"authors": ["\u202egnp.exe"]}, r"authors\[0\]: must contain no invisible .* got U.202E"),
    "zero-width": ({"algorithm": "P\u200bPO"}, "algorithm: must contain no invisible .* got U.200B"),
    "no-break-space": ({"algorithm": "P\u00a0PO"}, "algorithm: must contain no space-like characters, got U.00A0"),
    "filler": ({"algorithm": "\u3164"}, "algorithm: must contain no invisible characters, got U.3164"),
    "private-use": ({"algorithm": "\ue000"}, "algorithm: must contain no private-use characters"),
    "surrogate": ({"description": "\ud800"}, "description: must contain no surrogate characters, got U.D800"),
    "decomposed": ({"authors": ["Zoe\u0308"]}, r"authors\[0\]: must be in Unicode's normal form C"),
    "spaces": ({"authors": [" Zoe"]}, r"authors\[0\]: must not begin or end with a space"),
    "no-authors": ({"authors": []}, r"authors: must be a list of 1 to 20 names, got \[\]"),
    "long-description": ({"description": "x" * 501}, "description: must be text of at most 500 characters"),
    "track": ({"track": "chess"}, "track: must be one of association-balanced, .* got 'chess'"),
    "scenario": ({"scenario": "paper"}, "scenario: must be 'balanced' in the track 'migration-balanced', got 'paper'"),
    "env-id": ({"env_id": "CartPole-v1"}, "env_id: must be 'DTMigration-v0' .* got 'CartPole-v1'"),
    "override": ({"overrides": {"shadowing_db": "0"}}, "overrides: 'shadowing_db' cannot be chosen"),
    "override-type": ({"overrides": {"a": 3}}, "overrides.a: must be a string .* got 3"),
    "spec": ({"spec_sha256": "0" * 64}, "spec_sha256: must be [0-9a-f]{64} .* made for other observations or actions"),
    "policy-hash": ({"policy_sha256": "0" * 64}, "policy.onnx: its SHA-256 must be the manifest's policy_sha256, 0000"),
    "training": (
        {"training": {"seeds": [-1], "env_steps": 1.5}},
        r"training.seeds\[0\]: must be a non-negative integer",
    ),
    "training-hardware": ({"training": {"seeds": [], "env_steps": 1}}, "training.hardware: missing"),
    "extra-in-training": ({"training": {"\u202e": 1}}, r"training: unknown field '\\u202e'; fields: seeds"),
    "script-address": ({"code": "javascript:alert(1)"}, "code: must be an https address"),
    "address-with-quotes": ({"code": 'https://a.org/"onload="x'}, "code: must be an https address"),
    "address-with-user": ({"code": "https://github.com@evil.org/"}, "code: must be an https address"),
    "licence": ({"licence": "proprietary"}, "licence: must be an SPDX id of a free licence, .* got 'proprietary'"),
    "missing": ({"code": ...}, "code: missing"),
    "unknown-field": ({"seed": 3}, "unknown field 'seed'; fields: schema, name"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_manifests_name_field_and_value(tmp_path, case):
    changes, pattern = FIELDS[case]
    told(write(tmp_path / "entry", **changes), pattern)


def test_wrong_types_everywhere_are_all_told(tmp_path):
    fields = hostile.about("entry", b"")
    folder = write(tmp_path / "entry", **{name: [[]] if isinstance(fields[name], str) else "x" for name in fields})
    found = told(folder)
    assert {problem.split(": ")[1].split(".")[0].split("[")[0] for problem in found} == set(fields)


@pytest.mark.parametrize(
    "value", [None, 3, "x", [], [[]], {}, {"track": {}, "overrides": [], "name": 3, "policy_sha256": None}], ids=str
)
def test_a_manifest_of_any_kind_is_told_apart(tmp_path, value):
    folder = write(tmp_path / "entry")
    (folder / "manifest.json").write_text(json.dumps(value))
    assert told(folder, "^manifest.json: ")


TEXTS = {
    "deep": (b"[" * 30_000, "must nest at most 8 deep, got 30000"),
    "duplicate-key": (b'{"name": "a", "name": "b"}', "key 'name' must occur once, got it again with 'b'"),
    "nan": (b'{"schema": NaN}', "numbers must be finite, got NaN"),
    "infinity": (b'{"schema": -Infinity}', "numbers must be finite, got -Infinity"),
    "overflow": (b'{"schema": 1e999}', "numbers must be finite, got '1e999'"),
    "huge-number": (b'{"schema": ' + b"9" * 60_000 + b"}", "at most 15 digits, got '9999"),
    "latin-1": (b'{"name": "\xe9"}', "must be UTF-8: .* at byte 10"),
    "byte-order-mark": (b"\xef\xbb\xbf{}", "must be JSON: "),
    "no-json": (b"name: x", "must be JSON: "),
    "large": (b'{"description": "' + b"x" * 10_000_000 + b'"}', "must have at most 65536 bytes, got 10000019"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_strict_json(tmp_path, case):
    data, pattern = TEXTS[case]
    folder = write(tmp_path / "entry")
    (folder / "manifest.json").write_bytes(data)
    told(folder, "manifest.json: .*" + pattern)


def test_script_tags_are_text(tmp_path):
    script = "<script>alert('x')</script>"
    assert problems(write(tmp_path / "tags", description=script, authors=[script]), None) == []


def test_names_and_policies_are_given_once(tmp_path):
    others = tmp_path / "submissions"
    write(others / "Linear")  # as an older, laxer season may have taken it
    fresh = write(tmp_path / "new" / "linear")
    taken = "name: 'linear' is taken by the submission 'Linear'", "identical to the policy of the submission 'Linear'"
    told(fresh, *taken, others=others)
    assert problems(write(tmp_path / "new" / "linear-2", hostile.linear(1)), others) == []
    assert problems(write(others / "second", hostile.linear(2)), others) == []  # not compared with itself


def test_links_are_not_followed(tmp_path):
    real = write(tmp_path / "real")
    alias = tmp_path / "alias"
    alias.symlink_to(real)
    assert told(alias) == [f"folder: {quoted(str(alias), 300)} must be a folder, not a link"]
    for name in ("manifest.json", "policy.onnx"):
        folder = write(tmp_path / name.split(".")[0])
        (folder / name).unlink()
        (folder / name).symlink_to("/etc/passwd")
        assert told(folder) == [f"{name}: must be a regular file, got a symbolic link"]


def test_pipes_folders_and_sparse_files_are_not_read(tmp_path):
    folder = write(tmp_path / "entry")
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    with (folder / "policy.onnx").open("wb") as file:
        file.truncate(2 * 2**30)
    assert told(folder) == [
        "manifest.json: must be a regular file, got a pipe",
        "policy.onnx: must have at most 16777216 bytes, got 2147483648",
    ]
    (folder / "policy.onnx").unlink()
    (folder / "policy.onnx").mkdir()
    told(folder, "policy.onnx: must be a regular file, got a folder")
    assert told(tmp_path / "nowhere") == [
        f"folder: {quoted(str(tmp_path / 'nowhere'), 300)} cannot be read: No such file or directory"
    ]


def test_no_other_files_are_taken(tmp_path):
    folder = write(tmp_path / "entry")
    for name in (".hidden", "run.py", "evil\u202egnp.sh", *(f"x{i}" for i in range(20))):
        (folder / name).touch()
    (folder / "sub").mkdir()
    found = told(
        folder,
        "only manifest.json and policy.onnx, got '.hidden'",
        "got 'run.py'",
        r"got 'evil\\u202egnp.sh'",
        "and 14 more files",
    )
    assert len(found) == 11


def test_all_problems_of_all_files_are_told_at_once(tmp_path):
    folder = write(tmp_path / "entry", hostile.own_function(), name="nearest", licence="none", spec_sha256="1" * 64)
    (folder / "setup.py").touch()
    told(
        folder,
        "folder: .*setup.py",
        "manifest.json: name: must be the folder's",
        "manifest.json: name: 'nearest' is the name of one of dtenv's",
        "manifest.json: licence: ",
        "manifest.json: spec_sha256: ",
        "policy.onnx: local functions",
        "policy.onnx: operators must be ONNX's standard ones, got 'Harmless'",
    )
    with pytest.raises(SubmissionError) as caught:
        read(folder, None)
    assert caught.value.problems == problems(folder, None)


def test_no_submission_floods_its_reader(tmp_path):
    found = told(write(tmp_path / "entry", **{f"field{i}": "\u202e" for i in range(1000)}), "and 1900 more problems")
    assert len(found) == 101 and max(map(len, found)) < 400


def test_validate_tells_all_files_apart(tmp_path, capsys):
    folder = write(tmp_path / "entry", hostile.pickled(), licence="none", code="ftp://x")
    with pytest.raises(SystemExit) as ended:
        validate.main(validate.Validate([folder, tmp_path / "nowhere"], tmp_path))
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "  manifest.json\n    " in out and "  policy.onnx\n    it is not a valid ONNX model" in out
    assert out.count("is not valid:") == 2


@pytest.mark.parametrize("wrong", [None, "whole", "late"], ids=str)
def test_validate_tries_the_first_answers(tmp_path, capsys, wrong):
    pytest.importorskip("leaderboards.sandbox")
    good = hostile.linear()
    if wrong == "whole":  # a constant that no environment takes
        outside = hostile.numpy_helper.from_array(np.array([10]), "ten")
        nodes = [helper.make_node("Identity", ["ten"], ["action"])]
        output = [helper.make_tensor_value_info("action", INT64, ["batch"])]
        good = hostile.model(hostile.graph(nodes, [outside], outputs=output)).SerializeToString()
    elif wrong == "late":
        good = hostile.endless()
    folder = write(tmp_path / "entry", good)
    if wrong is None:
        validate.main(validate.Validate([folder], tmp_path))
        assert capsys.readouterr().out.endswith("entry' is valid\n")
        return
    with pytest.raises(SystemExit):
        validate.main(validate.Validate([folder], tmp_path))
    expected = "action must be in [0, 9], got 10" if wrong == "whole" else "policy.onnx\n    late"
    assert expected in capsys.readouterr().out
