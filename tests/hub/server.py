"""A small Hugging Face Hub on 127.0.0.1, for tests that use the real client over real HTTP.

::

    with LoopbackHub() as hub:
        hub.add_repo("model", "tester/net", {"config.json": b"{}", "w.safetensors": b"..."}, tag="v1")
        hub.fault("w.safetensors", "cut", times=1)
        HfApi(endpoint=hub.endpoint, token=hub.token).hf_hub_download("tester/net", "config.json")
        hub.requests  # what was asked, in order: Recorded(method, path, token, size)
        hub.writes  # those of them that are neither GET nor HEAD

Content, read and written by the test in the same process (repos are named by type, ``"model"``,
``"dataset"`` or ``"space"``, and id):

- ``hub.add_repo(type, id, files, tag=None, private=False)``: make or extend a repo with one commit;
  returns its sha. ``files`` maps paths to bytes, or is a folder.
- ``hub.files(type, id, revision="main")``: its files, path to bytes.
- ``hub.commits(type, id)``: titles of the commits on main, oldest first. As on the Hub, a repo that
  a client creates starts with ``"initial commit"``, which holds a ``.gitattributes``.
  In a new Space there is a ``README.md``, too.
- ``hub.space(id)``: the ``sdk`` and the ``hardware`` with which a client made a Space.
- ``hub.refs(type, id)``: branches and tags, name to sha.  ``hub.is_private(type, id)``.
- ``hub.collections``: slug to a dict with ``title``, ``private``, ``items`` and so on.
- ``hub.token`` belongs to the user ``hub.user`` (``"tester"``), who may write to ``tester/*`` only;
  ``hub.add_token(token, user, write=True)`` adds others. An unknown token is refused everywhere, as on
  the Hub, public files included; no token at all may read what is public.

Faults: ``hub.fault(path_contains, kind, times=None, method=None, retry_after=None)``. The next ``times``
requests (None: all) whose path and query contain the text go wrong; the latest fault comes first;
``hub.mend()`` takes all away. A file's path is in the paths of its resolve and its download, an upload's
in neither: PUTs go to ``/lfs/upload/``. Kinds:

- a status, such as 401, 403, 404, 429 (with ``retry_after`` in seconds), 500, 503;
- ``"gated"``: 403 with X-Error-Code GatedRepo;
- ``"cut"``: the connection breaks in the middle of the body, of the answer to a GET or of what a client
  sends; ``"reset"``: the same by a TCP reset;
- ``"stall"``: in the middle of the body nothing more comes, until the Hub ends;
- ``"flip"``: one byte of the answer's body is another one, the length is right;
- ``"drop"``: the connection is closed without an answer;
- ``"silent"``: it is held open without an answer.

``cut``, ``reset``, ``stall`` and ``flip`` leave answers without a body alone (HEAD, redirects).

Over plain http the client takes a 401 without X-Error-Code for an HfHubHTTPError; over https, and so on
the Hub, for a RepositoryNotFoundError.

The client's way: ``endpoint=hub.endpoint`` as an argument, or the environment of a subprocess,
``hub.environment(home)``; the fixture ``loopback_hub`` (tests/conftest.py) also points the client of the
test's own process here, with an empty HF_HOME. Xet is not spoken: HF_HUB_DISABLE_XET=1. No server is
needed for an unresolvable host (``http://hub.invalid``) or a refused port (``free_port()``).

By hand: ``python -m tests.hub`` serves until Ctrl-C and prints the environment to use.
"""

import base64
import hashlib
import json
import os
import re
import socket
import struct
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

LFS_SUFFIXES = (".safetensors", ".onnx", ".parquet", ".bin", ".pt", ".npz", ".png", ".zip", ".tar")
LFS_FROM = 10 * 2**20
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
BODY_FAULTS = ("cut", "reset", "stall", "flip")
_REPO = r"(?P<id>[^/]+/[^/]+)"
_API = rf"/api/(?P<type>model|dataset|space)s/{_REPO}"


@dataclass(frozen=True)
class Recorded:
    """A request: method, path with query, the token it carried, and the size of its body."""

    method: str
    path: str
    token: str | None
    size: int


@dataclass
class Fault:
    """What goes wrong, where, and how often still."""

    text: str
    kind: int | str
    times: int | None
    method: str | None
    retry_after: int | None


@dataclass(frozen=True)
class Commit:
    """A state of a repo: files by path."""

    sha: str
    title: str
    parent: str | None
    files: Mapping[str, bytes]
    date: str


@dataclass
class Repo:
    """A repo: commits by sha, branches and tags; of a Space, also its SDK and hardware."""

    type: str
    id: str
    private: bool
    space: Mapping[str, str | None] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> Commit:
        """Find a commit by branch, tag or sha."""
        sha = self.branches.get(revision) or self.tags.get(revision) or revision
        if sha not in self.commits:
            raise RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.commits[sha]

    def commit(self, title: str, files: Mapping[str, bytes], branch: str = "main") -> Commit:
        """Put a commit with exactly these files on a branch."""
        parent = self.branches.get(branch)
        text = f"{self.type}{self.id}{parent}{title}{len(self.commits)}"
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha] = Commit(sha, title, parent, dict(files), _now())
        self.branches[branch] = sha
        return self.commits[sha]


class RefusalError(Exception):
    """An answer with a status from 400 up, and the headers that the client looks at."""

    def __init__(self, status: int, code: str | None, message: str, **body: Any):
        super().__init__(message)
        self.status, self.code, self.message, self.body = status, code, message, body


@dataclass
class Answer:
    """Status, headers and body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class LoopbackHub:
    """The Hub; a context manager. The module's text says how to use it."""

    user = "tester"
    token = "hf_loopbackTokenOfTheTester"

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Recorded] = []
        self.collections: dict[str, dict[str, Any]] = {}
        self.closing = threading.Event()
        self._faults: list[Fault] = []
        self._repos: dict[tuple[str, str], Repo] = {}
        self._lfs: dict[str, bytes] = {}
        self._tokens: dict[str, tuple[str, bool]] = {}
        self._lock = threading.RLock()
        self.add_token(self.token, self.user)
        self._server = _Server(("127.0.0.1", port), self)
        port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        # Another name than the Hub's, as the real one's: the client asks it without the token.
        self.cdn = f"http://localhost:{port}"

    def __enter__(self) -> "LoopbackHub":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # What a test says and asks

    @property
    def writes(self) -> list[Recorded]:
        """Requests that could have changed something."""
        return [request for request in self.requests if request.method not in ("GET", "HEAD")]

    def add_token(self, token: str, user: str, write: bool = True) -> None:
        """Accept a token, as a user's, who may write to repos named after them."""
        self._tokens[token] = (user, write)

    def add_repo(
        self,
        repo_type: str,
        repo_id: str,
        files: Mapping[str, bytes] | Path,
        tag: str | None = None,
        private: bool = False,
    ) -> str:
        """Make a repo, or add a commit to it; files that it had stay. Returns the commit's sha."""
        if isinstance(files, Path):
            paths = [path for path in files.rglob("*") if path.is_file()]
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in paths}
        with self._lock:
            repo = self._repos.setdefault((repo_type, repo_id), Repo(repo_type, repo_id, private))
            known = repo.resolve("main").files if "main" in repo.branches else {}
            for path, content in files.items():
                if is_lfs(path, len(content)):
                    self._lfs[hashlib.sha256(content).hexdigest()] = content
            commit = repo.commit(f"Add {', '.join(files)}", {**known, **files})
            if tag is not None:
                repo.tags[tag] = commit.sha
            return commit.sha

    def files(self, repo_type: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Return a repo's files."""
        with self._lock:
            return dict(self._repos[repo_type, repo_id].resolve(revision).files)

    def repos(self) -> list[tuple[str, str]]:
        """Return type and id of every repo."""
        return sorted(self._repos)

    def commits(self, repo_type: str, repo_id: str) -> list[str]:
        """Return the titles of main's commits, oldest first."""
        repo = self._repos[repo_type, repo_id]
        titles, sha = [], repo.branches.get("main")
        while sha is not None:
            titles.append(repo.commits[sha].title)
            sha = repo.commits[sha].parent
        return titles[::-1]

    def refs(self, repo_type: str, repo_id: str) -> dict[str, str]:
        """Return branches and tags with their commits' shas."""
        repo = self._repos[repo_type, repo_id]
        return {**repo.branches, **repo.tags}

    def space(self, repo_id: str) -> dict[str, str | None]:
        """Return the SDK and the hardware that a client made a Space with."""
        return dict(self._repos["space", repo_id].space)

    def is_private(self, repo_type: str, repo_id: str) -> bool:
        """Whether only its owner sees a repo."""
        return self._repos[repo_type, repo_id].private

    def fault(
        self,
        path_contains: str,
        kind: int | str,
        times: int | None = None,
        method: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Let requests go wrong."""
        if not isinstance(kind, int) and kind not in (*BODY_FAULTS, "gated", "drop", "silent"):
            raise ValueError(f"there is no fault {kind!r}")
        self._faults.insert(0, Fault(path_contains, kind, times, method, retry_after))

    def mend(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    def environment(self, home: Path) -> dict[str, str]:
        """Return the environment in which a subprocess's client talks to this Hub, without a token."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING_FACE_"))}
        return mine | {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "NO_PROXY": "*",
            "no_proxy": "*",
        }

    # What the server asks

    def take_fault(self, method: str, path: str, in_body: bool) -> Fault | None:
        """Find the fault that befalls a request, and count it."""
        with self._lock:
            for fault in self._faults:
                if (
                    fault.text in path
                    and fault.method in (None, method)
                    and (fault.kind in BODY_FAULTS) is in_body
                    and fault.times != 0
                ):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def answer(self, request: Recorded, body: bytes) -> Answer:
        """Do what a request asks for."""
        url = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        with self._lock:
            try:
                if request.token is not None and request.token not in self._tokens:
                    raise RefusalError(401, None, "Invalid credentials in Authorization header")
                for pattern, methods, handle in _ROUTES:
                    match = pattern.fullmatch(url.path)
                    if match and request.method in methods:
                        named = {name: unquote(value or "") for name, value in match.groupdict().items()}
                        return handle(self, request, query, body, **named)
                raise RefusalError(404, None, "Sorry, we can't find the page you are looking for.")
            except RefusalError as refused:
                headers = {"X-Error-Message": refused.message}
                if refused.code is not None:
                    headers["X-Error-Code"] = refused.code
                return _json({"error": refused.message, **refused.body}, refused.status, headers)
            except Exception:
                # A mistake in here. The client tries again on 500, but says what a 501 says.
                return _json({"error": traceback.format_exc()}, 501)

    def _repo(self, request: Recorded, repo_type: str, repo_id: str) -> Repo:
        repo = self._repos.get((repo_type, repo_id))
        owner = repo_id.partition("/")[0]
        if repo is None or (repo.private and self._name(request) != owner):
            # The Hub doesn't tell strangers whether a repo exists.
            if request.token is None:
                raise RefusalError(401, "RepoNotFound", "Invalid username or password.")
            raise RefusalError(404, "RepoNotFound", "Repository not found")
        return repo

    def _name(self, request: Recorded) -> str | None:
        return None if request.token is None else self._tokens[request.token][0]

    def _may_write(self, request: Recorded, namespace: str) -> None:
        if request.token is None:
            raise RefusalError(401, None, "Invalid username or password.")
        user, write = self._tokens[request.token]
        if user != namespace or not write:
            raise RefusalError(403, None, f'You don\'t have the rights to write under "{namespace}"')

    # The routes

    def _whoami(self, request: Recorded, query: Mapping[str, str], body: bytes) -> Answer:
        if request.token is None:
            raise RefusalError(401, None, "Invalid username or password.")
        user, write = self._tokens[request.token]
        access = {"displayName": "loopback", "role": "write" if write else "read"}
        return _json(
            {
                "type": "user",
                "id": "0" * 24,
                "name": user,
                "fullname": user.title(),
                "orgs": [],
                "auth": {"type": "access_token", "accessToken": access},
            }
        )

    def _create(self, request: Recorded, query: Mapping[str, str], body: bytes) -> Answer:
        values = json.loads(body)
        repo_type = values.get("type") or "model"
        namespace = values.get("organization") or self._name(request) or ""
        self._may_write(request, namespace)
        repo_id = f"{namespace}/{values['name']}"
        prefix = "" if repo_type == "model" else f"{repo_type}s/"
        url = f"{self.endpoint}/{prefix}{repo_id}"
        if (repo_type, repo_id) in self._repos:
            message = f"You already created this {repo_type} repo"
            raise RefusalError(409, None, message, url=url, name=repo_id)
        private = values.get("visibility") == "private" or bool(values.get("private"))
        repo = Repo(repo_type, repo_id, private)
        files = {".gitattributes": GITATTRIBUTES.encode()}
        if repo_type == "space":
            if values.get("sdk") not in ("gradio", "docker", "static"):
                raise RefusalError(400, None, '"sdk" must be one of gradio, docker, static')
            repo.space = {"sdk": values["sdk"], "hardware": values.get("hardware")}
            files["README.md"] = f"---\nsdk: {values['sdk']}\n---\n".encode()
        repo.commit("initial commit", files)
        self._repos[repo_type, repo_id] = repo
        return _json({"url": url, "name": repo_id, "id": "0" * 24})

    def _info(
        self,
        request: Recorded,
        query: Mapping[str, str],
        body: bytes,
        type: str,
        id: str,
        revision: str = "main",
    ) -> Answer:
        repo = self._repo(request, type, id)
        commit = repo.resolve(revision)
        siblings = []
        for path, content in sorted(commit.files.items()):
            sibling: dict[str, Any] = {"rfilename": path}
            if "blobs" in query:
                entry = _entry(path, content)
                sibling |= {"size": len(content), "blobId": entry["oid"]}
                if "lfs" in entry:
                    sibling["lfs"] = {**entry["lfs"], "sha256": entry["lfs"]["oid"]}
            siblings.append(sibling)
        return _json(
            {
                "_id": "0" * 24,
                "id": id,
                "author": id.partition("/")[0],
                "sha": commit.sha,
                "lastModified": commit.date,
                "createdAt": commit.date,
                "private": repo.private,
                "gated": False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": siblings,
            }
        )

    def _refs(
        self, request: Recorded, query: Mapping[str, str], body: bytes, type: str, id: str
    ) -> Answer:
        repo = self._repo(request, type, id)

        def listed(kind: str, refs: Mapping[str, str]) -> list[dict[str, str]]:
            return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": s} for n, s in refs.items()]

        branches, tags = listed("heads", repo.branches), listed("tags", repo.tags)
        return _json({"branches": branches, "tags": tags, "converts": []})

    def _tree(
        self,
        request: Recorded,
        query: Mapping[str, str],
        body: bytes,
        type: str,
        id: str,
        revision: str,
        folder: str = "",
    ) -> Answer:
        files = self._repo(request, type, id).resolve(revision).files
        start = f"{folder.strip('/')}/" if folder.strip("/") else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, content in sorted(files.items()):
            if not path.startswith(start):
                continue
            parents = path[len(start) :].split("/")[:-1]
            names = [start + "/".join(parents[: n + 1]) for n in range(len(parents))]
            recursive = query.get("recursive", "").lower() == "true"
            for name in names if recursive else names[:1]:
                oid = hashlib.sha1(name.encode()).hexdigest()
                entries[name] = {"type": "directory", "oid": oid, "size": 0, "path": name}
            if recursive or not parents:
                entries[path] = _entry(path, content)
        if start and not entries:
            raise RefusalError(404, "EntryNotFound", f"{folder} does not exist on {revision}")
        return _json(list(entries.values()))

    def _paths_info(
        self, request: Recorded, query: Mapping[str, str], body: bytes, type: str, id: str, revision: str
    ) -> Answer:
        files = self._repo(request, type, id).resolve(revision).files
        paths = (
            json.loads(body)["paths"]
            if body[:1] == b"{"
            else parse_qs(body.decode()).get("paths", [])  # the client sends a form
        )
        return _json([_entry(path, files[path]) for path in paths if path in files])

    def _commits(
        self, request: Recorded, query: Mapping[str, str], body: bytes, type: str, id: str, revision: str
    ) -> Answer:
        repo = self._repo(request, type, id)
        commit: Commit | None = repo.resolve(revision)
        listed = []
        while commit is not None:
            facts = {"id": commit.sha, "title": commit.title, "message": "", "date": commit.date}
            listed.append(facts | {"authors": [{"user": id.partition("/")[0]}]})
            commit = repo.commits[commit.parent] if commit.parent else None
        return _json(listed)

    def _preupload(
        self, request: Recorded, query: Mapping[str, str], body: bytes, type: str, id: str, revision: str
    ) -> Answer:
        repo = self._repo(request, type, id)
        self._may_write(request, id.partition("/")[0])
        known = repo.resolve(revision).files
        files = []
        for file in json.loads(body)["files"]:
            path, lfs = file["path"], is_lfs(file["path"], file["size"])
            facts = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if path in known:
                entry = _entry(path, known[path])
                facts["oid"] = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            files.append(facts)
        return _json({"files": files})

    def _lfs_batch(
        self, request: Recorded, query: Mapping[str, str], body: bytes, id: str, type: str = "model"
    ) -> Answer:
        self._repo(request, type, id)
        self._may_write(request, id.partition("/")[0])
        objects = []
        for item in json.loads(body)["objects"]:
            answer: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self._lfs:
                answer["actions"] = {
                    "upload": {"href": f"{self.endpoint}/lfs/upload/{item['oid']}?signature=loopback"},
                    "verify": {"href": f"{self.endpoint}/lfs/verify"},
                }
            objects.append(answer)
        return _json({"transfer": "basic", "objects": objects})

    def _lfs_put(self, request: Recorded, query: Mapping[str, str], body: bytes, oid: str) -> Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            raise RefusalError(400, None, "The object's hash isn't the one it was announced with")
        self._lfs[oid] = body
        return Answer(headers={"ETag": f'"{oid}"'})

    def _lfs_verify(self, request: Recorded, query: Mapping[str, str], body: bytes) -> Answer:
        values = json.loads(body)
        if len(self._lfs.get(values["oid"], b"")) != values["size"]:
            raise RefusalError(404, None, "No such object")
        return _json({})

    def _commit(
        self, request: Recorded, query: Mapping[str, str], body: bytes, type: str, id: str, revision: str
    ) -> Answer:
        repo = self._repo(request, type, id)
        self._may_write(request, id.partition("/")[0])
        if revision not in repo.branches:
            raise RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = dict(repo.resolve(revision).files)
        title = ""
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, repo.branches[revision]):
                    raise RefusalError(
                        412, None, "A commit has happened since. Please refresh and try again."
                    )
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                if value["oid"] not in self._lfs:
                    raise RefusalError(
                        400, None, "Your push was rejected because an LFS pointer pointed nowhere"
                    )
                files[value["path"]] = self._lfs[value["oid"]]
            elif item["key"] == "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise RefusalError(404, "EntryNotFound", "A file with this name doesn't exist")
            else:
                raise RefusalError(400, None, f"The loopback Hub doesn't know {item['key']}")
        commit = repo.commit(title, files, revision)
        url = f"{self.endpoint}/{id}/commit/{commit.sha}"
        return _json({"success": True, "commitOid": commit.sha, "commitUrl": url, "hookOutput": ""})

    def _tag(
        self, request: Recorded, query: Mapping[str, str], body: bytes, type: str, id: str, revision: str
    ) -> Answer:
        repo = self._repo(request, type, id)
        self._may_write(request, id.partition("/")[0])
        name = json.loads(body)["tag"]
        if name in repo.tags:
            raise RefusalError(409, None, "Tag reference exists already")
        repo.tags[name] = repo.resolve(revision).sha
        return _json({})

    def _validate_yaml(self, request: Recorded, query: Mapping[str, str], body: bytes) -> Answer:
        errors = card_errors(json.loads(body)["content"])
        listed = [{"message": error} for error in errors]
        return _json({"errors": listed, "warnings": []}, 400 if errors else 200)

    def _list_collections(self, request: Recorded, query: Mapping[str, str], body: bytes) -> Answer:
        name = self._name(request)
        listed = []
        for collection in self.collections.values():
            owner = collection["owner"]["name"]
            if query.get("owner") in (None, owner) and (not collection["private"] or name == owner):
                facts = {key: value for key, value in collection.items() if key != "position"}
                listed.append(facts | {"items": collection["items"][:4]})  # the Hub shortens them, too
        return _json(listed)

    def _get_collection(
        self, request: Recorded, query: Mapping[str, str], body: bytes, slug: str
    ) -> Answer:
        if slug not in self.collections:
            raise RefusalError(404, None, "Collection not found")
        return _json(self.collections[slug])

    def _create_collection(self, request: Recorded, query: Mapping[str, str], body: bytes) -> Answer:
        values = json.loads(body)
        self._may_write(request, values["namespace"])
        title, owner = values["title"], values["namespace"]
        if len(title) > 60 or len(values.get("description") or "") > 150:
            raise RefusalError(400, None, "Title or description is too long")
        words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        digest = hashlib.sha1(f"{owner}/{words}".encode()).hexdigest()[:24]
        slug = f"{owner}/{words}-{digest}"
        if slug in self.collections:
            raise RefusalError(409, None, "This collection already exists", slug=slug)
        self.collections[slug] = {
            "slug": slug,
            "title": title,
            "description": values.get("description"),
            "owner": {"name": owner, "type": "user"},
            "items": [],
            "lastUpdated": _now(),
            "position": len(self.collections),
            "private": bool(values.get("private")),
            "theme": "green",
            "upvotes": 0,
        }
        return _json(self.collections[slug])

    def _add_item(self, request: Recorded, query: Mapping[str, str], body: bytes, slug: str) -> Answer:
        if slug not in self.collections:
            raise RefusalError(404, None, "Collection not found")
        self._may_write(request, slug.partition("/")[0])
        values = json.loads(body)
        item, items = values["item"], self.collections[slug]["items"]
        self._repo(request, item["type"], item["id"])
        if any((known["type"], known["id"]) == (item["type"], item["id"]) for known in items):
            raise RefusalError(409, None, "This item is already in the collection")
        note = {"text": values["note"]} if values.get("note") else None
        added = {"_id": f"{len(items):024x}", "position": len(items), "note": note, **item}
        items.append(added)
        return _json(self.collections[slug])

    def _resolve(
        self,
        request: Recorded,
        query: Mapping[str, str],
        body: bytes,
        id: str,
        revision: str,
        path: str,
        type: str = "model",
    ) -> Answer:
        commit = self._repo(request, type, id).resolve(revision)
        if path not in commit.files:
            error = _json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            error.headers["X-Error-Message"] = "Entry not found"
            error.headers["X-Repo-Commit"] = commit.sha
            return error
        content = commit.files[path]
        headers = {"X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
        if not is_lfs(path, len(content)):
            return Answer(200, headers | {"ETag": f'"{_git_hash(content)}"'}, content)
        oid = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content)), "ETag": f'"{oid}"'}
        headers["Location"] = f"{self.cdn}/lfs/download/{oid}/{path}"
        return Answer(302, headers)

    def _lfs_get(
        self, request: Recorded, query: Mapping[str, str], body: bytes, oid: str, path: str
    ) -> Answer:
        if oid not in self._lfs:
            raise RefusalError(403, None, "AccessDenied")
        return Answer(200, {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}, self._lfs[oid])


_READ = ("GET", "HEAD")
_TYPED = rf"/(?P<type>dataset|space)s/{_REPO}"
_ROUTES = [
    (re.compile(pattern), methods, handle)
    for pattern, methods, handle in (
        (r"/api/whoami-v2", _READ, LoopbackHub._whoami),
        (r"/api/repos/create", ("POST",), LoopbackHub._create),
        (r"/api/validate-yaml", ("POST",), LoopbackHub._validate_yaml),
        (_API, _READ, LoopbackHub._info),
        (rf"{_API}/revision/(?P<revision>[^/]+)", _READ, LoopbackHub._info),
        (rf"{_API}/refs", _READ, LoopbackHub._refs),
        (rf"{_API}/tree/(?P<revision>[^/]+)(?P<folder>/.*)?", _READ, LoopbackHub._tree),
        (rf"{_API}/paths-info/(?P<revision>[^/]+)", ("POST",), LoopbackHub._paths_info),
        (rf"{_API}/commits/(?P<revision>[^/]+)", _READ, LoopbackHub._commits),
        (rf"{_API}/preupload/(?P<revision>[^/]+)", ("POST",), LoopbackHub._preupload),
        (rf"{_API}/commit/(?P<revision>[^/]+)", ("POST",), LoopbackHub._commit),
        (rf"{_API}/tag/(?P<revision>[^/]+)", ("POST",), LoopbackHub._tag),
        (r"/api/collections", _READ, LoopbackHub._list_collections),
        (r"/api/collections", ("POST",), LoopbackHub._create_collection),
        (r"/api/collections/(?P<slug>[^/]+/[^/]+)", _READ, LoopbackHub._get_collection),
        (r"/api/collections/(?P<slug>[^/]+/[^/]+)/items", ("POST",), LoopbackHub._add_item),
        (r"/lfs/upload/(?P<oid>[0-9a-f]{64})", ("PUT",), LoopbackHub._lfs_put),
        (r"/lfs/verify", ("POST",), LoopbackHub._lfs_verify),
        (r"/lfs/download/(?P<oid>[0-9a-f]{64})/(?P<path>.+)", _READ, LoopbackHub._lfs_get),
        (rf"{_TYPED}\.git/info/lfs/objects/batch", ("POST",), LoopbackHub._lfs_batch),
        (rf"/{_REPO}\.git/info/lfs/objects/batch", ("POST",), LoopbackHub._lfs_batch),
        (rf"{_TYPED}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _READ, LoopbackHub._resolve),
        (rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _READ, LoopbackHub._resolve),
    )
]


def is_lfs(path: str, size: int) -> bool:
    """Whether a file of this name and size is kept in LFS."""
    return size > 0 and (path.endswith(LFS_SUFFIXES) or size > LFS_FROM)


def card_errors(text: str) -> list[str]:
    """Return what the Hub would not accept in a README's front matter."""
    match = re.match(r"---\r?\n(.*?)\r?\n---(\r?\n|$)", text, re.DOTALL)
    if not match:
        return []
    try:
        data = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [f"The metadata is no YAML: {error}"]
    if not isinstance(data, dict):
        return ["The metadata must be an object"]
    errors = [
        f'"{name}" must be a string'
        for name in ("license", "library_name", "pipeline_tag")
        if name in data and not isinstance(data[name], str)
    ]
    for index, model in enumerate(data.get("model-index") or []):
        for place, result in enumerate(model.get("results") or []):
            where = f"model-index[{index}].results[{place}]"
            wanted = {"task": ["type"], "dataset": ["type", "name"]}
            for part, names in wanted.items():
                errors += [
                    f'"{where}.{part}.{name}" is required'
                    for name in names
                    if not result.get(part, {}).get(name)
                ]
            for metric in result.get("metrics") or [{}]:
                if not metric.get("type") or not isinstance(metric.get("value"), int | float):
                    errors.append(f'"{where}.metrics" must have type and value')
    return errors


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
    if not is_lfs(path, len(content)):
        return entry | {"oid": _git_hash(content)}
    oid = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    lfs = {"oid": oid, "size": len(content), "pointerSize": len(pointer)}
    return entry | {"oid": _git_hash(pointer.encode()), "lfs": lfs}


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps(value).encode()
    return Answer(status, {"Content-Type": "application/json", **(headers or {})}, body)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], hub: LoopbackHub):
        super().__init__(address, _Handler)
        self.hub = hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A body follows its headers in a segment of its own, which otherwise waits 40 ms for their receipt.
    disable_nagle_algorithm = True
    server: _Server

    def _handle(self) -> None:
        hub = self.server.hub
        fault = hub.take_fault(self.command, self.path, in_body=False)
        if self.command in ("POST", "PUT") and fault is None:
            broken = hub.take_fault(self.command, self.path, in_body=True)
            if broken is not None and broken.kind != "flip":
                self._record(0)
                self._read_half()
                self._break(str(broken.kind))
                return
        body = self._read()
        request = self._record(len(body))
        if fault is not None and fault.kind in ("drop", "silent"):
            self._break("stall" if fault.kind == "silent" else "cut")
            return
        if fault is not None:
            code = {"gated": "GatedRepo", 404: "RepoNotFound"}.get(fault.kind)
            status = 403 if fault.kind == "gated" else int(fault.kind)
            headers = {} if code is None else {"X-Error-Code": code}
            if fault.retry_after is not None:
                headers["Retry-After"] = str(fault.retry_after)
            self._send(_json({"error": f"The test wants a {status}"}, status, headers))
            return
        answer = hub.answer(request, body)
        broken = None
        if self.command == "GET" and answer.status == 200 and len(answer.body) > 1:
            broken = hub.take_fault(self.command, self.path, in_body=True)
        self._send(answer, None if broken is None else str(broken.kind))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815

    def _record(self, size: int) -> Recorded:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        recorded = Recorded(self.command, self.path, token, size)
        self.server.hub.requests.append(recorded)
        return recorded

    def _read(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_half(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 2) // 2)

    def _send(self, answer: Answer, broken: str | None = None) -> None:
        body, status, headers = answer.body, answer.status, dict(answer.headers)
        if broken == "flip":
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        start = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if start and status == 200 and "Accept-Ranges" in headers:
            first = int(start[1])
            last = min(int(start[2] or len(body) - 1), len(body) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            body, status = body[first : last + 1], 206
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if broken in ("cut", "reset", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self._break(broken)
            return
        self.wfile.write(body)

    def _break(self, how: str) -> None:
        self.close_connection = True
        if how == "stall":
            self.server.hub.closing.wait()
        if how == "reset":
            # Zero linger: closing sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            return
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: tests read what the client says."""
