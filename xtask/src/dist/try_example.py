"""Runs README's example of Python against an API on this machine: argument 1 is README.md."""

import http.server
import json
import pathlib
import sys
import threading


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        accepted = self.headers["Authorization"] == "Bearer a-token" and self.path == "/user"
        self.send_response(200 if accepted else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"login": "octocat"}).encode())

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()

page = pathlib.Path(sys.argv[1]).read_text()
example = page.split("```python\n")[1].split("```")[0]
for written, used in [
    ('["gh", "auth", "token"]', '["echo", "a-token"]'),
    ("https://api.github.com", f"http://127.0.0.1:{server.server_port}"),
]:
    assert written in example, f"README's example has no {written}"
    example = example.replace(written, used)
scope: dict = {}
exec(example, scope)
assert scope["user"]() == {"login": "octocat"}
print("README's example works on Python", sys.version.split()[0])
