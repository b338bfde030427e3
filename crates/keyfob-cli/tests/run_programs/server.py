"""A server over TLS whose API, git repository and package registries need a token that expires after three seconds.

Arguments: a folder with cert.pem, key.pem and the secret that tokens are signed with. It prints its port.
"""

import base64
import functools
import hashlib
import http.server
import io
import json
import ssl
import sys
import tarfile
import time
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
secret = (folder / "secret").read_text().strip()


def is_valid(field: str) -> bool:
    scheme, _, text = field.partition(" ")
    if scheme.lower() == "basic":
        text = base64.b64decode(text).decode().partition(":")[2]
    marker, _, rest = text.partition("-")
    end, _, signature = rest.partition("-")
    expected = hashlib.sha256(f"{secret}{end}".encode()).hexdigest()[:32]
    return marker == "rEaLt0kEn" and signature == expected and time.time() * 1000 < int(end)


def wheel() -> bytes:
    buffer = io.BytesIO()
    info = "demo_keyfob-1.0.dist-info"
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("demo_keyfob.py", "value = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo-keyfob\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"demo_keyfob.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return buffer.getvalue()


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


WHEEL = wheel()
NPM = archive({"package/package.json": '{"name":"demo-keyfob","version":"1.0.0"}', "package/index.js": "module.exports = 42\n"})
CRATE = archive({
    "demo-keyfob-1.0.0/Cargo.toml": '[package]\nname = "demo-keyfob"\nversion = "1.0.0"\nedition = "2021"\n',
    "demo-keyfob-1.0.0/src/lib.rs": "",
})
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
CONFIG = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": EMPTY}
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": CONFIG, "layers": []}).encode()
WHEEL_NAME = "demo_keyfob-1.0-py3-none-any.whl"


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        field = self.headers.get("authorization", "")
        if not is_valid(field):
            return self.answer(b"{}", 401, [("www-authenticate", 'Bearer error="invalid_token"')])
        own = f"https://{self.headers['host']}"
        path = self.path.partition("?")[0]
        if path in ("/user", "/api/v3/user"):
            return self.answer(json.dumps({"login": "octocat", "query": self.path}).encode())
        if path == "/simple/demo-keyfob/":
            return self.answer(f'<a href="/files/{WHEEL_NAME}">{WHEEL_NAME}</a>'.encode(), kind="text/html")
        if path == f"/files/{WHEEL_NAME}":
            return self.answer(WHEEL)
        if path == "/npm/demo-keyfob":
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(NPM).digest()).decode()
            dist = {"tarball": f"{own}/npm/demo.tgz", "integrity": integrity}
            version = {"name": "demo-keyfob", "version": "1.0.0", "dist": dist}
            return self.answer(json.dumps({"name": "demo-keyfob", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode())
        if path == "/npm/demo.tgz":
            return self.answer(NPM)
        if path == "/index/config.json":
            return self.answer(json.dumps({"dl": f"{own}/crates", "api": own}).encode())
        if path == "/index/de/mo/demo-keyfob":
            line = {"name": "demo-keyfob", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False, "cksum": hashlib.sha256(CRATE).hexdigest()}
            return self.answer(json.dumps(line).encode())
        if path == "/crates/demo-keyfob/1.0.0/download":
            return self.answer(CRATE)
        if path == "/v2/":
            return self.answer(b"{}")
        if path == "/v2/demo/manifests/latest":
            return self.answer(MANIFEST, kind=MANIFEST_TYPE)
        if path == f"/v2/demo/blobs/{EMPTY}":
            return self.answer(b"{}")
        if path == "/.well-known/terraform.json":
            return self.answer(b'{"providers.v1": "/providers/"}')
        if path == "/providers/a/b/versions":
            return self.answer(json.dumps({"versions": [{"version": "9.8.7", "protocols": ["5.0"], "platforms": []}]}).encode())
        if path.startswith("/git/"):
            return super().do_GET()
        return self.answer(b"{}", 404)

    def answer(self, body: bytes, status: int = 200, headers: list[tuple[str, str]] = [], kind: str = "application/json") -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
