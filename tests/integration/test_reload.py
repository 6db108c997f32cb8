#!/usr/bin/env python3
# keeprolling - which worker lives when during a reload
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real supervisor with the test double of tests/support/fake_worker.py as its workers. What
matters to media is in test_handover.py."""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from fakes import FAKE, Log, alive, final_files, recording_files, records, start, stop, write_file
from support import KEEPROLLING, Skip, check, environment, free_port, run, test


class Reload(threading.Thread):
    """`keeprolling reload`, under way."""

    def __init__(self, t, *words, runtime=None):
        super().__init__(daemon=True)
        self.t, self.words, self.runtime = t, words, runtime or t.dir / 'runtime'
        self.start()

    def run(self):
        began = time.monotonic()
        done = subprocess.run([KEEPROLLING, 'reload', '--runtime-dir', self.runtime, *self.words],
                              capture_output=True, text=True, env=environment(), check=False)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.took = time.monotonic() - began

    def end(self, code=None):
        self.join(120)
        check(not self.is_alive(), 'reload comes to its end')
        if code is not None:
            check(self.code == code, f'reload ended with {self.code}, not {code}:\n{self.err}')
        check(not self.out, f'silent in a pipe: {self.out}')
        return self


def reload(t, *words, code=0, **options):
    return Reload(t, *words, **options).end(code)


def change(path, comment='changed'):
    path.write_text(f'# {comment}\n' + path.read_text())


def status(t):
    """What the supervisor says of its files, by name."""
    done = subprocess.run([KEEPROLLING, 'status', '--json', '--runtime-dir', t.dir / 'runtime'],
                          capture_output=True, text=True, env=environment(), check=False)
    return {file['name']: file for file in json.loads(done.stdout or '{"files":[]}')['files']}


def running(t, name='cam', n=1):
    """Pid of the n-th worker once the supervisor knows that it records."""
    pid = records(t, name, n)
    t.wait(lambda: any(worker['pid'] == pid and worker['ready'] for worker in
                       status(t).get(name, {'workers': []})['workers']), f'{name} is ready')
    return pid


def said(t, supervisor, text):
    t.wait(lambda: text in supervisor.output(), f'the log says "{text}"', limit=30)


@test
def changed_file_is_taken_over(t):
    path = write_file(t)
    supervisor = start(t, path)
    old = running(t)
    change(path)
    took = reload(t)
    log = Log(t, 'cam')
    new = log.starts()[1][0]
    check(len(log.starts()) == 2 and alive(new) and not alive(old), log.rows())
    ended = next(at for pid, at, word in log.rows() if pid == old and word == 'finish')
    t.note(f'{took.took:.1f} s; both were there for {ended - log.starts()[1][1]:.1f} s')
    check(ended - log.starts()[1][1] > 2, 'both record for 2 s at least')
    check(len(final_files(t)) == 1, 'the old file has its name when reload returns')
    check('handed over within' in supervisor.output(), supervisor.output())
    stop(t, supervisor)


@test
def unchanged_file_is_left_alone(t):
    path = write_file(t)
    supervisor = start(t, path)
    running(t)
    os.utime(path)
    for words in [], ['cam'], [path]:
        reload(t, *words)
    check(len(Log(t, 'cam').starts()) == 1, 'the worker is the same')
    reload(t, '--all')
    check(len(Log(t, 'cam').starts()) == 2, 'unless --all is given')
    stop(t, supervisor)


@test
def file_with_fewer_pipelines(t):
    """The new worker is looked at by its own file, the old one by its own."""
    path = write_file(t)
    few = path.read_text()
    path.write_text(few + ''.join(f'[Pipeline more{i}]\nLaunch = fakesrc ! fakesink\n'
                                  for i in range(64)))
    supervisor = start(t, path)
    running(t)
    path.write_text(few)
    reload(t)
    check(len(Log(t, 'cam').starts()) == 2, Log(t, 'cam').rows())
    check(alive(running(t, n=2)), 'the new one counts as ready')
    stop(t, supervisor)


@test
def signal_takes_over_what_changed(t):
    paths = [write_file(t, name) for name in ('one', 'two')]
    supervisor = start(t, *paths)
    for name in 'one', 'two':
        running(t, name)
    change(paths[0])
    supervisor.send(signal.SIGHUP)
    supervisor.send(signal.SIGHUP)
    said(t, supervisor, 'SIGHUP: done')
    supervisor.send(signal.SIGHUP)
    said(t, supervisor, 'SIGHUP: nothing has changed')
    check(len(Log(t, 'one').starts()) == 2, 'one was taken over, once')
    check(len(Log(t, 'two').starts()) == 1, 'two was left alone')
    stop(t, supervisor)


@test
def bad_file_changes_nothing(t):
    paths = [write_file(t, name) for name in ('one', 'two')]
    supervisor = start(t, *paths)
    for name in 'one', 'two':
        running(t, name)
    good = paths[1].read_text()
    change(paths[0])
    paths[1].write_text(good.replace('fakesink', 'fakesinck') + '[Nonsense]\n')
    done = reload(t, code=65)
    check(f'{paths[1]}:2:' in done.err and 'fakesinck' in done.err, 'the place and the word')
    check('Nonsense' in done.err, 'and all that is wrong at once')
    check('nothing was changed' in done.err, done.err)
    check(len(Log(t, 'one').starts()) == 1, 'not even the file that is right')
    check('two: warning: refused: ' in supervisor.output(), supervisor.output())
    reload(t, 'one')
    check(len(Log(t, 'one').starts()) == 2, 'unless it is meant alone')
    paths[1].write_text(good)
    reload(t)
    check(len(Log(t, 'two').starts()) == 1, 'as it was is no change')
    stop(t, supervisor)


@test
def missing_file(t):
    path = write_file(t)
    supervisor = start(t, path)
    running(t)
    path.unlink()
    done = reload(t, code=66)
    check('there is no file' in done.err, done.err)
    done = reload(t, 'nobody', code=66)
    check(len(Log(t, 'cam').starts()) == 1, 'the worker goes on')
    stop(t, supervisor)


@test
def nothing_runs(t):
    (t.dir / 'runtime').mkdir()
    done = reload(t, code=69)
    check('nothing runs' in done.err, done.err)


@test
def dead_source_rolls_back(t):
    path = write_file(t, plan='ok absent ok')
    supervisor = start(t, path)
    old = running(t)
    change(path)
    done = reload(t, code=75)
    log = Log(t, 'cam')
    check(alive(old) and not alive(log.starts()[1][0]), 'the old one goes on')
    check('finish' in log.words(log.starts()[1][0]), 'the new one ended in good order')
    for words in 'rolled back', 'nothing comes from its source', 'keeprolling reload --restart cam':
        check(words in done.err, f'it says "{words}": {done.err}')
    # It was no change: the file still differs from what runs.
    reload(t)
    check(len(log.starts()) == 3 and not alive(old), 'the next time it is taken over')
    stop(t, supervisor)


def rolled_back(t, plan, words, code=75):
    path = write_file(t, plan=plan)
    path.write_text(path.read_text().replace('TimeoutReadySec = 10s', 'TimeoutReadySec = 3s'))
    supervisor = start(t, path)
    old = running(t)
    change(path)
    done = reload(t, code=code)
    check(words in done.err, f'it says "{words}": {done.err}')
    check(alive(old), 'the old one goes on')
    check(len(Log(t, 'cam').starts()) == 2, 'and nobody else was started')
    stop(t, supervisor)


@test
def worker_that_exits_rolls_back(t):
    rolled_back(t, 'ok exit:70', 'exited with status 70')


@test
def worker_that_crashes_rolls_back(t):
    rolled_back(t, 'ok crash:0.3', 'killed by signal 11')


@test
def worker_that_fails_rolls_back(t):
    rolled_back(t, 'ok failed', '10 errors within 60 s')


@test
def worker_that_stalls_rolls_back(t):
    rolled_back(t, 'ok stalled', 'not growing (no-growth)')


@test
def worker_without_a_word_rolls_back(t):
    rolled_back(t, 'ok no-hello', 'no report yet')


@test
def slow_worker_is_waited_for(t):
    path = write_file(t, plan='ok late:4')
    supervisor = start(t, path)
    old = running(t)
    change(path)
    reload(t)
    check(not alive(old), 'taken over')
    stop(t, supervisor)


@test
def in_turn(t):
    path = write_file(t, plan='ok ok')
    supervisor = start(t, path)
    old = running(t)
    change(path)
    reload(t, '--restart')
    log = Log(t, 'cam')
    finish = next(at for pid, at, word in log.rows() if pid == old and word == 'finish')
    check(finish < log.starts()[1][1], f'one after the other: {log.rows()}')
    t.note(f'{log.starts()[1][1] - finish:.2f} s between them')
    check('nothing was recorded for' in supervisor.output(), supervisor.output())
    stop(t, supervisor)


@test
def killed_new_worker(t):
    path = write_file(t, plan='ok late:60')
    supervisor = start(t, path)
    old = running(t)
    change(path)
    under_way = Reload(t)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'the new worker')
    os.kill(log.starts()[1][0], signal.SIGKILL)
    done = under_way.end(75)
    check('killed by signal 9' in done.err, done.err)
    check(alive(old), 'the old one goes on')
    stop(t, supervisor)


@test
def killed_old_worker(t):
    path = write_file(t, plan='ok late:2')
    supervisor = start(t, path)
    old = running(t)
    change(path)
    under_way = Reload(t)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'the new worker')
    os.kill(old, signal.SIGKILL)
    under_way.end(0)
    check(alive(log.starts()[1][0]) and len(log.starts()) == 2, 'the new one takes its place')
    t.wait(lambda: len(recording_files(t)) == 1, 'the leftover gets its name')
    stop(t, supervisor)


@test
def killed_old_worker_at_its_end(t):
    path = write_file(t, plan='deaf ok')
    supervisor = start(t, path)
    old = running(t)
    change(path)
    under_way = Reload(t)
    t.wait(lambda: 'stop' in Log(t, 'cam').words(old), 'the old one is told to end', limit=40)
    os.kill(old, signal.SIGKILL)
    under_way.end(0)
    t.wait(lambda: len(recording_files(t)) == 1, 'the leftover gets its name')
    stop(t, supervisor)


@test
def deaf_old_worker_is_killed(t):
    path = write_file(t, plan='deaf ok')
    path.write_text(path.read_text().replace('[Handover]', '[Handover]\nTimeoutStopSec = 2s'))
    supervisor = start(t, path)
    old = running(t)
    change(path)
    reload(t)
    check(not alive(old), 'it is gone')
    t.wait(lambda: len(recording_files(t)) == 1, 'its file gets its name')
    stop(t, supervisor)


@test
def stop_during_a_reload(t):
    path = write_file(t, plan='ok late:60')
    supervisor = start(t, path)
    running(t)
    change(path)
    under_way = Reload(t)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'the new worker')
    stop(t, supervisor)
    done = under_way.end(75)
    check('being stopped' in done.err or 'ended' in done.err, done.err)
    check(not any(alive(row[0]) for row in log.starts()), 'all are gone')
    check(not recording_files(t), 'all files have their names')


@test
def stop_of_one_file_during_its_reload(t):
    path = write_file(t, plan='ok late:60 ok')
    other = write_file(t, 'other')
    supervisor = start(t, path, other)
    running(t)
    change(path)
    under_way = Reload(t)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'the new worker')
    done = subprocess.run([KEEPROLLING, 'stop', '--runtime-dir', t.dir / 'runtime', 'cam'],
                          env=environment(), check=False)
    check(done.returncode == 0, 'stop')
    under_way.end(75)
    check(not any(alive(row[0]) for row in log.starts()), 'both are gone')
    reload(t)
    check(len(log.starts()) == 2, 'what somebody has stopped stays so')
    reload(t, 'cam')
    check(len(log.starts()) == 3 and alive(log.starts()[2][0]), 'by its name it is started')
    stop(t, supervisor)


@test
def reload_during_a_reload(t):
    path = write_file(t, plan='ok late:3 ok')
    supervisor = start(t, path)
    running(t)
    change(path)
    first = Reload(t)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'the new worker')
    change(path, 'once more')
    second = Reload(t)
    first.end(0)
    second.end(0)
    check(len(log.starts()) == 3, 'the second change is taken over after the first')
    stop(t, supervisor)


@test
def client_that_leaves(t):
    """Ctrl-C ends the waiting, not the reload."""
    path = write_file(t, plan='ok late:2')
    supervisor = start(t, path)
    old = running(t)
    change(path)
    client = t.keeprolling('reload', '--runtime-dir', t.dir / 'runtime')
    t.wait(lambda: len(Log(t, 'cam').starts()) == 2, 'the new worker')
    client.kill()
    said(t, supervisor, 'keeprolling reload: done')
    check(not alive(old), 'taken over')
    stop(t, supervisor)


@test
def while_the_watchdog_replaces(t):
    path = write_file(t, plan='hungry:150 late:3 ok', health='MemoryMax = 100M')
    supervisor = start(t, path)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'the watchdog starts a second worker', limit=60)
    change(path)
    reload(t)
    starts = [row[0] for row in log.starts()]
    check(len(starts) == 3 and [alive(pid) for pid in starts] == [False, False, True],
          f'the watchdog first, then the reload: {log.rows()}')
    stop(t, supervisor)


@test
def out_of_a_backoff(t):
    path = write_file(t, plan='stillborn:0.1 ' * 9)
    supervisor = start(t, path)
    log = Log(t, 'cam')
    said(t, supervisor, 'the next one starts in 4.0 s')
    n = len(log.starts())
    (t.dir / 'cam.plan').write_text('')
    change(path)
    done = reload(t)
    t.note(f'{done.took:.1f} s')
    check(len(log.starts()) == n + 1, f'started at once: {log.rows()}')
    stop(t, supervisor)


@test
def worker_that_gave_up(t):
    path = write_file(t, plan='exit:65 ok')
    write_file(t, 'other')
    supervisor = start(t, path, t.dir / 'other.pipeline')
    said(t, supervisor, 'starting it again cannot help')
    reload(t)
    log = Log(t, 'cam')
    check(len(log.starts()) == 1, 'not without a change')
    change(path)
    reload(t)
    check(len(log.starts()) == 2 and alive(log.starts()[1][0]), 'the mended file runs')
    stop(t, supervisor)


@test
def files_come_and_go(t):
    folder = t.dir / 'cams'
    folder.mkdir()
    for name in 'one', 'two':
        write_file(t, name).rename(folder / f'{name}.pipeline')
    supervisor = start(t, folder)
    for name in 'one', 'two':
        running(t, name)
    (folder / 'one.pipeline').unlink()
    write_file(t, 'three').rename(folder / 'three.pipeline')
    reload(t)
    check('finish' in Log(t, 'one').words(Log(t, 'one').starts()[0][0]), 'one has ended')
    check(len(Log(t, 'two').starts()) == 1, 'two was left alone')
    check(alive(Log(t, 'three').starts()[0][0]), 'three runs')
    check(set(status(t)) == {'two', 'three'}, 'and status knows')
    for path in folder.iterdir():
        path.unlink()
    reload(t, code=66)
    check(len(Log(t, 'two').starts()) == 1, 'an empty folder is a mistake: all go on')
    write_file(t, 'two').rename(folder / 'two.pipeline')
    write_file(t, 'one').rename(folder / 'one.pipeline')
    reload(t)
    check(len(Log(t, 'one').starts()) == 2, 'one is back')
    stop(t, supervisor)


@test
def shows_progress_on_a_terminal(t):
    path = write_file(t, plan='ok late:2')
    supervisor = start(t, path)
    running(t)
    change(path)
    terminal, inner = os.openpty()
    done = subprocess.Popen([KEEPROLLING, 'reload', '--runtime-dir', t.dir / 'runtime'],
                            stdout=inner, stderr=inner, env=environment())
    os.close(inner)
    shown = b''
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass                                        # it has ended
    check(done.wait() == 0, shown)
    text = shown.decode()
    for words in 'cam: the file has changed', 'does not record yet', 'cam: both workers record', \
            'cam: handed over within':
        check(words in text, f'it shows "{words}": {text}')
    check(text.count('both workers record') == 1, 'the same is said once')
    stop(t, supervisor)


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@test
def people_are_told(t):
    """By webhook, by metrics and by the status, with the same words."""
    if 'webhook' not in subprocess.run(['strings', KEEPROLLING], capture_output=True, text=True,
                                       check=False).stdout:
        raise Skip('built without HTTP')
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Endpoint)
    server.got = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port(socket.SOCK_STREAM)
    path = write_file(t, plan='ok exit:70 ok',
                      alerts=f'Webhook = http://127.0.0.1:{server.server_port}/')
    supervisor = start(t, path, options=['--listen', f'127.0.0.1:{port}'])
    running(t)
    change(path)
    reload(t, code=75)
    reload(t)
    good = path.read_text()
    path.write_text(good + '[Nonsense]\n')
    reload(t, code=65)
    got = lambda: [message for message in server.got if message['kind'] == 'handover']
    t.wait(lambda: len(got()) >= 3, 'three messages')
    told = [(message['kind'], message['details']['event'], message['details']['result'])
            for message in got()]
    check(told == [('handover', 'handover-failed', 'rolled-back'),
                   ('handover', 'handover', 'completed'),
                   ('handover', 'handover-failed', 'refused')], told)
    check('exited with status 70' in got()[0]['text'], got()[0])
    check(f'{path}:' in got()[2]['text'] and 'Nonsense' in got()[2]['text'], got()[2])
    def metrics():
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=30) as answer:
            return answer.read().decode()

    for result, count in {'refused': 1, 'completed': 1, 'rolled-back': 1, 'not-recording': 0,
                          'interrupted': 0}.items():
        t.wait(lambda: f'keeprolling_handovers_total{{file="cam",result="{result}"}} {count}\n' in
               metrics(), f'the metrics count {result}')
    overlap = float(re.search(r'handover_overlap_seconds{file="cam"} (\S+)', metrics()).group(1))
    handovers = status(t)['cam']['handovers']
    t.note(f'overlap: {overlap:.2f} s')
    check(1 < overlap < 20 and abs(handovers['last_overlap_s'] - overlap) < 0.01, handovers)
    check(handovers['stage'] is None and handovers['last_result'] == 'refused', handovers)
    server.shutdown()
    stop(t, supervisor)


@test
def service_manager_is_told(t):
    path = write_file(t, plan='ok late:2')
    address = str(t.dir / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(30)
        supervisor = start(t, path, NOTIFY_SOCKET=address)

        def hear(word):
            while True:
                lines = manager.recv(65536).decode().split('\n')
                if word in lines:
                    return lines
        hear('READY=1')
        change(path)
        supervisor.send(signal.SIGHUP)
        lines = hear('RELOADING=1')
        moments = [line for line in lines if line.startswith('MONOTONIC_USEC=')]
        check(len(moments) == 1, lines)
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        check(abs(now - int(moments[0].split('=')[1])) < 60e6, 'the clock is the monotonic one')
        hear('READY=1')
        said(t, supervisor, 'SIGHUP: done')
        stop(t, supervisor)


# --- a new program ---------------------------------------------------------------------------

class Program:
    """A copy of the program that can be replaced, as an update does it."""

    def __init__(self, t):
        self.path = t.dir / 'bin' / 'keeprolling'
        self.path.parent.mkdir()
        self.install(KEEPROLLING.read_bytes())

    def install(self, content):
        new = self.path.with_suffix('.new')
        new.write_bytes(content)
        new.chmod(0o755)
        new.rename(self.path)

    def run(self, t, *files, options=(), **env):
        for name in 'runtime', 'state':
            (t.dir / name).mkdir(exist_ok=True)
        return t.spawn([self.path, 'run', '--listen=127.0.0.1:0', *options, *files], **{
            'RUNTIME_DIRECTORY': t.dir / 'runtime', 'STATE_DIRECTORY': t.dir / 'state',
            'KEEPROLLING_WORKER': FAKE, 'KR_FAKE_DIR': t.dir, **env})


def image(pid):
    """Which file a process executes."""
    status = os.stat(f'/proc/{pid}/exe')
    return status.st_dev, status.st_ino


@test
def new_program_keeps_the_workers(t):
    program = Program(t)
    paths = [write_file(t, name) for name in ('one', 'two')]
    text = paths[0].read_text().replace('[Pipeline record]', '[Variables]\nPASSPHRASE = x\n[Pipeline record]') \
        .replace('fakesrc !', 'fakesrc name=${PASSPHRASE} !')
    paths[0].write_text(text)
    supervisor = program.run(t, *paths, options=['--set', 'PASSPHRASE=very-secret'])
    workers = {name: running(t, name) for name in ('one', 'two')}
    before = image(supervisor.pid)
    program.install(KEEPROLLING.read_bytes())
    # As long as nobody asks for it nothing happens; then the supervisor comes first.
    reload(t, 'two')
    check(image(supervisor.pid) != before, 'another program runs under the same number')
    check(supervisor.running(), 'it is the same process')
    check(alive(workers['one']) and len(Log(t, 'one').starts()) == 1, 'its worker has not noticed')
    check(not alive(workers['two']) and len(Log(t, 'two').starts()) == 2, 'two was handed over')
    check('goes on as version' in supervisor.output(), supervisor.output())
    command = open(f'/proc/{supervisor.pid}/cmdline', 'rb').read()
    check(b'very-secret' not in command, command)
    opened = os.listdir(f'/proc/{supervisor.pid}/fd')
    memory = [fd for fd in opened if 'memfd' in os.readlink(f'/proc/{supervisor.pid}/fd/{fd}')]
    check(not memory, 'nothing of the state is left')
    # It supervises what it has taken over, and its children inherit no line of others.
    os.kill(workers['one'], signal.SIGKILL)
    t.wait(lambda: len(Log(t, 'one').starts()) == 2, 'one is started again')
    said(t, supervisor, 'records again')
    # Unchanged now: nothing more to take over.
    reload(t)
    check(len(Log(t, 'two').starts()) == 2, 'and two is left alone')
    stop(t, supervisor)
    check(not recording_files(t, 'one') and not recording_files(t, 'two'), 'all have their names')


@test
def new_program_by_signal(t):
    program = Program(t)
    path = write_file(t)
    supervisor = program.run(t, path)
    old = running(t)
    before = image(supervisor.pid)
    program.install(KEEPROLLING.read_bytes())
    supervisor.send(signal.SIGHUP)
    t.wait(lambda: image(supervisor.pid) != before, 'it becomes the new program')
    said(t, supervisor, 'SIGHUP: done')
    check(not alive(old) and len(Log(t, 'cam').starts()) == 2, 'all are handed over')
    stop(t, supervisor)


@test
def new_program_that_does_not_work(t):
    program = Program(t)
    path = write_file(t)
    supervisor = program.run(t, path)
    running(t)
    before = image(supervisor.pid)
    for content in (b'#!/bin/sh\necho broken >&2; exit 1\n', b'#!/bin/sh\nkill -SEGV $$\n',
                    b'\x7fELF nonsense'):
        program.install(content)
        done = reload(t, code=75)
        check('the new program is not taken over' in done.err, done.err)
        check(image(supervisor.pid) == before, 'the one that runs goes on')
    check('(broken)' in supervisor.output(), supervisor.output())
    # What the trial says is not what happens: the execution itself fails.
    program.install(b'#!/bin/sh\nchmod 0 "$0" && mv "$0" "$0.gone"\n')
    change(path)
    reload(t, code=70)                              # nor can it check anything
    check('cannot be executed' in supervisor.output(), supervisor.output())
    check(image(supervisor.pid) == before and len(Log(t, 'cam').starts()) == 1, 'all goes on')
    program.install(KEEPROLLING.read_bytes())
    reload(t)
    check(image(supervisor.pid) != before, 'a good one is taken over')
    check(len(Log(t, 'cam').starts()) == 2, 'and the file with it')
    stop(t, supervisor)


@test
def new_program_without_its_token(t):
    """Somebody has removed what the page needs: the workers must not suffer from that."""
    program = Program(t)
    path, token = write_file(t), t.dir / 'token'
    token.write_text('0123456789abcdef0123456789abcdef\n')
    token.chmod(0o600)
    supervisor = program.run(t, path, options=['--token-file', token])
    pid = running(t)
    before = image(supervisor.pid)
    token.unlink()
    program.install(KEEPROLLING.read_bytes())
    supervisor.send(signal.SIGHUP)
    t.wait(lambda: image(supervisor.pid) != before, 'it becomes the new program')
    said(t, supervisor, 'SIGHUP: done')
    check(supervisor.running(), supervisor.output())
    check(not alive(pid) and len(Log(t, 'cam').starts()) == 2, 'handed over')
    check('no status page' in supervisor.output(), supervisor.output())
    stop(t, supervisor)


@test
def new_program_while_nothing_records(t):
    """What the service manager was told once holds: else it waits for a source to come back."""
    program = Program(t)
    path = write_file(t, plan='ok absent absent')
    address = str(t.dir / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(30)

        def hear(word):
            while word not in manager.recv(65536).decode().split('\n'):
                pass
        supervisor = program.run(t, path, NOTIFY_SOCKET=address)
        hear('READY=1')
        os.kill(running(t), signal.SIGKILL)
        t.wait(lambda: len(Log(t, 'cam').starts()) == 2, 'its source is absent now')
        program.install(KEEPROLLING.read_bytes())
        under_way = Reload(t)
        hear('RELOADING=1')
        hear('READY=1')
        under_way.end()
        stop(t, supervisor)


@test
def new_program_that_cannot_read_what_was_left(t):
    """Not even with the hidden values of --set in the place of the true ones."""
    path = write_file(t)
    path.write_text('[Variables]\nA = x\n' + path.read_text())
    for n, (options, code) in enumerate((([], None), (['--set', 'A=y'], None), (['--set', 'A=***'], 70)), 1):
        with open(os.devnull, 'rb') as state:
            done = subprocess.Popen(
                [KEEPROLLING, 'run', '--listen=none', *options, path], stdin=state,
                stdout=subprocess.DEVNULL, stderr=open(t.dir / 'log', 'wb'),
                env=environment(KEEPROLLING_RESUME_FD=0, RUNTIME_DIRECTORY=t.dir, KR_FAKE_DIR=t.dir,
                                STATE_DIRECTORY=t.dir, KEEPROLLING_WORKER=FAKE))
        try:
            if code is None:
                records(t, 'cam', n)
                done.terminate()
            check(done.wait(30) == (code or 0), (t.dir / 'log').read_text())
        finally:
            if done.poll() is None:
                done.kill()
    check('must start it again' in (t.dir / 'log').read_text(), 'it says so')
    check(len(Log(t, 'cam').starts()) == 2, 'nothing was started with them')


@test
def stop_while_the_program_changes(t):
    program = Program(t)
    path = write_file(t)
    supervisor = program.run(t, path)
    pid = running(t)
    program.install(b'#!/bin/sh\nsleep 2\nexit 1\n')
    under_way = Reload(t)
    said(t, supervisor, 'trying that one')
    stop(t, supervisor)
    under_way.end(75)
    check('finish' in Log(t, 'cam').words(pid), 'the file is finished')


run()
