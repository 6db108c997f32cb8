#!/usr/bin/env python3
# keeprolling - recording one live SRT feed, whatever happens to it
# SPDX-License-Identifier: LGPL-2.1-or-later

import os
import signal
import statistics
import time

import support
from support import (LONG, PIPELINES, SrtFeed, check, children, clip, decode_errors, duration, faults,
                     final, growing, memory, packets, probe, run, size, srt_server, test)

RECORD = PIPELINES / 'record-srt.pipeline'
FRAME = 0.04            # of the clip


def record(t, uri, **variables):
    """record-srt.pipeline as it stands, into t.dir/out."""
    return t.run_pipeline(RECORD, set={'SRT_URI': uri, 'OUT': t.dir / 'out', **variables})


def recording(t, recorder, at_least=200_000):
    """Waits until a growing file has some size; returns its path."""
    def found():
        return next((path for path in growing(t.dir) if size(path) >= at_least), None)
    return t.wait(found, f'a growing file has {at_least} bytes', limit=40, alive=[recorder])


def check_timeline(path, streams='va'):
    """No stamp is missing, stands still or goes back."""
    for stream in streams:
        stamps = [dts for _, dts, _ in packets(path, stream)]
        check(stamps, f'{path.name}: no packets in stream {stream}')
        check(None not in stamps, f'{path.name}: packets without stamps in stream {stream}')
        bad = [(a, b) for a, b in zip(stamps, stamps[1:]) if b <= a]
        check(not bad, f'{path.name}: stream {stream} goes back or stands still at {bad[:5]}')


@test
def a_running_recording_grows_and_plays(t):
    feed = SrtFeed(t, clip()).start()
    recorder = record(t, feed.uri)
    path = recording(t, recorder)
    steps, last, since = [], size(path), time.monotonic()
    while len(steps) < 6:
        t.wait(lambda: size(path) > last, 'the file grows', alive=[recorder])
        last, now = size(path), time.monotonic()
        steps.append(now - since)
        since = now
    t.note('seconds between two growths: ' + ' '.join(f'{step:.2f}' for step in steps))
    check(statistics.median(steps) <= 1.3 * support.SCALE, f'grows every {steps} s')
    check(len(packets(path)) > 50 and probe(path, '-show_streams'), 'does not play while it grows')
    check(recorder.stop() == 0, 'exit status')
    check(not growing(t.dir), 'a temporary name is left')
    [path] = final(t.dir)
    check_timeline(path)
    check(not faults(path), f'{faults(path)}')
    check(not decode_errors(path), decode_errors(path))


@test
def a_listener_records_whoever_calls(t):
    feed = SrtFeed(t, clip(), mode='caller')
    recorder = record(t, f'srt://127.0.0.1:{feed.port}?mode=listener')
    for _ in range(2):
        before = sum(size(path) for path in growing(t.dir))
        feed.start()
        t.wait(lambda: sum(size(path) for path in growing(t.dir)) > before + 150_000,
               'the caller is recorded', limit=40, alive=[recorder])
        feed.kill()
    check(recorder.stop() == 0, 'exit status')
    [path] = final(t.dir)
    check_timeline(path)


@test(limit=120)
def a_feed_of_another_kind_is_named_and_waited_for(t):
    """An encoder that sends FLV: nothing here can cure it, so nothing is rebuilt meanwhile; who
    looks reads what comes, once. With the right kind the recording begins by itself."""
    feed = SrtFeed(t, clip()).start('-f', 'flv')
    recorder = record(t, feed.uri)
    words = 'srtsrc0 delivers no transport stream (looks like FLV: 46 4c 56 01'
    t.wait(lambda: words in recorder.output(), 'the log names it', limit=40, alive=[recorder])
    # Longer than it takes to hold the pipeline to be at fault.
    time.sleep(8)
    check(recorder.output().count(words) == 1, 'it is told more than once')
    check('rebuilding' not in recorder.output(), 'the pipeline was rebuilt')
    feed.kill()
    feed.start()
    t.wait(lambda: growing(t.dir), 'the right feed is recorded', limit=40, alive=[recorder])
    recording(t, recorder)
    check('srtsrc0 delivers a transport stream after' in recorder.output(), recorder.output())
    check('rebuilding' not in recorder.output(), 'the pipeline was rebuilt')
    check(recorder.stop() == 0, 'exit status')
    [path] = final(t.dir)
    check_timeline(path)
    check(not faults(path), f'{faults(path)}')


@test(limit=180)
def ten_restarts_of_the_feed_stay_in_one_file(t):
    feed = SrtFeed(t, clip())
    recorder = None
    back = []
    for session in range(11):
        feed.start()
        recorder = recorder or record(t, feed.uri)
        started = time.monotonic()
        t.wait(lambda: feed.sent() > 0, 'the feed is fetched', limit=30, alive=[recorder])
        if session:
            back.append(time.monotonic() - started)
        t.wait(lambda: feed.sent() > 3, 'the feed is sent', limit=30, alive=[recorder])
        if session == 0:
            inode = os.stat(recording(t, recorder, at_least=1)).st_ino
        feed.kill()
        time.sleep(1.1 + 0.13 * session)        # each an outage, each of another length
    check([os.stat(path).st_ino for path in growing(t.dir)] == [inode], 'the file did not stay open')
    check(recorder.stop() == 0, 'exit status')
    [path] = final(t.dir)

    t.note('fetched again after ' + ' '.join(f'{seconds:.2f}' for seconds in back) + ' s')
    check(statistics.median(back) <= 1.0 * support.SCALE, f'fetched again after {back} s')
    recorded = len(packets(path)) * FRAME
    t.note(f'recorded {recorded:.1f} of {feed.sent_in_all():.1f} s that were sent')
    check(recorded >= 0.9 * feed.sent_in_all(), 'less than 90 % of what was sent is in the file')
    check_timeline(path)
    # The outages are real and stay; everything else would be a fault of ours.
    found = faults(path, ignore=('audio_gap', 'dts_gap', 'pts_gap', 'pcr_interval', 'pat_interval',
                                 'pmt_interval', 'pid_missing'))
    check(not found, f'{found}')


@test(limit=120)
def a_killed_worker_loses_a_second_at_most(t):
    recorder = record(t, srt_server(t, clip()))
    t.wait(lambda: growing(t.dir), 'a file appears', limit=40, alive=[recorder])
    appeared = time.monotonic()
    path = recording(t, recorder, at_least=400_000)
    [worker] = children(recorder.pid)
    copy = t.dir / 'left.ts'
    with open(path, 'rb') as file:      # its name may change at once
        os.kill(worker, signal.SIGKILL)
        killed = time.monotonic()
        copy.write_bytes(file.read())
    left, due = duration(copy), killed - appeared
    t.note(f'{left:.2f} s on disk, {due:.2f} s after the first byte')
    # At most the flush interval of one second is missing, and what was on its way: a frame, and
    # what ffprobe cannot read of the last one.
    check(left >= due - 1.3 * support.SCALE, f'{left:.2f} of {due:.2f} s are on disk')

    def recording_again():
        return [other for other in growing(t.dir) if other.name != path.name and size(other) > 50_000]
    t.wait(recording_again, 'a new worker records', limit=60, alive=[recorder])
    again = time.monotonic() - killed
    t.wait(lambda: path.with_name(path.name.replace('.recording', '')).exists(),
           'the old file gets its final name', limit=60, alive=[recorder])
    check(not path.exists(), 'the temporary name is still there')
    check(recorder.stop() == 0, 'exit status')
    check(not growing(t.dir), 'a temporary name is left')
    old, new = final(t.dir / 'out')
    check_timeline(old)
    check_timeline(new)
    t.note(f'a new file has grown {again:.2f} s after the kill')
    # The clip's keyframes are a second apart, so the new file begins within a second of its start.
    check(packets(new)[0][2], 'the new file does not begin with a keyframe')


@test(limit=1000 if LONG else 120)
def memory_is_bounded(t):
    """Bounded here; flat with --long, over ten minutes."""
    feed = SrtFeed(t, clip('heavy', size='1280x720', seconds=24, kbits=8000)).start()
    recorder = record(t, feed.uri)
    recording(t, recorder)
    [worker] = children(recorder.pid)
    samples = []
    end = time.monotonic() + (600 if LONG else 10)
    while time.monotonic() < end:
        time.sleep(1)
        check(recorder.running(), 'the recorder ended')
        samples.append(memory(worker))
    quarter = len(samples) // 4
    steps = [statistics.median(samples[at:at + quarter]) / 1e6
             for at in range(0, 4 * quarter, quarter)]
    t.note('RSS by quarters of the time: ' + ' '.join(f'{step:.1f}' for step in steps) + ' MB')
    check(max(samples) < 40e6, f'{max(samples) / 1e6:.1f} MB')
    # Flat once the allocator's arenas and the rotation's buffers are there.
    check(not LONG or steps[3] < steps[2] + 0.5, f'grows: {steps} MB')
    check(recorder.stop() == 0, 'exit status')


run()
