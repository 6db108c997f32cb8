#!/usr/bin/env python3
# keeprolling - live feeds over SRT whose clocks do everything wrong, repaired on the bytes
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clip with a white flash and a beep each second is sent by an encoder whose clock jumps, which
falls silent, starts anew, loses packets. What mpegtsregen makes of it has to have one timeline, on
which flash and beep stay together. All faults run at the same time, each in a feed of its own."""

import array
import signal
import statistics
import subprocess
import time

import taps
from flashes import (RATE, Feed, Srt, check_rising, flash_clip, flashes, holes, lip_sync_errors,
                     quiet_clip)
from support import (PIPELINES, check, environment, faults, final, free_port, growing, packets, run,
                     size, test)
from taps import Pictures, Sound, is_missing, nearest, tapped

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


# All that the issue of lip-sync names, one after the other, on one feed.
EVERYTHING = [(3, 99, ('shift', 3600)), (6, 99, ('shift', -3)), (9, 99, ('shift', 5)),
              (12, 17, 'silence'), (22, 22.2, 'restart'), (22, 99, ('shift', -3602)),
              (30, 30.4, 'loss')]
OUTAGES, LOSSES, JUMPS = 2, 1, 3
# Where a clock jumps nobody knows how long the last interval of its PCR was; 80 ms are usual here.
STEP = 0.08 + taps.FADE_IN
KEPT = 4 / RATE
LATENCY = 1                     # s; at most, by which the programme is behind when it ends
PRIMING = 1024 / 48000          # a coder of AAC begins with a frame of nothing


def usual_distance(t):
    """Of the clip itself: the middle of a beep - its flash."""
    check(t.gst_launch(
        f'filesrc location={quiet_clip("left")} ! tsdemux name=d '
        f'd. ! {taps.ROOM} ! h264parse ! avdec_h264 ! {taps.FORMATS["v"]} ! gdppay ! filesink '
        f'location={t.dir}/usual-v '
        f'd. ! {taps.ROOM} ! aacparse ! avdec_aac ! {taps.FORMATS["a"]} ! gdppay ! filesink '
        f'location={t.dir}/usual-a').wait(60) == 0, 'the clip itself')
    pictures, sound = Pictures(t.dir / 'usual-v', RATE), Sound(t.dir / 'usual-a', 0)
    return statistics.median(nearest(sound.beeps, flash) - flash for flash in pictures.flashes)


def groups(found, apart=2):
    """Holes that belong together, as [from, to]."""
    merged = []
    for begin, end in sorted(hole for hole in found if hole[0] > 0 and hole[1] < float('inf')):
        if merged and begin - merged[-1][1] < apart:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([begin, end])
    return merged


def check_source(t, name, pictures, sound, usual, faulty):
    """Behind timestampregen: each flash has its beep where the clip has it, and each beep its flash,
    unless what should be there is really missing. And that is so only where something was lost."""
    lost = groups(pictures.holes + sound.holes)
    lengths = [end - begin for begin, end in lost]
    check(sum(length > 1 for length in lengths) == OUTAGES * faulty and
          sum(STEP < length <= 1 for length in lengths) <= LOSSES * faulty and
          sum(length <= STEP for length in lengths) <= JUMPS * faulty, f'{name}: holes: {lost}')
    errors = []
    for flash in pictures.flashes:
        error = nearest(sound.beeps, flash + usual) - flash - usual
        if abs(error) < 0.4:
            errors.append((round(flash, 2), round(error * 1000, 2)))
        else:
            check(is_missing(sound.holes, flash + usual, 0.1), f'{name}: no beep for {flash:.2f}')
    for beep in sound.beeps:
        if abs(nearest(pictures.flashes, beep - usual) - beep + usual) >= 0.4:
            check(is_missing(pictures.holes, beep - usual, 0.1), f'{name}: no flash for {beep:.2f}')
    worst = max(abs(error) for _, error in errors)
    t.note(f'{name}: holes {[round(length, 2) for length in lengths]}; {len(errors)} flashes, '
           f'lip-sync off by {worst:.2f} ms at most')
    check(worst <= LIP_SYNC and len(errors) >= 15, f'{name}: lip-sync: {errors}')


def is_kept_too_long(found, due):
    """A decoder lets go of its last pictures when the next ones come: behind an outage, too late."""
    return any(end - begin > 1 and begin - KEPT <= due <= begin for begin, end in groups(found))


def check_halves(t, path, halves):
    """In the programme: the sound of both feeds is where its stamps say, the pictures within one of
    its frames."""
    start = packets(path, 'a')[0][0]
    shifts = {}
    for name, crop, channel, pictures, sound in halves:
        raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:a', '-af',
                              f'pan=mono|c0=c{channel}', '-f', 's16le', '-'], capture_output=True,
                             check=True, env=environment()).stdout
        heard = [middle for _, middle in taps.beeps(array.array('h', raw), start)]
        seen = flashes(path, crop)
        end = min(pictures.holes[-1][0], sound.holes[-1][0]) - LATENCY
        shift = statistics.median(min((beep - due for beep in heard), key=lambda x: abs(x - 3600))
                                  for due in sound.beeps)
        shifts[name] = shift
        late = [(round(due, 2), round((nearest(heard, due + shift) - due - shift) * 1000, 2))
                for due in sound.beeps if due < end]
        early = [(round(due, 2), round((nearest(seen, due + shift - PRIMING) - due - shift + PRIMING) *
                                       1000, 2)) for due in pictures.flashes
                 if due < end and not is_kept_too_long(pictures.holes, due)]
        t.note(f'{name}: {len(late)} beeps within {max(abs(error) for _, error in late):.2f} ms, '
               f'{len(early)} flashes from {min(error for _, error in early):.1f} to '
               f'{max(error for _, error in early):.1f} ms')
        wrong = [(at, error) for at, error in early if not -1000 / 30 - LIP_SYNC <= error <= LIP_SYNC]
        check(not wrong, f'{name}: pictures: {wrong}; holes: {pictures.holes}')
        wrong = [(at, error) for at, error in late if abs(error) > LIP_SYNC]
        # Exact in most runs; a single beep was 4.7 ms early in one of about twenty, and its cause is
        # not known. What leaves timestampregen is held to LIP_SYNC without exception.
        check(len(wrong) <= 1 and all(abs(error) <= 10 for _, error in wrong), f'{name}: sound: {wrong}')
    check(max(shifts.values()) - min(shifts.values()) <= LIP_SYNC / 1000, f'sound: {shifts}')


@test(limit=240)
def the_composite_keeps_its_lip_sync(t):
    """composite-srt.pipeline, whose left feed has everything, and whose right feed has nothing."""
    ports = free_port(), free_port()
    encoders = [Srt(t, port) for port in ports]
    feeds = [Feed(encoders[0], quiet_clip('left'), EVERYTHING),
             Feed(encoders[1], quiet_clip('right'), [])]
    for encoder in encoders:
        t.wait(encoder.ready, 'the encoder listens', limit=60)
    text = (PIPELINES / 'composite-srt.pipeline').read_text()
    for pad, kind in ('0', 'v'), ('1', 'a'):
        for half in '12':
            text = tapped(text, f'regen{half}.src_{pad}', kind, t.dir / f'{kind}{half}')
    pipeline = t.dir / 'composite.pipeline'
    pipeline.write_text(text)
    recorder = t.run_pipeline(pipeline, set={
        'SRT_URI_1': f'srt://127.0.0.1:{ports[0]}?mode=caller',
        'SRT_URI_2': f'srt://127.0.0.1:{ports[1]}?mode=caller', 'OUT': t.dir / 'out', **SMALL,
        # What a coder makes of a beep does not move its middle then. With M/S stereo it does, by up
        # to 6 ms: where the beeps of the two feeds begin or end within some milliseconds of each
        # other, one is heard in the other's channel.
        'AUDIO_ENCODER': 'avenc_aac bitrate=320000 aac-ms=false'})
    for feed in feeds:
        feed.start()
    t.wait(lambda: all(size(t.dir / tap) for tap in ('v1', 'v2')) and growing(t.dir) and
           all(size(path) for path in growing(t.dir)), 'the composite is recorded', limit=60,
           alive=[recorder])
    feeds[0].begin()
    while feeds[0].lasts() < 36:
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
    halves = [('left', LEFT, 0, Pictures(t.dir / 'v1', RATE), Sound(t.dir / 'a1', 0)),
              ('right', RIGHT, 1, Pictures(t.dir / 'v2', RATE), Sound(t.dir / 'a2', 1))]
    usual = usual_distance(t)
    for name, _, _, shown, heard in halves:
        check_source(t, name, shown, heard, usual, name == 'left')
    check_halves(t, path, halves)


run()
