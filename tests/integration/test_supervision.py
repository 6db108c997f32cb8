#!/usr/bin/env python3
# keeprolling - real recordings whose workers crash, hang, leak and are killed
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real workers record feeds over UDP as they are, so that the stamps in the files are those of the
feed: what is missing between two files is what the fault has cost. The feeds are multicast on the
loopback interface, since two workers that overlap must both hear them. Beside each faulty recording
another one runs that must not notice anything."""

import os
import pathlib
import signal
import time

from support import (BUILD, Failed, check, children, clip, final, free_port, growing, packets, run, size,
                     test)

FRAME = 0.04                # of the clip, which has a keyframe each second
PIPELINE = '''[Pipeline record]
Launch = udpsrc address={address} multicast-iface=lo port={port} buffer-size=2000000
  ! krtrouble {trouble}
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
'''


def environment(t):
    return {'GST_PLUGIN_PATH': f'{BUILD / "plugins"}:{BUILD / "tests/support/trouble"}',
            'GST_REGISTRY': BUILD / 'trouble-registry.bin'}


class Recording:
    """A feed and the pipeline file that records it."""

    def __init__(self, t, name, *, trouble='', more='', health=''):
        self.t, self.name, self.port = t, name, free_port()
        self.address = f'239.255.{self.port >> 8}.{self.port & 255}'
        self.out = t.dir / name
        self.out.mkdir()
        self.path = t.dir / f'{name}.pipeline'
        self.path.write_text(PIPELINE.format(port=self.port, address=self.address, trouble=trouble, out=self.out,
                                             more=more, health=health))
        self.feed = t.spawn(['ffmpeg', '-v', 'warning', '-nostdin', '-re', '-stream_loop', '-1',
                             '-i', clip(), '-c', 'copy', '-f', 'mpegts', '-flush_packets', '1',
                             f'udp://{self.address}:{self.port}?pkt_size=1316&ttl=0&localaddr=127.0.0.1'], name=f'feed-{name}')

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
    return t.run_pipeline(*(recording.path for recording in recordings), **environment(t))


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


def scenario(t, hurt, *, words, trouble='', more='', health='', n_files=2, limit=90):
    """Records beside a quiet neighbour, hurts the recording, waits for its successor. Returns the
    recording once everything has ended in good order."""
    quiet = Recording(t, 'quiet')
    noisy = Recording(t, 'noisy', trouble=trouble, more=more, health=health)
    supervisor = start(t, quiet, noisy)
    quiet.wait(1, supervisor)
    noisy.wait(1, supervisor, at_least=1 if trouble else 100_000)
    began = time.monotonic()
    if hurt:
        hurt(worker_of(supervisor, noisy))
    noisy.wait(n_files, supervisor, at_least=250_000, limit=limit)
    t.note(f'file {n_files} has 250 kB {time.monotonic() - began:.1f} s later')
    t.wait(lambda: len(noisy.growing()) == 1, 'what was left behind has its final name', limit=30)
    for word in words:
        t.wait(lambda: word in supervisor.output(), f'the log says "{word}"', limit=30)
    stop(supervisor)
    check(not growing(t.dir), f'all have their final names: {growing(t.dir)}')
    quiet.check_undisturbed()
    t.note('gaps: ' + ' '.join(f'{gap:.2f} s' for gap in noisy.gaps()))
    return noisy


def check_gaps(recording, limit=2):
    """1 s and one keyframe interval, unless told otherwise."""
    gaps = recording.gaps()
    check(gaps and max(gaps) <= limit, f'gaps: {gaps}')


@test(limit=180)
def killed_worker(t):
    noisy = scenario(t, lambda pid: os.kill(pid, signal.SIGKILL),
                     words=['killed by signal 9', 'the next one starts now', 'records again'])
    check_gaps(noisy)


@test(limit=180)
def stopped_worker(t):
    scenario(t, lambda pid: os.kill(pid, signal.SIGSTOP),
             words=['the worker hangs (no report for', 'records again'])


@test(limit=180)
def crash_in_an_element(t):
    noisy = scenario(t, None, trouble=f'kind=crash after=200 once={t.dir}/once',
                     words=['killed by signal 6', 'records again'])
    check_gaps(noisy)


@test(limit=180)
def endless_loop_in_an_element(t):
    noisy = scenario(t, None, trouble=f'kind=loop after=200 once={t.dir}/once',
                     words=['krtrouble0 hangs: no data has come through it for', 'records again'])


@test(limit=180)
def endless_loop_in_the_main_loop(t):
    scenario(t, None, trouble=f'kind=main-loop after=200 once={t.dir}/once',
             words=['the worker hangs (no report for', 'beside the old one'])


@test(limit=180)
def leaking_element(t):
    noisy = scenario(t, None, trouble=f'kind=leak after=200 once={t.dir}/once',
                     health='MemoryMax = 200M', words=['memory, over the limit'])
    check_gaps(noisy)


@test(limit=180)
def injected_error(t):
    """Layer 1's business: no new worker."""
    noisy = scenario(t, None, trouble=f'kind=error after=200 once={t.dir}/once',
                     words=['trouble, as asked for'])
    check_gaps(noisy)


@test(limit=180)
def errors_without_end(t):
    """The start limit is reached: layer 2 takes over."""
    quiet = Recording(t, 'quiet')
    noisy = Recording(t, 'noisy', trouble='kind=error after=20',
                      more='StartLimitBurst = 3\nStartLimitIntervalSec = 60s')
    supervisor = start(t, quiet, noisy)
    quiet.wait(1, supervisor)
    t.wait(lambda: 'the worker is being replaced: record: the pipeline has failed' in
           supervisor.output(), 'layer 2 takes over', limit=60, alive=[supervisor])
    t.wait(lambda: 'worker 3 started' in supervisor.output(), 'and again', limit=60)
    stop(supervisor)
    check(not growing(t.dir), f'all have their final names: {growing(t.dir)}')
    quiet.check_undisturbed()


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
