#!/usr/bin/env python3
# keeprolling - real recordings whose workers crash, hang, leak and are killed
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real workers record feeds over UDP as they are, so that the stamps in the files are those of the
feed: what is missing between two files is what the fault has cost. The feeds are broadcast on the
loopback interface, since two workers that overlap must both hear them. Beside each faulty recording
another one runs that must not notice anything.

Each fault is to be repaired within Threshold x IntervalSec, 3 s here, and the time to the next
keyframe. What the machine adds by keeping everybody waiting is measured, and allowed for."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request
from datetime import datetime

from hook import Hook
from support import (BUILD, KEEPROLLING, Failed, check, children, clip, environment, free_port, growing,
                     packets, run, size, test)

FRAME = 0.04                # of the clip
KEYFRAME = 1                # between two of them
WHOLE = 3                   # Threshold x IntervalSec
ADDRESS = '127.255.255.255'
PIPELINE = '''[Pipeline record]
Launch = udpsrc address={address} port={port} buffer-size=2000000
  ! {middle}
  ! growthmonitorsink stall-timeout=2000000000 sink="atomicfilesink location={out}/{{instance}}_{{seq}}.ts flush-interval=200000000"
RestartSec = 50ms
{more}

[Health]
IntervalSec = 1s
Threshold = 3
StartupGraceSec = 3s
{health}

[Handover]
TimeoutReadySec = 8s

[Alerts]
{alerts}
'''


def trouble_environment():
    return {'GST_PLUGIN_PATH': f'{BUILD / "plugins"}:{BUILD / "tests/support/trouble"}',
            'GST_REGISTRY': BUILD / 'trouble-registry.bin'}


class Machine:
    """How long this machine keeps a thread waiting that only wants to look at the clock."""

    def __init__(self):
        self.late = 0
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            before = time.monotonic()
            time.sleep(0.01)
            self.late += max(0, time.monotonic() - before - 0.03)


MACHINE = Machine()


class Recording:
    """A feed and the pipeline file that records it."""

    def __init__(self, t, name, *, trouble='', more='', health='', alerts='', middle='krtrouble {trouble}'):
        self.t, self.name, self.port = t, name, free_port()
        self.out = t.dir / name
        self.out.mkdir()
        self.path = t.dir / f'{name}.pipeline'
        self.path.write_text(PIPELINE.format(port=self.port, address=ADDRESS, out=self.out, more=more,
                                             middle=middle.format(trouble=trouble), health=health,
                                             alerts=alerts))
        self.feed = t.spawn(['ffmpeg', '-v', 'warning', '-nostdin', '-re', '-stream_loop', '-1',
                             '-i', clip(), '-c', 'copy', '-f', 'mpegts', '-flush_packets', '1',
                             f'udp://{ADDRESS}:{self.port}?pkt_size=1316&broadcast=1'], name=f'feed-{name}')

    def growing(self):
        return growing(self.out)

    def files(self):
        """All files, the oldest first: instance ids sort by their start, and a name that was
        taken got a number."""
        def age(path):
            instance, _, rest = path.name.removesuffix('.ts').removesuffix('.recording').partition('_')
            seq, _, number = rest.partition('-')
            return instance, seq, int(number or 1)
        return sorted(self.out.glob('*.ts'), key=age)

    def wait(self, n, supervisor, at_least=100_000, limit=60):
        """Waits until the n-th file has some size."""
        return self.t.wait(lambda: len(self.files()) >= n and size(self.files()[n - 1]) > at_least
                           and self.files()[n - 1], f'file {n} of {self.name} grows', limit=limit,
                           alive=[supervisor])

    def gaps(self):
        """Seconds missing between each file and the next, from the first keyframe on."""
        gaps = []
        for old, new in zip(self.files(), self.files()[1:]):
            before = [pts for pts, _, _ in packets(old) if pts is not None]
            after = [pts for pts, _, key in packets(new) if key and pts is not None]
            if before and after:
                gaps.append(max(0, after[0] - max(before)))
        return gaps

    def check_undisturbed(self):
        """One file, and every frame in it."""
        check(len(self.files()) == 1, f'{self.name} has one file: {self.files()}')
        stamps = sorted(pts for pts, _, _ in packets(self.files()[0]))
        holes = [b - a for a, b in zip(stamps, stamps[1:]) if b - a > 1.5 * FRAME]
        check(len(stamps) > 20, f'{self.name} has recorded: {len(stamps)} frames')
        check(not holes, f'{self.name} lost frames: {holes}')


def start(t, *recordings):
    return t.run_pipeline(*(recording.path for recording in recordings), **trouble_environment())


def worker_of(supervisor, recording):
    """Pid of the worker that holds the recording's port."""
    for pid in children(supervisor.pid):
        for path in pathlib.Path(f'/proc/{pid}/fd').glob('*'):
            try:
                if str(recording.out) in os.readlink(path):
                    return pid
            except OSError:
                pass
    raise Failed(f'no worker has a file of {recording.name} open')


def stop(supervisor, code=0):
    got = supervisor.stop(limit=60)
    check(got == code, f'ended with {got}, not {code}:\n{supervisor.output()}')


def ask(t, *words):
    return subprocess.run([KEEPROLLING, *words, '--runtime-dir', t.dir / 'runtime'], timeout=60, check=False,
                          capture_output=True, text=True, env=environment()).stdout


def metrics(supervisor):
    uri = re.search(r'status page at (\S+)', supervisor.output()).group(1)
    with urllib.request.urlopen(f'{uri}metrics', timeout=30) as answer:
        return answer.read().decode()


def counted(supervisor, family, **labels):
    """Sum over the series of the file noisy that have the labels."""
    total = 0
    for line in metrics(supervisor).splitlines():
        if line.startswith(f'keeprolling_{family}{{') and 'file="noisy"' in line and \
                all(f'{name}="{value}"' in line for name, value in labels.items()):
            total += float(line.rpartition(' ')[2])
    return total


class Told:
    """Whom the noisy recording tells of its fault: the reason is to stand everywhere."""

    def __init__(self):
        self.hook = Hook()

    def check(self, t, supervisor, *, word, event, metric):
        """word in log, status and webhook; event is the kind of the webhook, metric the labels of
        restarts_total."""
        t.wait(lambda: word in supervisor.output(), f'the log says "{word}"', limit=30)
        t.wait(lambda: [m for m in self.hook.requests if m['kind'] == event and word in m['text']],
               f'a webhook of kind {event} says "{word}"', limit=30)
        status = json.loads(ask(t, 'status', '--json'))
        check(any(word in entry['reason'] for entry in status['history']), f'status: {status["history"]}')
        check(counted(supervisor, 'restarts_total', **metric) >= 1, f'{metric}: {metrics(supervisor)}')


def scenario(t, hurt, *, word, event, metric, trouble='', more='', health='', middle='krtrouble {trouble}',
             n_files=2, limit=90, last='records again'):
    """Records beside a quiet neighbour, hurts the recording, waits for its successor. Returns the
    recording once everything has ended in good order."""
    told = Told()
    quiet = Recording(t, 'quiet')
    noisy = Recording(t, 'noisy', trouble=trouble, more=more, health=health, middle=middle,
                      alerts=f'Webhook = {told.hook.uri}')
    supervisor = start(t, quiet, noisy)
    quiet.wait(1, supervisor)
    noisy.wait(1, supervisor, at_least=1 if trouble else 100_000)
    late = MACHINE.late
    if hurt:
        hurt(worker_of(supervisor, noisy))
    noisy.wait(n_files, supervisor, at_least=250_000, limit=limit)
    t.wait(lambda: len(noisy.growing()) == 1, 'what was left behind has its final name', limit=30)
    noisy.late = MACHINE.late - late
    t.wait(lambda: last in supervisor.output(), f'the log says "{last}"', limit=30)
    told.check(t, supervisor, word=word, event=event, metric=metric)
    noisy.overlap = counted(supervisor, 'overlap_seconds_total')
    stop(supervisor)
    noisy.log = supervisor.output()
    check(not growing(t.dir), f'all have their final names: {growing(t.dir)}')
    quiet.check_undisturbed()
    t.note('gaps: ' + ' '.join(f'{gap:.2f} s' for gap in noisy.gaps()) + f'; the machine: {noisy.late:.2f} s')
    for line in noisy.log.splitlines():
        if 'noisy' in line:
            t.note(re.sub(r'/tmp/\S*/', '', line)[11:])
    return noisy


def moment(line):
    return datetime.fromisoformat(line.split()[0].replace('Z', '+00:00')).timestamp()


def slow_start(noisy):
    """How much longer than a third of the whole it took from the start of a worker to its file."""
    slowest, started = 0, None
    for line in noisy.log.splitlines():
        if re.search(r'noisy: worker \d+ started', line):
            started = moment(line)
        elif 'noisy/record: recording into' in line and started:
            slowest, started = max(slowest, moment(line) - started), None
    return max(0, slowest - WHOLE / 3)


def check_gaps(noisy, limit):
    gaps = noisy.gaps()
    allowed = limit + KEYFRAME + slow_start(noisy) + noisy.late
    check(gaps and max(gaps) <= allowed, f'gaps: {gaps}, {allowed:.2f} s allowed')


CRASH = {'layer': 'watchdog', 'reason': 'crash'}
UNHEALTHY = {'layer': 'watchdog', 'reason': 'unhealthy'}


@test(limit=180)
def killed_worker(t):
    noisy = scenario(t, lambda pid: os.kill(pid, signal.SIGKILL), word='killed by signal 9', event='restart',
                     metric=CRASH)
    check('the next one starts now' in noisy.log, noisy.log)
    check_gaps(noisy, 1)


@test(limit=180)
def killed_twelve_times(t):
    """In a row, and each of them recorded: none waits for a back-off."""
    quiet, noisy = Recording(t, 'quiet'), Recording(t, 'noisy')
    supervisor = start(t, quiet, noisy)
    quiet.wait(1, supervisor)
    late = MACHINE.late
    for n in range(1, 13):
        noisy.wait(n, supervisor, at_least=150_000)
        t.wait(lambda: supervisor.output().count('noisy: records again') >= n - 1, 'that is known')
        os.kill(worker_of(supervisor, noisy), signal.SIGKILL)
    noisy.wait(13, supervisor, at_least=150_000)
    t.wait(lambda: len(noisy.growing()) == 1, 'what was left behind has its final name', limit=30)
    noisy.late = MACHINE.late - late
    check(counted(supervisor, 'restarts_total', **CRASH) == 12, metrics(supervisor))
    stop(supervisor)
    noisy.log = supervisor.output()
    t.note('gaps: ' + ' '.join(f'{gap:.2f} s' for gap in noisy.gaps()) + f'; the machine: {noisy.late:.2f} s')
    check(len(noisy.gaps()) == 12, noisy.gaps())
    check_gaps(noisy, 1)
    quiet.check_undisturbed()


@test(limit=180)
def stopped_worker(t):
    noisy = scenario(t, lambda pid: os.kill(pid, signal.SIGSTOP), word='the worker hangs (no report for',
                     event='replacement', metric=CRASH)
    check_gaps(noisy, WHOLE)


@test(limit=180)
def crash_in_an_element(t):
    noisy = scenario(t, None, trouble=f'kind=crash after=200 once={t.dir}/once', word='killed by signal 6',
                     event='restart', metric=CRASH)
    check_gaps(noisy, 1)


@test(limit=180)
def endless_loop_in_an_element(t):
    noisy = scenario(t, None, trouble=f'kind=loop after=200 once={t.dir}/once', metric=UNHEALTHY,
                     word='krtrouble0 hangs: no data has come through it for', event='replacement')
    check_gaps(noisy, WHOLE)


@test(limit=180)
def endless_loop_behind_a_leaky_queue(t):
    """The source goes on as if nothing had happened: only the growth monitor sees it, after its
    stall-timeout, and the pipeline cannot be taken down."""
    noisy = scenario(t, None, trouble=f'kind=loop after=200 once={t.dir}/once', metric=UNHEALTHY,
                     middle='queue leaky=downstream ! krtrouble {trouble}',
                     word='krtrouble0 hangs: the pipeline cannot be taken down', event='replacement')
    check_gaps(noisy, 2 + WHOLE)


@test(limit=180)
def endless_loop_in_the_main_loop(t):
    noisy = scenario(t, None, trouble=f'kind=main-loop after=200 once={t.dir}/once', metric=CRASH,
                     word='the worker hangs (no report for', event='replacement')
    check('beside the old one' in noisy.log, noisy.log)
    check_gaps(noisy, 0)


@test(limit=180)
def leaking_element(t):
    noisy = scenario(t, None, trouble=f'kind=leak after=200 once={t.dir}/once', health='MemoryMax = 200M',
                     word='memory, over the limit', event='replacement', metric=UNHEALTHY)
    check_gaps(noisy, 0)
    check(noisy.overlap > 0, f'both recorded for {noisy.overlap} s')


@test(limit=180)
def destination_answers_404(t):
    page = Hook()
    told = lambda pid: setattr(page, 'status', 404)
    noisy = scenario(t, told, health=f'CheckURL = {page.uri}', word='CheckURL answers 404', event='replacement',
                     metric=UNHEALTHY)
    check_gaps(noisy, 0)
    check('T0PSECRET' not in noisy.log, 'the address is a secret')


@test(limit=180)
def injected_error(t):
    """Layer 1's business: no new worker."""
    noisy = scenario(t, None, trouble=f'kind=error after=200 once={t.dir}/once', word='trouble, as asked for',
                     event='restart', metric={'layer': 'pipeline', 'reason': 'pipeline'}, last='runs again')
    check('worker 2' not in noisy.log, noisy.log)
    check_gaps(noisy, 1)


@test(limit=180)
def errors_without_end(t):
    """The start limit is reached: layer 2 takes over."""
    told = Told()
    quiet = Recording(t, 'quiet')
    noisy = Recording(t, 'noisy', trouble='kind=error after=20', alerts=f'Webhook = {told.hook.uri}',
                      more='StartLimitBurst = 10\nStartLimitIntervalSec = 60s\nRestartMaxSec = 100ms')
    supervisor = start(t, quiet, noisy)
    quiet.wait(1, supervisor)
    t.wait(lambda: 'worker 3 started' in supervisor.output(), 'layer 2 takes over, and again', limit=90,
           alive=[supervisor])
    told.check(t, supervisor, word='the pipeline has failed', event='replacement', metric=UNHEALTHY)
    log = supervisor.output()
    stop(supervisor)
    given_up = next(line for line in log.splitlines() if 'given up after 10 restarts' in line)
    replaced = next(line for line in log.splitlines() if 'is being replaced' in line)
    t.note(f'replaced {moment(replaced) - moment(given_up):.2f} s after it was given up')
    check(not growing(t.dir), f'all have their final names: {growing(t.dir)}')
    quiet.check_undisturbed()


@test(limit=180)
def no_false_alarm(t):
    """A feed that pauses for a second now and then, on a machine that has no processor to spare."""
    noisy = Recording(t, 'noisy')
    supervisor = start(t, noisy)
    noisy.wait(1, supervisor)
    burners = [t.spawn(['sh', '-c', 'while :; do :; done'], name=f'burner{n}') for n in range(3 * os.cpu_count())]
    for _ in range(6):
        time.sleep(2)
        noisy.feed.send(signal.SIGSTOP)
        time.sleep(1)
        noisy.feed.send(signal.SIGCONT)
    for burner in burners:
        burner.kill()
    before = size(noisy.files()[0])
    t.wait(lambda: size(noisy.files()[0]) > before + 50_000, 'it records on', alive=[supervisor])
    log = supervisor.output()
    stop(supervisor)
    check(len(noisy.files()) == 1, f'one file: {noisy.files()}')
    check('worker 2' not in log and 'hangs' not in log and 'rebuilding' not in log, log)


@test(limit=120)
def killed_supervisor(t):
    recordings = [Recording(t, 'one'), Recording(t, 'two')]
    supervisor = start(t, *recordings)
    for recording in recordings:
        recording.wait(1, supervisor)
    workers = children(supervisor.pid)
    os.kill(supervisor.pid, signal.SIGKILL)
    t.wait(lambda: not growing(t.dir), 'the workers finish their files', limit=60)
    t.wait(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in workers),
           'and end', limit=60)
    for recording in recordings:
        recording.check_undisturbed()


@test(limit=120)
def two_signals(t):
    """Nothing that was recorded is lost, even then."""
    recording = Recording(t, 'one', trouble=f'kind=loop after=300 once={t.dir}/once')
    supervisor = start(t, recording)
    recording.wait(1, supervisor, at_least=20_000)
    t.wait(lambda: (t.dir / 'once').exists(), 'an element hangs')
    before = size(recording.files()[0])
    supervisor.send(signal.SIGINT)
    time.sleep(1)
    supervisor.send(signal.SIGINT)
    code = supervisor.wait(60)
    check(code in (0, 75), f'ended with {code}')
    check(len(recording.files()) == 1 and not recording.growing(),
          f'the file has its final name: {recording.files()}')
    check(size(recording.files()[0]) >= before - 188, 'and all of its data')


run()
