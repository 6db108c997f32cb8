# keeprolling - a headless browser for tests
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The few calls of the W3C WebDriver protocol that the page's tests need, on chromedriver and
the standard library alone."""

import base64
import json
import shutil
import urllib.request

# A browser in a test talks to nobody but the page: no updates, no hints, no sync.
ARGUMENTS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync',
             '--disable-dev-shm-usage', '--hide-scrollbars']


def missing():
    """Why there can be no browser here, or None."""
    for name in ('chromedriver', 'chromium'):
        if shutil.which(name) is None:
            return f'{name} is not installed'
    return None


class Browser:
    """Owns nothing that outlives the Test: driver and browser are in its process group."""

    def __init__(self, t, port, size=(1200, 900)):
        self.base = f'http://127.0.0.1:{port}'
        self.process = t.spawn(['chromedriver', f'--port={port}', '--allowed-ips=127.0.0.1'])
        t.wait(self._is_ready, 'chromedriver answers', 30)
        options = {'binary': shutil.which('chromium'),
                   'args': ARGUMENTS + [f'--user-data-dir={t.dir}/browser',
                                        f'--window-size={size[0]},{size[1]}']}
        answer = self._call('POST', '/session', {
            'capabilities': {'alwaysMatch': {'goog:chromeOptions': options}}})
        self.session = f'/session/{answer["sessionId"]}'

    def _is_ready(self):
        try:
            return self._call('GET', '/status')['ready']
        except OSError:
            return False

    def _call(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)['value']

    def open(self, url):
        self._call('POST', f'{self.session}/url', {'url': url})

    def run(self, script):
        return self._call('POST', f'{self.session}/execute/sync', {'script': script, 'args': []})

    def text(self, selector):
        return self.run(f'const e = document.querySelector({json.dumps(selector)});'
                        f'return e ? e.innerText : null')

    def resize(self, width, height):
        self._call('POST', f'{self.session}/window/rect', {'width': width, 'height': height})

    def log(self):
        """What the browser complained about."""
        return self._call('POST', f'{self.session}/se/log', {'type': 'browser'})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._call('GET', f'{self.session}/screenshot')))

    def close(self):
        self._call('DELETE', self.session)
        self.process.stop()
