"""A headless Chromium, driven over pipes by its DevTools protocol."""

import itertools
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import suppress

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    "--remote-debugging-pipe",
)


def found():
    """The browser's command, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One tab. Everything that its console and its network say goes to `events`."""

    def __init__(self, folder):
        (theirs_in, self.out), (self.inn, theirs_out) = os.pipe(), os.pipe()
        theirs = (os.dup2(theirs_in, 203), os.dup2(theirs_out, 204))
        command = [found(), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        shell = 'exec "$@" 3<&203 4>&204 203<&- 204>&-'  # the protocol's pipes are its descriptors 3 and 4
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "browser", *command],
            pass_fds=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in (theirs_in, theirs_out, *theirs):
            os.close(descriptor)
        self.numbers, self.buffer, self.events, self.session = itertools.count(1), b"", [], None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, timeout=20.0, **params):
        """A command's result.

        Raises:
            RuntimeError: the browser says no, or nothing.
        """
        number = next(self.numbers)
        session = {"sessionId": self.session} if self.session else {}
        os.write(self.out, json.dumps({"id": number, "method": method, "params": params} | session).encode() + b"\0")
        end = time.monotonic() + timeout
        while True:
            answer = self._next(end - time.monotonic())
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self, timeout):
        while b"\0" not in self.buffer:
            if not select.select([self.inn], [], [], max(timeout, 0))[0]:
                raise RuntimeError("the browser does not answer")
            part = os.read(self.inn, 1 << 20)
            if not part:
                raise RuntimeError("the browser is gone")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def run(self, expression):
        """A JavaScript expression's value.

        Raises:
            RuntimeError: it throws.
        """
        told = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(told["exceptionDetails"])
        return told["result"].get("value")

    def wait(self, expression, seconds=5.0):
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(expression):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}"
            time.sleep(0.02)

    def open(self, url):
        """Load a page anew."""
        self.send("Page.navigate", url="about:blank")
        self.events.clear()
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def press(self, key, code=None, text=None):
        """One key down and up."""
        about = {"key": key, "code": code or key, "windowsVirtualKeyCode": KEYS.get(key, 0)}
        typed = {"text": text} if text else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **about, **typed)
        self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    def size(self, width, height):
        """Of the window, in CSS pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def media(self, **features):
        """Preferences, such as prefers_color_scheme="dark"."""
        told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.send("Emulation.setEmulatedMedia", features=told)

    def close(self):
        """End it."""
        with suppress(RuntimeError, OSError):
            self.session = None
            self.send("Browser.close", timeout=3.0)
        try:
            self.process.wait(3.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.inn)


KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}
"""Windows' codes, which pages are told."""
