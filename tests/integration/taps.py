# keeprolling - what flows between two elements of a pipeline, with its exact stamps
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tap writes each buffer with its stamp into a file (gdppay). It tells when a flash or a beep is
due, and which pictures and which sound are missing, before anything is sampled, mixed or encoded."""

import array
import re
import struct

from support import check

HEADER = 62             # of the GStreamer Data Protocol, version 1.0
BUFFER = 1
SILENCE = 9600          # samples
LOUD = 6000             # of 32767
ROUNDING = 0.0015       # s; more is a hole
# A decoder of sound fades in behind a hole: what begins within three frames begins late.
FADE_IN = 0.065
AT_END = 0.5
ROOM = 'queue max-size-time=0 max-size-bytes=0 max-size-buffers=0'
FORMATS = {'v': 'videoconvert ! videoscale ! video/x-raw,format=GRAY8,width=16,height=16',
           'a': 'audioconvert ! audio/x-raw,format=S16LE,channels=2'}


def tapped(text, pad, kind, path):
    """The launch text with a tap behind the pad of that name; kind: v, a."""
    name = 'tap_' + re.sub(r'\W', '_', pad)
    check(text.count(f' {pad} ! ') == 1, f'{pad} is not in the pipeline, or twice')
    return text.replace(f' {pad} ! ', f' {name}. ! {ROOM} ! {FORMATS[kind]} ! gdppay ! filesink '
                        f'async=false buffer-mode=unbuffered location={path}\n    '
                        f'{pad} ! tee name={name} ! ')


def buffers(path):
    """(stamp in s, bytes)"""
    data, at = path.read_bytes(), 0
    while at + HEADER <= len(data):
        kind, size, stamp = struct.unpack_from('>HIQ', data, at + 4)
        if kind == BUFFER:
            yield stamp / 1e9, data[at + HEADER:at + HEADER + size]
        at += HEADER + size


def with_end(found, last):
    """Holes, with what is missing just before the end as part of it: the end cuts a picture off from
    those that it refers to."""
    at_end = [hole for hole in found if hole[1] > last - AT_END]
    return [*found[:len(found) - len(at_end)],
            (min([last, *(begin for begin, _ in at_end)]), float('inf'))]


class Pictures:
    """flashes; holes as (from, to), outside of which every picture is there."""

    def __init__(self, path, rate):
        self.flashes, self.holes = [], []
        bright, last = False, None
        for stamp, data in buffers(path):
            if last is None:
                self.holes.append((float('-inf'), stamp))
            elif stamp - last > 1 / rate + ROUNDING:
                self.holes.append((last, stamp))
            was, bright = bright, sum(data) / len(data) > 100
            if bright and not was:
                self.flashes.append(stamp)
            last = stamp
        self.holes = with_end(self.holes, last)


def beeps(samples, begin, rate=48000):
    """(begins, middle of its energy) of each beep in continuous sound."""
    found, quiet = [], SILENCE + 1
    for number, sample in enumerate(samples):
        if abs(sample) <= LOUD:
            quiet += 1
            continue
        if quiet > SILENCE:
            part = range(max(0, number - rate // 20), min(len(samples), number + rate // 10))
            energy = [samples[at] ** 2 for at in part]
            middle = sum(at * much for at, much in zip(part, energy)) / sum(energy)
            found.append((begin + number / rate, begin + middle / rate))
        quiet = 0
    return found


class Sound:
    """beeps of a channel, but for those of which a part is missing; holes."""

    def __init__(self, path, channel, rate=48000):
        self.beeps, self.holes = [], [(float('-inf'), 0)]
        pieces, end = [], None
        for stamp, data in buffers(path):
            if end is None or abs(stamp - end) > ROUNDING:
                pieces.append((stamp, array.array('h')))
                self.holes.append((float('-inf') if end is None else end, stamp + FADE_IN))
            samples = array.array('h', data)[channel::2]
            pieces[-1][1].extend(samples)
            end = stamp + len(samples) / rate
        self.holes = with_end(self.holes, end)
        for begin, samples in pieces:
            self.beeps += [middle for at, middle in beeps(samples, begin)
                           if begin + FADE_IN < at < begin + len(samples) / rate - FADE_IN]


def is_missing(holes, stamp, margin):
    """Whether what should be at that time is, at least in part, in a hole."""
    return any(begin - margin <= stamp <= end + margin for begin, end in holes)


def nearest(stamps, stamp):
    return min(stamps, key=lambda other: abs(other - stamp), default=float('inf'))
