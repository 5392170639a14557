"""Stand-ins for the tunnel agents: programs that speak ngrok's local API and log, and cloudflared's log."""

import shlex
import sys
from pathlib import Path

#: Arguments as ngrok 3 takes them; the local API is on a free port, as when 4040 is in use.
NGROK = """import http.server, json, os, sys
assert sys.argv[1] == "http" and sys.argv[3:] == ["--log", "stdout", "--log-format", "json"], sys.argv
port = sys.argv[2]

def log(**fields):
    print(json.dumps({"lvl": "info", "t": "2026-01-01T00:00:00Z", **fields}), flush=True)

if os.environ.get("NGROK_AUTHTOKEN") != "good":
    log(lvl="eror", msg="session closing", err="authentication failed: ERR_NGROK_4018")
    sys.exit(1)

class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        tunnels = [
            {"public_url": "https://other.ngrok-free.app", "config": {"addr": "http://localhost:1"}},
            {"public_url": "http://plain.ngrok-free.app", "config": {"addr": f"http://localhost:{port}"}},
            {"public_url": "https://fixed.ngrok-free.app", "config": {"addr": f"http://localhost:{port}"}},
        ]
        body = json.dumps({"tunnels": tunnels, "uri": "/api/tunnels"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Api)
log(msg="starting web service", obj="web", addr=f"127.0.0.1:{server.server_port}")
server.serve_forever()
"""

#: ngrok that really forwards: TLS with the certificate and key that TUNNEL_CERTIFICATE names, to the local port.
FORWARDING_NGROK = """import http.server, json, os, socket, socketserver, ssl, sys, threading

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(*os.environ["TUNNEL_CERTIFICATE"].split(":"))

def pipe(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

class Forward(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            outside = context.wrap_socket(self.request, server_side=True)
            inside = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
        except OSError:
            return
        back = threading.Thread(target=pipe, args=(inside, outside), daemon=True)
        back.start()
        pipe(outside, inside)
        back.join()

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

tunnel = Server(("127.0.0.1", 0), Forward)
threading.Thread(target=tunnel.serve_forever, daemon=True).start()
URL = f"https://127.0.0.1:{tunnel.server_address[1]}"

class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        tunnels = [{"public_url": URL, "config": {"addr": f"http://localhost:{sys.argv[2]}"}}]
        body = json.dumps({"tunnels": tunnels}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

api = http.server.HTTPServer(("127.0.0.1", 0), Api)
print(json.dumps({"msg": "starting web service", "addr": f"127.0.0.1:{api.server_port}"}), flush=True)
api.serve_forever()
"""

CLOUDFLARED = """import os, sys, time
assert sys.argv[1:3] == ["tunnel", "--no-autoupdate"] and sys.argv[3] == "--url", sys.argv
if os.environ.get("CLOUDFLARED_FAILS"):
    print("ERR failed to request quick Tunnel: no such host", file=sys.stderr, flush=True)
    sys.exit(1)
with open(os.path.join(os.environ["HOME"], "agent.pid"), "w") as file:
    file.write(str(os.getpid()))
print("INF Requesting new quick Tunnel on trycloudflare.com...", file=sys.stderr, flush=True)
print("INF |  https://calm-river-stone.trycloudflare.com  |", file=sys.stderr, flush=True)
time.sleep(float(os.environ.get("CLOUDFLARED_LIVES", "300")))
"""


def install(folder: Path, **programs: str) -> str:
    """Write programs into a folder and return a PATH that has them and no other agent."""
    folder.mkdir(exist_ok=True)
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text)
        file = folder / name
        # The interpreter's path may hold a space, which a line with #! cannot.
        file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(folder / name))}.py "$@"\n')
        file.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"
