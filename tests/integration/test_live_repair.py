#!/usr/bin/env python3
# keeprolling - live feeds over SRT whose clocks do everything wrong, repaired on the bytes
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clip with a white flash and a beep each second is sent by an encoder whose clock jumps, which
falls silent, starts anew, loses packets. What mpegtsregen makes of it has to have one timeline, on
which flash and beep stay together. All faults run at the same time, each in a feed of its own."""

import signal
import statistics
import time

from flashes import RATE, Feed, Srt, check_rising, flash_clip, holes, lip_sync, lip_sync_errors
from support import PIPELINES, check, faults, final, free_port, growing, run, size, test

# A loss is the truth and stays: its packets are missing, and their time is.
LOSS = {'cc', 'audio_gap', 'dts_gap', 'pts_gap', 'pts_interval700', 'pat_interval', 'pmt_interval',
        'pid_missing'}
# Where a session joins, the counters go on.
OUTAGE = LOSS - {'cc'}

# name: (troubles, seconds, what may be found, holes in the time)
FAULTS = {
    'an hour ahead': ([(3, 99, ('shift', 3600))], 6, set(), 0),
    'three seconds back': ([(3, 99, ('shift', -3))], 6, set(), 0),
    'five seconds ahead': ([(3, 99, ('shift', 5))], 6, set(), 0),
    'silent for five seconds': ([(3, 8, 'silence')], 11, LOSS, 1),
    'anew after five seconds': ([(3, 8, 'restart')], 13, OUTAGE, 1),
    'lossy': ([(3, 3.4, 'loss')], 6, LOSS, 0),
    'all of it': ([(3, 99, ('shift', 3600)), (6, 99, ('shift', -3)), (9, 99, ('shift', 5)),
                   (12, 17, 'restart'), (22, 22.4, 'loss')], 26, LOSS, 1),
}
LIP_SYNC = 2            # ms

LEFT, RIGHT = 'iw/2:ih:0:0', 'iw/2:ih:iw/2:0'
# Small, so that the machine's speed is not what is tested.
SMALL = {'WIDTH': 640, 'HALF_WIDTH': 320, 'HEIGHT': 180,
         'VIDEO_ENCODER': 'x264enc tune=zerolatency speed-preset=ultrafast bitrate=1500 key-int-max=30'}


class Recording:
    """A feed with its troubles, and the process that records it."""

    def __init__(self, t, record, fault, name):
        self.t, self.fault, self.name = t, fault, name
        troubles, self.seconds = FAULTS[fault][:2]
        self.number = signal.SIGINT if record == plain else signal.SIGTERM
        port = free_port()
        encoder = Srt(t, port)
        self.folder = t.dir / name.replace(' ', '-')
        self.folder.mkdir()
        self.recorder = record(t, f'srt://127.0.0.1:{port}?mode=caller', self.folder)
        self.feed = Feed(encoder, flash_clip(), troubles)
        t.wait(encoder.ready, 'the encoder listens', limit=60)

    def begin(self):
        """The troubles count from when something has been recorded."""
        self.feed.start()
        self.t.wait(lambda: any(size(path) for path in self.files()), f'{self.name}: data', limit=60,
                    alive=[self.recorder])
        self.feed.begin()

    def files(self):
        return [*growing(self.folder), *final(self.folder)]

    def end(self):
        while self.feed.lasts() < self.seconds:
            time.sleep(0.1)
        self.feed.stop()
        self.lasted = self.feed.lasts()
        check(self.recorder.stop(self.number) == 0, f'{self.name}: exit status')
        [path] = final(self.folder)
        return path


def check_recording(t, name, path, allowed, outages, lasted):
    found = faults(path)
    # The end of a recording is a cut too: a picture is there, those shown before it are not.
    check(set(found) <= (allowed or {'pts_gap'}) and (allowed or found.get('pts_gap', 0) <= 1),
          f'{name}: {found}')
    pictures, sounds = check_rising(path, 'v'), check_rising(path, 'a')
    long_holes = holes(pictures, 1)
    check(len(long_holes) == outages, f'{name}: holes: {long_holes}')
    if not allowed:
        check(not holes(pictures, 1.1 / RATE), f'{name}: {holes(pictures, 1.1 / RATE)}')
        check(not holes(sounds, 0.0225), f'{name}: {holes(sounds, 0.0225)}')
    span = pictures[-1] - pictures[0]
    check(abs(span - lasted) < 1.5, f'{name}: {lasted:.2f} s became {span:.2f} s')
    errors = lip_sync_errors(path)
    missing = sum(hole for _, hole in holes(pictures, 0.1))
    check(len(errors) >= span - missing - 3, f'{name}: {len(errors)} flashes in {span:.2f} s')
    worst = max(abs(error) for _, error in errors)
    t.note(f'{name}: {span:.2f} s, holes {holes(pictures, 0.1)}, found {found}; {len(errors)} flashes, '
           f'lip-sync off by {worst:.2f} ms at most')
    check(worst <= LIP_SYNC, f'{name}: lip-sync: {errors}')


def plain(t, uri, folder):
    return t.gst_launch(f'srtsrc uri={uri} latency=200 poll-timeout=1000 ! '
                        f'mpegtsregen wait-keyframe=true ! atomicfilesink location={folder}/out.ts')


def shipped(t, uri, folder):
    return t.run_pipeline(PIPELINES / 'record-srt.pipeline', set={'SRT_URI': uri, 'OUT': folder})


@test(limit=240)
def each_fault_leaves_what_is_true(t):
    """Each fault alone, then all of them, with elements in gst-launch-1.0; all of them once more with
    the pipeline file that ships."""
    recordings = [Recording(t, plain, name, name) for name in FAULTS]
    recordings.append(Recording(t, shipped, 'all of it', 'all of it by record-srt'))
    for recording in recordings:
        recording.begin()
    recordings.sort(key=lambda recording: recording.seconds)
    paths = [recording.end() for recording in recordings]
    for recording, path in zip(recordings, paths):
        check_recording(t, recording.name, path, *FAULTS[recording.fault][2:], recording.lasted)


@test(limit=240)
def the_composite_keeps_its_rate(t):
    """composite-srt.pipeline, whose left feed has all of it, and whose right feed has nothing."""
    ports = free_port(), free_port()
    encoders = [Srt(t, port) for port in ports]
    feeds = [Feed(encoders[0], flash_clip(30, 'left', 2000), FAULTS['all of it'][0]),
             Feed(encoders[1], flash_clip(30, 'right', 2000), [])]
    for encoder in encoders:
        t.wait(encoder.ready, 'the encoder listens', limit=60)
    recorder = t.run_pipeline(PIPELINES / 'composite-srt.pipeline', set={
        'SRT_URI_1': f'srt://127.0.0.1:{ports[0]}?mode=caller',
        'SRT_URI_2': f'srt://127.0.0.1:{ports[1]}?mode=caller', 'OUT': t.dir / 'out', **SMALL})
    for feed in feeds:
        feed.start()
    t.wait(lambda: any(size(path) for path in growing(t.dir)), 'the composite is recorded', limit=60,
           alive=[recorder])
    feeds[0].begin()
    while feeds[0].lasts() < FAULTS['all of it'][1]:
        time.sleep(0.1)
    check(recorder.stop() == 0, 'exit status')
    for feed in feeds:
        feed.stop()
    [path] = final(t.dir)

    pictures, sounds = check_rising(path, 'v'), check_rising(path, 'a')
    uneven = [(round(a, 3), round(b - a, 4)) for a, b in zip(pictures, pictures[1:])
              if abs(b - a - 1 / 30) > 0.001]
    check(not uneven, f'frames out of step: {uneven[:10]}')
    check(not holes(sounds, 0.0225), f'sound: {holes(sounds, 0.0225)[:10]}')
    check(not faults(path), f'{faults(path)}')
    t.note(f'{len(pictures)} frames in {pictures[-1] - pictures[0]:.2f} s')
    # The picture takes what is due each 1/30 s, so that it may be that much off, and no more. But
    # tsdemux and the tile need a moment where a session begins, and a flash that the loss has taken
    # finds no beep of its own.
    for name, crop, channel, lost in ('left', LEFT, 0, 4), ('right', RIGHT, 1, 2):
        offsets = lip_sync(path, crop, channel)
        usual = statistics.median(offset for _, offset in offsets[:5])
        errors = [(round(at - pictures[0], 1), round(offset - usual, 1)) for at, offset in offsets]
        wrong = [(at, error) for at, error in errors if abs(error) > 1000 / 30 + LIP_SYNC]
        t.note(f'{name}: {len(errors)} flashes, lip-sync off by '
               f'{sorted(abs(error) for _, error in errors)[-1 - lost]} ms at most')
        check(len(wrong) <= lost and len(errors) >= 15, f'{name}: lip-sync: {errors}')


run()
