"""A model hub on this machine: the endpoints that the hub's client calls, over folders, with faults on request."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


@cache
def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def content_of(file: Path, changed_ns: int) -> bytes:
    return file.read_bytes()


class Hub:
    """Repositories as ``name -> branch -> folder``; a commit is the digest of its files."""

    def __init__(self, repositories: dict[str, dict[str, Path]]) -> None:
        self.repositories = repositories
        self.truncated: dict[str, int] = {}  # file name -> how many more times its connection breaks off half-way
        self.damaged: set[str] = set()  # names of files served with other bytes than listed
        self.refused: set[str] = set()  # names of files whose content is answered with 500
        self.sent: Counter = Counter()  # bytes sent, by file name
        self.url = ""

    def files(self, repository: str, branch: str) -> dict[str, bytes]:
        folder = self.repositories[repository][branch]
        found = (file for file in sorted(folder.iterdir()) if file.is_file())
        return {file.name: content_of(file, file.stat().st_mtime_ns) for file in found}

    def commit(self, repository: str, branch: str) -> str:
        listed = [branch, *(f"{name} {digest(content)}" for name, content in self.files(repository, branch).items())]
        return digest("\n".join(listed).encode())[:40]

    def branch_of(self, repository: str, revision: str) -> str | None:
        for branch in self.repositories[repository]:
            if revision in (branch, self.commit(repository, branch)):
                return branch
        return None


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_POST(self) -> None:
        self.posted = unquote(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.answer(body=True)

    def say(self, content, status: int = 200, **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        known = "|".join(map(re.escape, self.hub.repositories))
        if found := re.fullmatch(rf"api/(?:models|datasets)/({known})(?:/(\w+[\w-]*)(?:/([^/]+))?)?(?:/.*)?", path):
            return self.about(found[1], found[2] or "revision", found[3] or "main")
        if found := re.fullmatch(rf"(?:datasets/)?({known})/resolve/([^/]+)/(.+)", path):
            return self.file(*found.groups(), body)
        return self.say({"error": "no repository"}, 404, X_Error_Code="RepoNotFound")

    def about(self, repository: str, what: str, revision: str) -> None:
        branches = self.hub.repositories[repository]
        if what == "refs":
            entries = [
                {"name": b, "ref": f"refs/heads/{b}", "targetCommit": self.hub.commit(repository, b)} for b in branches
            ]
            return self.say({"branches": entries, "tags": [], "converts": []})
        branch = self.hub.branch_of(repository, revision)
        if branch is None:
            return self.say({"error": "no revision"}, 404, X_Error_Code="RevisionNotFound")
        entries = []
        for name, content in self.hub.files(repository, branch).items():
            entry = {"type": "file", "path": name, "rfilename": name, "size": len(content), "oid": digest(content)[:40]}
            if not name.endswith(".json"):
                lfs = {"sha256": digest(content), "oid": digest(content), "size": len(content), "pointerSize": 100}
                entry["lfs"] = lfs
            entries.append(entry | {"blobId": entry["oid"]})
        if what == "revision":
            return self.say({"id": repository, "sha": self.hub.commit(repository, branch), "siblings": entries})
        if what == "paths-info":
            entries = [entry for entry in entries if entry["path"] in self.posted]
        return self.say(entries)

    def file(self, repository: str, revision: str, name: str, body: bool) -> None:
        branch = self.hub.branch_of(repository, revision)
        content = self.hub.files(repository, branch).get(name) if branch else None
        if content is None:
            return self.say({"error": "no file"}, 404, X_Error_Code="EntryNotFound")
        if body and name in self.hub.refused:
            return self.say({"error": "internal"}, 500)
        etag = digest(content)
        if name in self.hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        first, last, status = 0, len(content) - 1, 200
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last, status = int(wanted[1]), min(int(wanted[2] or last), last), 206
        part = content[first : last + 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", self.hub.commit(repository, branch))
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        if not body:
            return None
        if self.hub.truncated.get(name, 0) > 0:
            self.hub.truncated[name] -= 1
            part = part[: len(part) // 2]
            self.close_connection = True
        self.hub.sent[name] += len(part)
        self.wfile.write(part)
        return None


@contextmanager
def served(hub: Hub) -> Iterator[Hub]:
    """The hub at ``hub.url`` while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
