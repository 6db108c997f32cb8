#!/usr/bin/env python3
# keeprolling - docs/status-api.md says what the status server does, no more and no less
# SPDX-License-Identifier: LGPL-2.1-or-later

import json
import os
import re
import signal
import socket
import urllib.error
import urllib.request

from fakes import records, start, stop, write_file
from support import SOURCE, check, free_port, run, test

PAGE = SOURCE / 'docs' / 'status-api.md'


def get(port, path):
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}', timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def members(value, path=''):
    """The paths of all members, as the page writes them."""
    if isinstance(value, list):
        for element in value:
            yield from members(element, f'{path}[]')
    if isinstance(value, dict):
        for name, element in value.items():
            if path.endswith('.checks'):
                yield from members(element, f'{path}.*')
            elif path.endswith(('.discontinuities', '.counts')):
                yield f'{path}.*'
            else:
                inner = f'{path}.{name}' if path else name
                yield inner
                yield from members(element, inner)


@test(limit=120)
def every_member_is_described(t):
    """Two workers, of which one is stalled and one was killed, show all members there are."""
    port = free_port(socket.SOCK_STREAM)
    supervisor = start(t, write_file(t, 'cam1'), write_file(t, 'cam2', plan='stalled ' * 9),
                       options=['--listen', f'127.0.0.1:{port}'])
    os.kill(records(t, 'cam1', 1), signal.SIGKILL)
    seen = {'/health': set(), '/status': set()}

    told = {path: word == 'yes' for path, word in
            re.findall(r'^\| `([^`]+)` \| (yes|no) \|', PAGE.read_text(), re.M)}
    check(len(told) > 70, f'only {len(told)} members are told')
    in_health = {path for path, is_there in told.items() if is_there}

    def look():
        for path, found in seen.items():
            found.update(members(json.loads(get(port, path)[1])))
        return set(told) <= seen['/status'] and in_health <= seen['/health']

    try:
        t.wait(look, 'all members show', alive=[supervisor])
    except AssertionError:
        check(False, f'told, but never there: {sorted(set(told) - seen["/status"])}, '
                     f'of /health {sorted(in_health - seen["/health"])}')
    check(seen['/status'] <= set(told), f'not told: {sorted(seen["/status"] - set(told))}')
    check(seen['/health'] == in_health, f'/health: {sorted(seen["/health"] ^ in_health)}')
    status = json.loads(get(port, '/status')[1])
    for name in status['pipelines'][0]['checks']:
        check(f'`{name}`' in PAGE.read_text(), f'the check {name} is not told')
    stop(t, supervisor)


@test
def every_path_is_described(t):
    source = (SOURCE / 'launcher' / 'services' / 'status-server.c').read_text()
    routes = set(re.findall(r'^    \{"(/[^"]*)", serve_', source, re.M))
    rows = re.findall(r'^\| (`/.*?) \| .*? \| (\d{3}.*) \|$', PAGE.read_text(), re.M)
    told = {path: [int(code) for code in re.findall(r'\b\d{3}\b', codes)]
            for paths, codes in rows for path in re.findall(r'`([^`]+)`', paths)}
    check(routes == set(told), f'{routes ^ set(told)}')
    port = free_port(socket.SOCK_STREAM)
    supervisor = start(t, write_file(t), options=['--listen', f'127.0.0.1:{port}'])
    records(t, 'cam', 1)
    for path in sorted(told):
        if path != '/events':                   # without an end
            code, _ = get(port, path)
            check(code in told[path], f'{path} gives {code}')
    check(get(port, '/no-such-thing')[0] == 404, 'another path')
    stop(t, supervisor)


@test
def every_state_is_described(t):
    text = PAGE.read_text()
    for name, member in (('report.c', 'pipelines[].state'), ('supervisor-edges.c', 'files[].state')):
        source = (SOURCE / 'launcher' / 'core' / name).read_text()
        table = re.search(r'\bstate_names\[\] = \{(.*?)\};', source, re.S)[1]
        states = re.findall(r'"([^"]+)"', table)
        check(len(states) >= 8, states)
        row = re.search(rf'^\| `{re.escape(member)}` .*$', text, re.M)[0]
        told = re.findall(r'`([^`]+)`', row)[1:]
        check(told == states, f'{member}: {told} != {states}')


run()
