#!/usr/bin/env python3
# keeprolling - what the supervisor tells the outside
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real supervisor, mostly with the test double of tests/support/fake_worker.py as its workers:
what matters here is what systemd, people and scripts get to know, not media."""

import json
import os
import pty
import signal
import socket
import subprocess
import time

from fakes import Log, final_files, grows, records, recording_files, start, stop, write_file
from hook import Hook
from support import KEEPROLLING, check, environment, free_port, run, size, test


class Manager:
    """The service manager's end of the notification socket."""

    def __init__(self, t, name=None):
        self.name = str(name or t.dir / 'notify')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace('@', '\0', 1))
        self.socket.setblocking(False)
        self.lines = []

    def hears(self, start):
        """The newest line so far that begins so, and there may be none."""
        while True:
            try:
                self.lines += self.socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return next((line for line in reversed(self.lines) if line.startswith(start)), None)


@test
def systemd_is_told_once_something_records(t):
    manager = Manager(t)
    supervisor = start(t, write_file(t, plan='late:2'), NOTIFY_SOCKET=manager.name,
                       WATCHDOG_USEC=2000000)
    t.wait(lambda: manager.hears('STATUS=recording 0 of 1'), 'a status', alive=[supervisor])
    check(manager.hears('EXTEND_TIMEOUT_USEC='), manager.lines)
    check(not manager.hears('READY=1'), f'ready although nothing records: {manager.lines}')
    t.wait(lambda: manager.hears('READY=1'), 'ready', alive=[supervisor])
    check(Log(t, 'cam').rows(), 'the worker is there')
    t.wait(lambda: manager.lines.count('WATCHDOG=1') > 4 or manager.hears('x'), 'watchdog')
    t.wait(lambda: manager.hears('STATUS=recording 1 of 1'), 'the status is up to date')
    check(supervisor.stop() == 0, 'ends in good order')
    check(manager.hears('STOPPING=1'), manager.lines)
    at = manager.lines.index('STOPPING=1')
    check(manager.lines[at + 1].startswith('EXTEND_TIMEOUT_USEC='), manager.lines[at:])
    check(manager.lines.count('READY=1') == 1, manager.lines)


@test
def systemd_is_not_told_of_what_fails_at_once(t):
    """Without a growth monitor PLAYING is all that is known, and it is not enough."""
    source = 'videotestsrc is-live=true ! video/x-raw,width=16,height=16,framerate=30/1'
    bad, good = t.dir / 'bad.pipeline', t.dir / 'good.pipeline'
    bad.write_text(f'[Pipeline p]\nLaunch = {source} ! identity error-after=20 ! fakesink\n'
                   'RestartSec = 50ms\nRestartMaxSec = 50ms\nStartLimitBurst = 10000\n')
    good.write_text(f'[Pipeline p]\nLaunch = {source} ! fakesink\n')
    manager = Manager(t)
    supervisor = t.run_pipeline(bad, NOTIFY_SOCKET=manager.name)
    t.wait(lambda: supervisor.output().count('rebuilding') > 12, 'it fails and fails', limit=60,
           alive=[supervisor])
    check(manager.hears('STATUS=recording'), manager.lines)
    check(not manager.hears('READY=1'), manager.lines)
    supervisor.stop()
    supervisor = t.run_pipeline(good, NOTIFY_SOCKET=manager.name)
    t.wait(lambda: manager.hears('READY=1'), 'one that goes on counts', limit=60, alive=[supervisor])
    check(supervisor.stop() == 0, supervisor.output())


@test
def systemd_hears_of_trouble(t):
    """A source that is absent: not ready, but the watchdog is served all the same."""
    manager = Manager(t, f'@keeprolling-test-{os.getpid()}')
    supervisor = start(t, write_file(t, plan='absent'), NOTIFY_SOCKET=manager.name,
                       WATCHDOG_USEC=1000000, WATCHDOG_PID=1)
    t.wait(lambda: manager.hears('STATUS=recording 0 of 1; cam: source silent for'), 'trouble',
           alive=[supervisor])
    check(not manager.hears('READY=1'), manager.lines)
    check(not manager.hears('WATCHDOG=1'), 'another process is watched')
    supervisor.send(signal.SIGTERM)
    check(supervisor.wait() == 0, supervisor.output())


@test
def children_do_not_speak_to_systemd(t):
    manager = Manager(t)
    supervisor = start(t, write_file(t), NOTIFY_SOCKET=manager.name, WATCHDOG_USEC=9000000)
    pid = records(t, 'cam', 1)
    with open(f'/proc/{pid}/environ', 'rb') as file:
        names = [entry.partition(b'=')[0] for entry in file.read().split(b'\0')]
    check(b'KR_FAKE_DIR' in names, names)
    check(b'NOTIFY_SOCKET' not in names and b'WATCHDOG_USEC' not in names, names)
    supervisor.stop()


def kept(t):
    """Messages in the queues on the disk."""
    return [json.loads(line) for path in (t.dir / 'state').rglob('*.jsonl')
            for line in path.read_text().splitlines()]


@test
def webhook_names_the_reason(t):
    hook = Hook()
    supervisor = start(t, write_file(t, alerts=f'Webhook = {hook.uri}'))
    pid = records(t, 'cam', 1)
    os.kill(pid, signal.SIGKILL)
    message = t.wait(lambda: hook.first('restart'), 'a message', alive=[supervisor])
    check('killed by signal 9' in message['text'], message)
    check(message['text'].startswith('cam: '), message)
    check((message['file'], message['pipeline']) == ('cam', ''), message)
    check(message['details']['event'] == 'crash', message)
    check(set(message) == {'id', 'time', 'kind', 'file', 'pipeline', 'text', 'details'}, message)
    t.wait(lambda: [m for m in hook.requests if m['details']['event'] == 'recovered'],
           'the good news', alive=[supervisor])
    stop(t, supervisor)
    ids = [request['id'] for request in hook.requests]
    check(len(ids) == len(set(ids)), ids)
    check('T0PSECRET' not in supervisor.output(), 'the address is a secret')


@test
def dead_webhook_delays_nothing(t):
    """Nobody listens, and somebody who listens but says nothing: what they missed is told later,
    by the next run."""
    silent = socket.create_server(('127.0.0.1', 0))
    addresses = {'dead': f'http://127.0.0.1:{free_port(socket.SOCK_STREAM)}/T0PSECRET',
                 'deaf': f'http://127.0.0.1:{silent.getsockname()[1]}/T0PSECRET'}
    files = [write_file(t, name, alerts=f'Webhook = {uri}') for name, uri in addresses.items()]
    supervisor = start(t, *files)
    for name in addresses:
        os.kill(records(t, name, 1), signal.SIGKILL)
    for name in addresses:
        records(t, name, 2)
        grows(t, name)
        t.wait(lambda name=name: any(m['file'] == name and m['kind'] == 'restart' for m in kept(t)),
               'the message is kept')
    stop(t, supervisor)
    check('T0PSECRET' not in supervisor.output() + str(kept(t)), 'the address is a secret')

    hook = Hook()
    files = [write_file(t, name, alerts=f'Webhook = {hook.uri}') for name in addresses]
    supervisor = start(t, *files)
    for name in addresses:
        t.wait(lambda name=name: [m for m in hook.requests if m['file'] == name and
                                  m['details']['event'] == 'crash'], 'it is told after all')
    stop(t, supervisor)
    check(not [m for m in kept(t) if m['details']['event'] == 'crash'], kept(t))


@test
def queue_without_a_disk(t):
    """A state folder that cannot be made: the messages go out all the same."""
    hook = Hook()
    (t.dir / 'state-file').write_text('')
    supervisor = start(t, write_file(t, alerts=f'Webhook = {hook.uri}'),
                       STATE_DIRECTORY=t.dir / 'state-file')
    os.kill(records(t, 'cam', 1), signal.SIGKILL)
    t.wait(lambda: hook.first('restart'), 'a message', alive=[supervisor])
    records(t, 'cam', 2)
    stop(t, supervisor)
    check(supervisor.output().count('are kept in memory alone') == 1, supervisor.output())


def command(t, *words):
    """A command that asks the supervisors of this test: (exit status, stdout, stderr)."""
    done = subprocess.run([KEEPROLLING, *words, '--runtime-dir', t.dir / 'runtime'],
                          capture_output=True, text=True, timeout=60, check=False,
                          env=environment())
    return done.returncode, done.stdout, done.stderr


def healthy(t, *words):
    return t.wait(lambda: command(t, 'status', *words)[:2] if '✓ pass' in
                  command(t, 'status', *words)[1] else None, 'status tells that all is well')


@test
def status_shows_what_runs(t):
    code, _, errors = command(t, 'status')
    check(code == 69 and 'nothing runs' in errors, f'{code}: {errors}')
    cam1, cam2 = write_file(t, 'cam1'), write_file(t, 'cam2', plan='stalled ' * 9)
    supervisor = start(t, cam1, cam2)
    records(t, 'cam1', 1)
    code, table = healthy(t, 'cam1')
    check(code == 0 and 'cam1' in table and 'cam2' not in table, f'{code}: {table}')
    check('\033' not in table, 'no colors in a pipe')
    code, table, _ = t.wait(lambda: (command(t, 'status') if '✕ fail' in command(t, 'status')[1]
                                     else None), 'a failure shows', alive=[supervisor])
    check(code == 1 and 'not growing (no-growth)' in table, f'{code}: {table}')
    code, text, _ = command(t, 'status', '--json', str(cam1))
    status = json.loads(text)
    check(code == 0 and [p['file'] for p in status['pipelines']] == ['cam1'], text)
    check([f['name'] for f in status['files']] == ['cam1'], text)
    code, _, errors = command(t, 'status', 'cam3')
    check(code == 66 and 'did you mean' in errors, f'{code}: {errors}')
    code, _, errors = command(t, 'stop', 'cam3')
    check(code == 66 and not recording_files(t, 'cam3'), f'{code}: {errors}')
    supervisor.stop()
    check(not list((t.dir / 'runtime').iterdir()), 'no socket is left')


@test
def status_watches(t):
    """On a terminal in place, in a pipe one after the other; both live."""
    supervisor = start(t, write_file(t, 'cam1'))
    records(t, 'cam1', 1)
    healthy(t)
    words = [KEEPROLLING, 'status', '--watch', '--runtime-dir', t.dir / 'runtime']
    piped = t.spawn(words)
    t.wait(lambda: piped.output().count('✓ pass') >= 2, 'two tables', alive=[piped])
    check('\033' not in piped.output(), piped.output())
    check(piped.stop(signal.SIGINT) == 0, 'Ctrl-C ends it')

    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(environment(COLUMNS='', TERM='xterm'))
        os.execv(KEEPROLLING, [str(word) for word in words])
    shown = b''
    end = time.monotonic() + 30
    while shown.count(b'\033[H') < 3 and time.monotonic() < end:
        shown += os.read(terminal, 65536)
    os.kill(pid, signal.SIGINT)
    try:
        while rest := os.read(terminal, 65536):
            shown += rest
    except OSError:                             # the terminal's other end is closed
        pass
    _, status = os.waitpid(pid, 0)
    check(os.waitstatus_to_exitcode(status) == 0, status)
    check(shown.count(b'\033[H') >= 3 and '✓ pass'.encode() in shown, shown)
    check(shown.rstrip().endswith(b'\033[?25h'), 'the cursor is back')
    stop(t, supervisor)


@test
def stop_ends_one_file(t):
    supervisor = start(t, write_file(t, 'cam1'), write_file(t, 'cam2'))
    records(t, 'cam1', 1)
    records(t, 'cam2', 1)
    code, _, errors = command(t, 'stop', 'cam1')
    check(code == 0, f'{code}: {errors}')
    check(not recording_files(t, 'cam1') and len(final_files(t, 'cam1')) == 1, 'it is finished')
    path = t.dir / recording_files(t, 'cam2')[0]
    before = size(path)
    t.wait(lambda: size(path) > before, 'the other one goes on', alive=[supervisor])
    code, text, _ = command(t, 'status', 'cam1')
    check(code == 0, 'a file that was stopped is no failure')
    code, _, errors = command(t, 'stop')
    check(code == 0, f'{code}: {errors}')
    check(supervisor.wait() == 0, supervisor.output())
    check(not recording_files(t, 'cam2') and len(final_files(t, 'cam2')) == 1, 'it is finished')
    check('told to stop by keeprolling stop' in supervisor.output(), supervisor.output())


@test
def stop_tells_what_had_to_be_killed(t):
    supervisor = start(t, write_file(t, 'cam1', plan='deaf ok', more='TimeoutStopSec = 1s'),
                       write_file(t, 'cam2', plan='deaf', more='TimeoutStopSec = 1s'), write_file(t, 'cam3'))
    for name in ('cam1', 'cam2', 'cam3'):
        records(t, name, 1)
    code, out, errors = command(t, 'stop', 'cam3')
    check((code, out, errors) == (0, '', ''), f'{code}: {out}{errors}')
    code, _, errors = command(t, 'stop', 'cam1')
    check(code == 75 and 'cam1: its worker did not end in time and had to be killed' in errors, f'{code}: {errors}')
    check(not recording_files(t, 'cam1'), 'its file has its name all the same')
    files = {file['name']: file for file in json.loads(command(t, 'status', '--json')[1])['files']}
    check(files['cam1']['killed'] and not files['cam3']['killed'], files)
    code, _, errors = command(t, 'stop')
    check(code == 75 and 'cam2: its worker did not end' in errors and 'cam3' not in errors, f'{code}: {errors}')
    check(supervisor.wait() == 75, supervisor.output())
    check(not recording_files(t, 'cam2'), 'all have their names')


@test
def stop_whose_supervisor_dies(t):
    supervisor = start(t, write_file(t, 'cam1', plan='deaf'))
    pid = records(t, 'cam1', 1)
    asking = t.keeprolling('stop', '--runtime-dir', t.dir / 'runtime')
    t.wait(lambda: 'told to stop' in supervisor.output(), 'it is asked', alive=[supervisor])
    supervisor.send(signal.SIGKILL)
    check(asking.wait() == 75, asking.output())
    check('not known whether all was stopped' in asking.output(), asking.output())
    os.kill(pid, signal.SIGKILL)


@test
def two_supervisors_live_beside_each_other(t):
    first, second = start(t, write_file(t, 'cam1')), start(t, write_file(t, 'cam2'))
    records(t, 'cam1', 1)
    records(t, 'cam2', 1)
    t.wait(lambda: command(t, 'status')[1].count('✓ pass') == 2, 'both show',
           alive=[first, second])
    # One that is killed leaves its socket behind, and the next one takes it away.
    first.send(signal.SIGKILL)
    first.wait()
    t.wait(lambda: 'cam1' not in command(t, 'status')[1], 'it is gone')
    check(command(t, 'stop', '--no-wait', 'cam2')[0] == 0, 'the other one can be stopped')
    check(second.wait() == 0, second.output())
    third = start(t, write_file(t, 'cam3'))
    records(t, 'cam3', 1)
    t.wait(lambda: len(list((t.dir / 'runtime').iterdir())) == 1, 'one socket', alive=[third])
    stop(t, third)


@test
def no_socket_is_no_reason_not_to_record(t):
    (t.dir / 'file').write_text('')
    supervisor = start(t, write_file(t), RUNTIME_DIRECTORY=t.dir / 'file')
    records(t, 'cam', 1)
    check('no control socket' in supervisor.output(), supervisor.output())
    stop(t, supervisor)


@test(limit=120)
def slow_clients_delay_no_recording(t):
    """200 HTTP clients that say nothing, or ask byte by byte, and control clients that hang."""
    port = free_port(socket.SOCK_STREAM)
    supervisor = start(t, write_file(t), options=['--listen', f'127.0.0.1:{port}'])
    records(t, 'cam', 1)
    path = t.dir / recording_files(t)[0]
    clients = []
    for i in range(200):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(('127.0.0.1', port))
        clients.append(client)
    control = next((t.dir / 'runtime').glob('*.sock'))
    for _ in range(30):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        client.connect_ex(str(control))
        clients.append(client)
    longest = 0
    for step in range(40):
        for client in clients:
            try:
                client.send(b'GET /status HTTP/1.1\r\nX: '[step % 25:step % 25 + 1])
            except OSError:
                pass
        before, began = size(path), time.monotonic()
        t.wait(lambda before=before: size(path) > before, 'the file grows', alive=[supervisor])
        longest = max(longest, time.monotonic() - began)
    t.note(f'longest time without growth: {longest:.2f} s; it grows each 0.2 s')
    check('worker is gone' not in supervisor.output(), supervisor.output())
    for client in clients:
        client.close()
    healthy(t)
    stop(t, supervisor)


@test(limit=120)
def destination_that_answers_404(t):
    """Detected, named everywhere, repaired by a new worker, and the old one loses nothing."""
    hook, page = Hook(), Hook()
    supervisor = start(t, write_file(t, 'cam1', health=f'CheckURL = {page.uri}',
                                     alerts=f'Webhook = {hook.uri}'),
                       write_file(t, 'cam2'))
    records(t, 'cam1', 1)
    healthy(t, 'cam1')
    t.wait(lambda: len(page.requests) >= 3, 'it is asked again and again', alive=[supervisor])
    check(page.requests[0] == '/services/T0PSECRET', page.requests)
    page.status = 404
    message = t.wait(lambda: hook.first('replacement'), 'a replacement', alive=[supervisor])
    check('CheckURL answers 404' in message['text'], message)
    page.status = 200
    records(t, 'cam1', 2)
    t.wait(lambda: hook.first('handover'), 'the new one takes over', alive=[supervisor])
    status = json.loads(command(t, 'status', '--json', 'cam1')[1])
    check(any('CheckURL answers 404' in entry['reason'] for entry in status['history']), status)
    check('CheckURL answers 404' in supervisor.output(), supervisor.output())
    check(len(Log(t, 'cam2').starts()) == 1, 'the other file is left alone')
    stop(t, supervisor)
    check('T0PSECRET' not in supervisor.output(), 'the address is a secret')


@test
def check_that_fails_itself_is_no_fault(t):
    supervisor = start(t, write_file(t, health='CheckURL = http://no-such-name.invalid/live'))
    records(t, 'cam', 1)
    t.wait(lambda: 'CheckURL cannot be checked' in supervisor.output(), 'it is said',
           alive=[supervisor])
    code, _ = healthy(t)
    check(code == 0, code)
    time.sleep(5)                               # five verdicts, and it takes three bad ones
    check(len(Log(t, 'cam').starts()) == 1, supervisor.output())
    check(supervisor.output().count('CheckURL cannot be checked') == 1, supervisor.output())
    stop(t, supervisor)


run()
