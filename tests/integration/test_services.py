#!/usr/bin/env python3
# keeprolling - what the supervisor tells the outside
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real supervisor, mostly with the test double of tests/support/fake_worker.py as its workers:
what matters here is what systemd, people and scripts get to know, not media."""

import os
import signal
import socket

from fakes import Log, records, start, write_file
from support import check, run, test


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


run()
