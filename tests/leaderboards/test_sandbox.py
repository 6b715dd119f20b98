"""Sandboxed policies can only answer, and no failure of theirs stops the parent process."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

import hostile_models as hostile  # noqa: E402
from escape_attempts import ATTEMPTS  # noqa: E402
from paths import HELPERS  # noqa: E402

from leaderboards.sandbox import Limits, PolicyFailed, PolicyProcess  # noqa: E402
from leaderboards.sandbox.process import WORKER  # noqa: E402
from leaderboards.sandbox.wire import ACTION, HEADER, array_bytes, inputs_bytes, read_array, read_inputs  # noqa: E402

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are confined with what POSIX has")

OBS = {"obs": np.float32([[1, -2, 3.5, 1e-7]])}
LINUX = sys.platform == "linux"


def failure(model, limits=Limits(), **settings):  # noqa: B008 (it is frozen)
    """Return the failure of a model at its first decision at the latest; no child process remains."""
    before = children()
    with pytest.raises(PolicyFailed) as told, PolicyProcess(model, limits, **settings) as policy:
        policy.act(OBS)
    assert children() == before
    return told.value


def children():
    """Child processes of this one, if the system lists them."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return listed.read_text() if listed.exists() else ""


def script(folder, text):
    """Write a worker program that differs from the original in a few lines."""
    path, folders = folder / "script.py", [str(WORKER.parent), str(HELPERS)]
    path.write_text(f"import os, sys, time\nsys.path[:0] = {folders}\nimport confine, worker\n{text}")
    return path


# Answers


def test_answers_are_those_of_onnxruntime():
    rng = np.random.default_rng(0)
    model = hostile.network(rng.standard_normal((1000, 30), np.float32))
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    with PolicyProcess(model) as policy:
        for _ in range(20):
            inputs = {"obs": rng.standard_normal((1, 1000), np.float32)}
            action = policy.act(inputs)
            assert action.dtype == np.float32
            np.testing.assert_array_equal(action, session.run(["action"], inputs)[0])


def test_processes_share_nothing():
    with PolicyProcess(hostile.scaled(2)) as double, PolicyProcess(hostile.scaled(3)) as triple:
        for factor, policy in [(2, double), (3, triple), (2, double)]:
            np.testing.assert_array_equal(policy.act(OBS), factor * OBS["obs"])


def test_the_same_model_gives_the_same_bytes():
    answers = set()
    for _ in range(2):
        with PolicyProcess(hostile.network(np.eye(4, dtype=np.float32) / 3)) as policy:
            answers |= {policy.act(OBS).tobytes() for _ in range(3)}
    assert len(answers) == 1


def test_nan_is_an_answer():
    with PolicyProcess(hostile.scaled(np.nan)) as policy:
        assert np.isnan(policy.act(OBS)).all()


def test_a_hostile_policy_leaves_others_alone():
    with PolicyProcess(hostile.scaled(2)) as before:
        for model in (hostile.endless(), hostile.hog(50), b"no model"):
            failure(model, Limits(step_seconds=0.2))
        np.testing.assert_array_equal(before.act(OBS), 2 * OBS["obs"])


@pytest.mark.skipif(not LINUX, reason="descriptors are counted in /proc")
def test_nothing_is_left_behind():
    def files():
        return len(os.listdir("/proc/self/fd"))

    before = files()
    for _ in range(2):
        with PolicyProcess(hostile.scaled(1)) as policy:
            policy.act(OBS)
        failure(b"")
    assert files() == before
    policy.close()
    with pytest.raises(ValueError, match="has ended"):
        policy.act(OBS)


# Failures


@pytest.mark.parametrize(
    "model",
    [b"", b"\x80\x04\x95\x05\x00.", bytes(range(256)) * 99, hostile.scaled(2)[:60]],
    ids=lambda m: f"{len(m)} bytes",
)
def test_what_is_no_model_does_not_load(model):
    error = failure(model)
    assert error.reason == "crashed" and str(error).isprintable() and len(str(error)) < 400


def test_a_model_without_action_does_not_load():
    error = failure(hostile.scaled(2).replace(b"action", b"reward"))
    assert "has outputs ['reward'], none is \"action\"" in str(error)


def test_an_endless_loop_is_late():
    begin = time.monotonic()
    error = failure(hostile.endless(), Limits(step_seconds=0.5))
    assert error.reason == "late" and "no answer within 0.5 s" in str(error)
    assert time.monotonic() - begin < 10


def test_cpu_time_is_limited():
    error = failure(hostile.endless(), Limits(cpu_seconds=1, step_seconds=30))
    assert error.reason == "late" and "1 s of CPU time" in str(error)


def test_memory_is_limited():
    assert failure(hostile.hog(50)).reason == "crashed"


def test_a_long_answer_is_refused():
    assert "where 1048576 are allowed" in str(failure(hostile.long(2**20)))


def test_a_stopped_process_is_late():
    with PolicyProcess(hostile.scaled(2), Limits(step_seconds=0.2)) as policy:
        os.kill(policy._child.pid, signal.SIGSTOP)
        with pytest.raises(PolicyFailed) as told:
            policy.act(OBS)
    assert told.value.reason == "late"


def test_a_killed_process_has_crashed():
    with PolicyProcess(hostile.scaled(2)) as policy:
        os.kill(policy._child.pid, signal.SIGKILL)
        with pytest.raises(PolicyFailed, match=r"its process ended \(Killed") as told:
            policy.act(OBS)
    assert told.value.reason == "crashed"


@pytest.mark.parametrize("location", ["../../etc/passwd", "etc/passwd", "/proc/self/environ", "../secret"])
@pytest.mark.parametrize("layers", ["all", "none"])
def test_no_other_file_is_read(tmp_path, location, layers):
    text = "worker.main()" if layers == "all" else "worker.confine = lambda **_: {'none': 'a test'}\nworker.main()"
    error = failure(hostile.external(location), worker=script(tmp_path, text))
    assert error.reason == "crashed" and "root" not in str(error)


# Invalid answers

FLOATS = array_bytes(np.ones(3, np.float32))
LYING = {
    "garbage": (b"\xff" * 4096, "sent a frame"),
    "another frame": (HEADER.pack(b"L", 0), "sent a frame b'L'"),
    "a huge frame": (HEADER.pack(ACTION, 2**62), "where 1048576 are allowed"),
    "an empty action": (HEADER.pack(ACTION, 0), "an array of 0 bytes"),
    "an unknown dtype": (HEADER.pack(ACTION, 3) + b"\xee\x00\x00", "dtype 238"),
    "255 dimensions": (HEADER.pack(ACTION, 3) + b"\x00\xff\x00", "255 dimensions"),
    "a huge shape": (HEADER.pack(ACTION, 34) + b"\x00\x08" + b"\xff" * 32, "of shape"),
    "more than an action": (HEADER.pack(ACTION, len(FLOATS) + 1) + FLOATS + b"!", "1 bytes after an action"),
    "an error of control characters": (HEADER.pack(b"E", 9) + b"\x1b[31m\r\n\x00b", "crashed: [31m b"),
}


@pytest.mark.parametrize("name", LYING)
def test_what_is_no_answer_is_a_crash(tmp_path, name):
    sent, told = LYING[name]
    text = f"worker.array_bytes = lambda _: os.write(3, {sent!r}) and os._exit(0)\nworker.main()"
    error = failure(hostile.scaled(2), worker=script(tmp_path, text))
    assert error.reason == "crashed" and told in str(error)
    assert str(error).isprintable()


@pytest.mark.parametrize("part", [1, HEADER.size, HEADER.size + 5])
def test_half_an_answer_is_late(tmp_path, part):
    sent = (HEADER.pack(ACTION, len(FLOATS)) + FLOATS)[:part]
    text = f"worker.array_bytes = lambda _: (os.write(3, {sent!r}), time.sleep(60))\nworker.main()"
    error = failure(hostile.scaled(2), Limits(step_seconds=0.2), worker=script(tmp_path, text))
    assert error.reason == "late"


def test_two_answers_at_once_are_a_crash(tmp_path):
    sent = HEADER.pack(ACTION, len(FLOATS)) + FLOATS
    text = f"answer = worker.array_bytes\nworker.array_bytes = lambda a: os.write(3, {sent!r}) and answer(a)"
    with PolicyProcess(hostile.scaled(2), worker=script(tmp_path, f"{text}\nworker.main()")) as policy:
        policy.act(OBS)
        time.sleep(0.1)
        with pytest.raises(PolicyFailed, match="spoke before it was asked"):
            policy.act(OBS)


def test_a_flood_on_stderr_stops_nobody(tmp_path):
    text = (
        "flood = lambda _: [os.write(2, b'x' * 1000) for _ in range(50)]\n"
        "def load(model):\n"
        "    for _ in range(20):\n"
        "        try: flood(0)\n"
        "        except BlockingIOError: pass\n"
        "    return lambda inputs: inputs['obs']\n"
        "worker.main(load)"
    )
    with PolicyProcess(b"", worker=script(tmp_path, text)) as policy:
        np.testing.assert_array_equal(policy.act(OBS), OBS["obs"])


def test_last_words_are_kept(tmp_path):
    text = "os.write(2, b'x' * 9999 + b' the\\x1b[0m end'); os._exit(7)"
    text = f"def load(model):\n    {text}\nworker.main(load)"
    error = failure(b"", worker=script(tmp_path, text))
    assert str(error).endswith("x the [0m end") and "status 7" in str(error) and len(str(error)) < 400


def test_a_process_that_does_not_start_is_no_fault_of_the_policy(tmp_path):
    with pytest.raises(RuntimeError, match=r"did not start.*ZeroDivisionError") as told:
        PolicyProcess(b"", worker=script(tmp_path, "1 / 0"))
    assert not isinstance(told.value, PolicyFailed)


def test_arrays_pass_through_bytes():
    arrays = [np.zeros((2, 0), np.int8), np.float64(3), np.arange(6).reshape(2, 3).T, np.array([True, False])]
    for array in map(np.asarray, arrays):
        back, rest = read_array(memoryview(array_bytes(array) + b"rest"))
        assert back.dtype == array.dtype and bytes(rest) == b"rest"
        np.testing.assert_array_equal(back, array)
    inputs = {"users": OBS["obs"], "links µ": np.zeros((1, 2, 3), np.float32)}
    back = read_inputs(memoryview(inputs_bytes(inputs)))
    assert list(back) == list(inputs) and all((back[name] == inputs[name]).all() for name in inputs)
    with pytest.raises(ValueError, match="array of <U1"):
        array_bytes(np.array(["a"]))


# Escape attempts

NOT_OURS = {"trace the parent"}
"""Attempts that systems stop on their own."""

FILES = {name for name in ATTEMPTS if name.startswith(("read", "list", "overwrite"))} | {"make a file"}
STOPS = {
    "landlock files": FILES
    | {"truncate the secret", "make a folder", "make a link", "remove a file", "run a program", "trace the parent"},
    "landlock tcp": {"connect by TCP"},
    "landlock scopes": {"connect to an abstract socket", "signal the parent"},
    "namespaces": {"connect by TCP", "send by UDP", "connect to an abstract socket", "trace the parent"},
    "limits": FILES | {"make a file in memory", "connect by TCP", "send by UDP", "connect to an abstract socket"},
    "seccomp": set(ATTEMPTS),
}
"""Attempts that each layer stops alone."""


@pytest.fixture
def burglary(tmp_path, monkeypatch):
    """Run the escape attempts in a worker with extra lines: (layer reports, what stopped each, what was visible)."""
    secret, inside = tmp_path / "secret", tmp_path / "inside"
    inside.mkdir()
    secret.write_text("seed 12345")
    (inside / "spare").touch()
    monkeypatch.setenv("SECRET", "12345")
    abstract = f"burglar-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        secret.open() as file,
    ):
        os.set_inheritable(file.fileno(), True)
        udp.bind(("127.0.0.1", 0))
        unix.bind(f"\0{abstract}")
        unix.listen()
        told = {"secret": str(secret), "folder": str(inside), "parent": os.getpid(), "abstract": abstract}
        told |= {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1]}

        def let_in(lines=""):
            text = f"{lines}\nimport escape_attempts\nworker.main(escape_attempts.load)"
            with PolicyProcess(json.dumps(told).encode(), worker=script(tmp_path, text)) as policy:
                found = json.loads(policy.act({}).tobytes())
            return policy.layers, found["stopped"], found["seen"]

        yield let_in


def one_layer(name):
    """Lines that leave a worker one layer, and the prerequisites of Landlock and seccomp."""
    call = "limits(memory_bytes, cpu_seconds)" if name == "limits" else f"{name.replace(' ', '_')}()"
    return (
        "def only(memory_bytes, cpu_seconds):\n"
        "    confine.privileges()\n"
        f"    try: confine.{call}\n"
        "    except (confine.Absent, OSError) as error: return {'it': str(error)}\n"
        "    return {'it': 'on'}\n"
        "worker.confine = only"
    )


needs_linux = pytest.mark.skipif(not LINUX, reason="layers are Linux's")


@needs_linux
def test_without_layers_everything_can_be_done(burglary):
    _, stopped, _ = burglary("worker.confine = lambda **_: {'none': 'a test'}")
    assert {name for name in ATTEMPTS if stopped[name]} <= NOT_OURS


@needs_linux
@pytest.mark.parametrize("layer", STOPS)
def test_each_layer_stops_what_it_is_there_for(burglary, layer):
    layers, stopped, _ = burglary(one_layer(layer))
    if layers["it"] != "on":
        pytest.skip(f"{layer}: {layers['it']}")
    assert {name for name in STOPS[layer] if not stopped[name]} == set()


@needs_linux
def test_all_layers_together_stop_everything(burglary):
    layers, stopped, _ = burglary()
    on = {name for name in STOPS if layers[name] == "on"}
    expected = {name for name in ATTEMPTS if any(name in STOPS[layer] for layer in on)}
    assert {name for name in expected if not stopped[name]} == set()
    if expected != set(ATTEMPTS):
        pytest.skip(f"what could be tested holds; absent: { {n: t for n, t in layers.items() if t != 'on'} }")


def test_there_is_nothing_to_be_seen(burglary):
    _, _, seen = burglary()
    assert set(seen["environment"]) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} == {
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "ORT_DISABLE_TELEMETRY",
    }
    assert all(argument.isdigit() for argument in seen["arguments"])
    assert seen["files"] == [0, 1, 2, 3]
    assert not {"dtenv", "agents", "benchmarks", "leaderboards", "torch", "onnx", "numba"} & set(seen["modules"])


def test_layers_are_told_of():
    with PolicyProcess(hostile.scaled(2)) as policy:
        assert list(policy.layers)[-1] == "seccomp" and set(STOPS) < set(policy.layers)
        assert all(told.isprintable() and told for told in policy.layers.values())


@needs_linux
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("confine.pyseccomp = 'pyseccomp is not installed'", {"seccomp": "pyseccomp is not installed"}),
        ("confine.LANDLOCK_CREATE_RULESET = 9999", {"landlock files": "this kernel was built without it"}),
        (
            "confine._landlock_version = lambda: 4",
            {"landlock scopes": "this kernel's Landlock is older than its version 6 (Linux 6.12)"},
        ),
        (
            "sys.platform = 'darwin'",
            dict.fromkeys(("landlock files", "namespaces", "seccomp"), "needs Linux, this is darwin")
            | {"limits": "on"},
        ),
        (
            "import threading; threading.Thread(target=time.sleep, args=[60]).start()",
            {"one thread": "2 threads had been started, and Landlock binds one"},
        ),
    ],
    ids=["no library", "no Landlock", "old Landlock", "no Linux", "another thread"],
)
def test_an_absent_layer_is_told_of_in_words(tmp_path, line, told):
    with PolicyProcess(hostile.scaled(2), worker=script(tmp_path, f"{line}\nworker.main()")) as policy:
        assert {name: policy.layers[name] for name in told} == told
        np.testing.assert_array_equal(policy.act(OBS), 2 * OBS["obs"])
