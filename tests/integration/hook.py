# keeprolling - somebody who is told, or asked, over HTTP
# SPDX-License-Identifier: LGPL-2.1-or-later

import http.server
import json
import threading


class Hook:
    """An endpoint for webhooks, or anything else that is asked over HTTP."""

    def __init__(self, status=200):
        self.requests = []                      # bodies, or paths of GET requests
        self.status = status
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers['Content-Length'])
                hook.requests.append(json.loads(self.rfile.read(length)))
                self.answer()

            def do_GET(self):
                hook.requests.append(self.path)
                self.answer()

            def answer(self):
                self.send_response(hook.status)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.uri = f'http://127.0.0.1:{self.server.server_port}/services/T0PSECRET'
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def first(self, kind):
        return next((request for request in list(self.requests) if request['kind'] == kind), None)
