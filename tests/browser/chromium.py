"""A headless Chromium, driven by the Chrome DevTools protocol: open, look, point, press, and what the page said."""

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 30  # seconds
KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Tab": 9, " ": 32}


def executable() -> str | None:
    """Path of the browser, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class NavigatedError(AssertionError):
    """The page went elsewhere while a script ran in it."""


class Chromium:
    """A browser with one page; ``errors`` and ``requests`` are those since the last :meth:`open`."""

    def __init__(self, folder: Path) -> None:
        command = [executable(), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        command += [f"--user-data-dir={folder}", "--disable-background-networking", "--no-first-run", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told = folder / "DevToolsActivePort"
        self._until(lambda: told.exists() and len(told.read_text().splitlines()) == 2, "Chromium did not start")
        port, path = told.read_text().splitlines()
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}{path}", timeout=PATIENCE, suppress_origin=True
        )
        self._session: str | None = None
        self._number = 0
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")
        self._send("Performance.enable", timeDomain="threadTicks")
        self.errors: list[str] = []
        self.requests: list[str] = []

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(PATIENCE)

    def open(self, file: Path, width: int, height: int = 900, dark: bool = False) -> None:
        """Load a local page in a window of that size; a window narrower than 600 pixels is a phone's."""
        phone = width < 600
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = "dark" if dark else "light"
        self._send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.errors.clear()
        self.requests.clear()
        self._send("Page.navigate", url=file.resolve().as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def evaluate(self, script: str):
        """Value of a JavaScript expression in the page."""
        done = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true, on this page or on the one that it leads to."""
        self._until(lambda: self._is_true(condition), f"never true: {condition}")

    def _is_true(self, condition: str) -> bool:
        try:
            return bool(self.evaluate(condition))
        except NavigatedError:
            return False

    def point(self, x: float, y: float, click: bool = False) -> None:
        """Move the mouse there, and click if asked to."""
        kinds = ["mouseMoved", *(["mousePressed", "mouseReleased"] if click else [])]
        for kind in kinds:
            button = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
            self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def press(self, key: str) -> None:
        """A key, in the element that has the focus."""
        text = {"text": {"Enter": "\r", " ": " "}[key]} if key in ("Enter", " ") else {}
        for kind in ("keyDown", "keyUp"):
            code = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
            self._send("Input.dispatchKeyEvent", type=kind, **code, **(text if kind == "keyDown" else {}))

    def picture(self, file: Path, whole: bool = False) -> None:
        """Screenshot as PNG, of the window or of the whole page."""
        done = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(done["data"]))

    def processor_seconds(self) -> float:
        """Processor time of the page's thread since the browser started; other programs do not lengthen it."""
        metrics = self._send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def _until(self, condition, complaint: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, complaint
            time.sleep(0.05)

    def _send(self, method: str, **parameters) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session and not method.startswith("Target."):
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                return _result(method, answer)
            self._listen(answer.get("method"), answer.get("params", {}))

    def _listen(self, event: str | None, said: dict) -> None:
        if event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["exceptionDetails"])[:500])
        elif event == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(said["args"])[:500])
        elif event == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.errors.append(said["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])


def _result(method: str, answer: dict) -> dict:
    error = answer.get("error")
    if error and any(word in error["message"] for word in ("navigated", "context was destroyed")):
        raise NavigatedError(method, error)
    assert error is None, (method, error)
    return answer["result"]
