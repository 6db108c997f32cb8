#!/usr/bin/env python3
# keeprolling - a recording changes hands and no frame is lost
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real recordings over SRT whose files are changed while they run. What is compared is the payload:
each frame of the clip is another picture, so its hash tells which one it is, whatever the workers
have made of its stamps. All frames from the first to the last that was recorded must be in the files
of a recording, and those of two workers must overlap."""

import os
import signal
import subprocess
import time

from support import (KEEPROLLING, LISTEN, SrtFeed, check, children, clip, environment, faults,
                     final, free_port, growing, run, size, srt_server, test)

PIPELINE = '''# {comment}
[Pipeline record]
Launch = srtsrc uri="{uri}" latency={latency} poll-timeout=1000
  ! mpegtsregen
  ! growthmonitorsink sink="atomicfilesink location={out}/{{instance}}_{{seq}}.ts flush-interval=200000000"

[Health]
IntervalSec = 2s
StartupGraceSec = 10s

[Handover]
TimeoutReadySec = {ready}
'''


def the_clip():
    """No two frames of it are alike, neither of the picture nor of the sound."""
    return clip('frames', frequency='noise')


def hashes(path, stream):
    """The hashes of a stream's packets, in their order."""
    done = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'mpegts', '-i', path, '-map',
                           f'0:{stream}:0', '-c', 'copy', '-f', 'framemd5', '-'],
                          capture_output=True, text=True, env=environment(), check=True)
    return [line.split(',')[5].strip() for line in done.stdout.splitlines()
            if line and not line.startswith('#')]


class Recording:
    def __init__(self, t, name='cam', uri=None, ready='20s'):
        self.t, self.name, self.ready = t, name, ready
        self.uri = uri or srt_server(t, the_clip())
        self.out = t.dir / name
        self.out.mkdir()
        self.path = t.dir / f'{name}.pipeline'
        self.write('as it was')

    def write(self, comment, latency=1000, uri=None, more=''):
        self.path.write_text(PIPELINE.format(comment=comment, uri=uri or self.uri, out=self.out,
                                             latency=latency, ready=self.ready) + more)

    def files(self):
        """In the order of their beginnings: the instance is in the name."""
        return sorted(self.out.glob('*.ts'))

    def wait(self, n, supervisor, at_least=150_000):
        self.t.wait(lambda: len(self.files()) >= n and size(self.files()[n - 1]) > at_least,
                    f'file {n} of {self.name} grows', limit=60, alive=[supervisor])

    def frames(self, stream, files=None):
        """Per file the numbers of the frames in it."""
        number = {digest: n for n, digest in enumerate(hashes(the_clip(), stream))}
        check(len(number) > 2900, f'each frame is another one: {len(number)}')
        found = []
        for path in files or self.files():
            # What a file begins or ends with may be a part of a frame, which has another hash.
            frames = hashes(path, stream)
            found.append([number[digest] for digest in frames if digest in number])
            unknown = [n for n, digest in enumerate(frames) if digest not in number]
            check(all(n < 3 or n >= len(frames) - 3 for n in unknown),
                  f'{path.name}: frames that were never sent: {unknown[:10]} of {len(frames)}')
        return found

    def check_no_loss(self, n_files):
        check(len(self.files()) == n_files, f'{n_files} files: {self.files()}')
        for stream in 'v', 'a':
            frames = self.frames(stream)
            check(all(len(some) > 20 for some in frames),
                  f'{stream}: each file has frames: {[len(some) for some in frames]}')
            for path, some in zip(self.files(), frames):
                check(some == list(range(some[0], some[-1] + 1)),
                      f'{stream}: {path.name} has each frame once, in order')
            covered = set().union(*frames)
            missing = set(range(min(covered), max(covered) + 1)) - covered
            check(not missing, f'{stream}: lost {len(missing)} frames: {sorted(missing)[:20]}')
            overlaps = [len(set(a) & set(b)) for a, b in zip(frames, frames[1:])]
            check(all(overlaps), f'{stream}: overlaps: {overlaps}')
            self.t.note(f'{self.name} {stream}: {len(covered)} frames in {n_files} files, none lost; '
                        f'twice: {overlaps}')
        for path in self.files():
            found = faults(path)
            # Seen once on a busy machine, one picture behind its clock; its cause is not known.
            late = found.pop('late_dts', 0)
            check(not any(found.values()) and late <= 1, f'{path.name}: {found}, late: {late}')


def reload(t, *words, code=0, limit=120):
    done = subprocess.run([KEEPROLLING, 'reload', '--runtime-dir', t.dir / 'runtime', *words],
                          capture_output=True, text=True, env=environment(), check=False,
                          timeout=limit)
    check(done.returncode == code, f'reload ended with {done.returncode}, not {code}: {done.stderr}')
    return done


def status(t):
    return subprocess.run([KEEPROLLING, 'status', '--json', '--runtime-dir', t.dir / 'runtime'],
                          capture_output=True, text=True, env=environment(), check=False).stdout


def stop(t, supervisor, code=0):
    got = supervisor.stop(limit=60)
    check(got == code, f'ended with {got}, not {code}:\n{supervisor.output()}')
    check(not growing(t.dir), f'all have their final names: {growing(t.dir)}')


@test(limit=240)
def no_frame_is_lost(t):
    """Three recordings, all of them changed three times in a row, while the machine is busy."""
    recordings = [Recording(t, f'cam{n}') for n in range(1, 4)]
    supervisor = t.run_pipeline(*(recording.path for recording in recordings))
    for recording in recordings:
        recording.wait(1, supervisor)
    load = [t.spawn(['nice', 'sh', '-c', 'while :; do :; done'], name='load') for _ in range(2)]
    for turn in range(1, 4):
        for recording in recordings:
            recording.write(f'change {turn}')
        reload(t)
        for recording in recordings:
            recording.wait(turn + 1, supervisor)
    for process in load:
        process.kill()
    stop(t, supervisor)
    for recording in recordings:
        recording.check_no_loss(4)
    check(supervisor.output().count('handed over within') == 9, supervisor.output())


@test(limit=180)
def less_latency(t):
    """The new worker is ahead of the old one by what its source is faster."""
    recording = Recording(t)
    recording.write('slow', latency=3000)
    supervisor = t.run_pipeline(recording.path)
    recording.wait(1, supervisor)
    recording.write('fast', latency=120)
    reload(t)
    recording.wait(2, supervisor)
    recording.write('slow again', latency=3000)
    reload(t)
    recording.wait(3, supervisor)
    stop(t, supervisor)
    recording.check_no_loss(3)


@test(limit=180)
def rolled_back(t):
    """The new file points to nobody: the old worker's file shows nothing of it."""
    recording = Recording(t, ready='4s')
    supervisor = t.run_pipeline(recording.path)
    recording.wait(1, supervisor)
    recording.write('wrong', uri=f'srt://127.0.0.1:{free_port()}?mode=caller')
    done = reload(t, code=75)
    check('rolled back' in done.stderr and 'nothing comes from its source' in done.stderr, done.stderr)
    check(len(children(supervisor.pid)) == 1, 'one worker is left')
    time.sleep(2)
    stop(t, supervisor)
    recording.check_no_loss(1)


@test(limit=180)
def source_that_serves_one(t):
    """ffmpeg as an encoder that listens: a second caller hears nothing of it."""
    feed = SrtFeed(t, the_clip()).start()
    recording = Recording(t, uri=feed.uri, ready='4s')
    supervisor = t.run_pipeline(recording.path)
    recording.wait(1, supervisor)
    recording.write('changed')
    done = reload(t, code=75)
    for words in 'rolled back', 'serves only one receiver', 'keeprolling reload --restart cam':
        check(words in done.stderr, f'it says "{words}": {done.stderr}')
    check(len(recording.files()) == 1, f'the old worker goes on: {recording.files()}')
    began = time.monotonic()
    reload(t, '--restart', 'cam')
    t.note(f'one after the other within {time.monotonic() - began:.1f} s')
    recording.wait(2, supervisor)
    stop(t, supervisor)
    check(len(recording.files()) == 2, f'a file for each: {recording.files()}')
    first = recording.frames('v')[0]
    check(first == list(range(first[0], first[-1] + 1)), 'the rollback cost the first not a frame')


@test(limit=180)
def killed_in_the_middle(t):
    """First the new worker, then the old one; what they had recorded is there."""
    recording = Recording(t)
    supervisor = t.run_pipeline(recording.path)
    recording.wait(1, supervisor)
    old = children(supervisor.pid)
    recording.write('first try')
    client = t.keeprolling('reload', '--runtime-dir', t.dir / 'runtime')
    recording.wait(2, supervisor, at_least=60_000)
    check(len(children(supervisor.pid)) == 2, 'both are there')
    os.kill((set(children(supervisor.pid)) - set(old)).pop(), signal.SIGKILL)
    check(client.wait() == 75, client.output())
    t.wait(lambda: len(growing(recording.out)) == 1, 'what it left gets its name')
    check(children(supervisor.pid) == old, 'the old one goes on')
    client = t.keeprolling('reload', '--runtime-dir', t.dir / 'runtime')
    t.wait(lambda: '"stage":"overlapping"' in status(t), 'both record', limit=40)
    os.kill(old[0], signal.SIGKILL)
    check(client.wait() == 0, client.output())
    recording.wait(3, supervisor)
    t.wait(lambda: len(growing(recording.out)) == 1, 'what it left gets its name')
    stop(t, supervisor)
    # The second one may have been too short-lived for a keyframe, but what it had is there.
    first, second, third = recording.files()
    check(size(second) >= 60_000, f'{size(second)} bytes of the one that was killed')
    frames = recording.frames('v', [first, third])
    covered = set().union(*frames)
    missing = set(range(min(covered), max(covered) + 1)) - covered
    check(not missing, f'even so no frame is lost: {sorted(missing)[:20]}')


@test(limit=180)
def new_program(t):
    """The supervisor becomes another program, twice, and hands over; the recording notices nothing
    of the first and loses nothing by the second."""
    program = t.dir / 'bin' / 'keeprolling'
    program.parent.mkdir()

    def install():
        new = program.with_suffix('.new')
        new.write_bytes(KEEPROLLING.read_bytes())
        new.chmod(0o755)
        new.rename(program)

    install()
    recording = Recording(t)
    still = Recording(t, 'still')
    for name in 'runtime', 'state':
        (t.dir / name).mkdir()
    supervisor = t.spawn([program, 'run', LISTEN, recording.path, still.path],
                         RUNTIME_DIRECTORY=t.dir / 'runtime', STATE_DIRECTORY=t.dir / 'state')
    recording.wait(1, supervisor)
    still.wait(1, supervisor)
    for turn in 2, 3:
        install()
        reload(t, 'cam')
        recording.wait(turn, supervisor)
    check(supervisor.output().count('goes on as version') == 2, supervisor.output())
    stop(t, supervisor)
    recording.check_no_loss(3)
    still.check_no_loss(1)


run()
