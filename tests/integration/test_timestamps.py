#!/usr/bin/env python3
# keeprolling - a live source whose clock does everything wrong, through timestampregen
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clip with a white flash and a beep each second is sent over UDP in real time. On the way its
clock jumps, it falls silent, it restarts from zero, packets get lost. What is recorded has to have
one timeline, and flash and beep have to stay together."""

import fcntl
import json
import re
import signal
import socket
import statistics
import subprocess
import threading
import time

from support import (BUILD, SCALE, check, environment, free_port, packets, run, test, tscheck)

PACKET = 188
MODULUS = 1 << 33
RATE = 25
SECONDS = 48


def flash_clip():
    """One flash of one frame and one beep of 40 ms at each half second of the clock; B-frames."""
    folder = BUILD / 'test-media'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'flash-and-beep-{SECONDS}.ts'
    with open(folder / f'{path.name}.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        part = path.with_suffix('.part')
        flash = r"drawbox=c=white:t=fill:enable='lt(mod(t+0.5\,1)\,0.039)'"
        beep = r"if(lt(mod(t+0.5\,1)\,0.04)\,0.8*sin(2*PI*1000*t)\,0)"
        subprocess.run(
            ['ffmpeg', '-v', 'error', '-y', '-nostdin', '-f', 'lavfi', '-i',
             f'color=black:s=320x180:r={RATE},{flash}', '-f', 'lavfi', '-i',
             f"aevalsrc='{beep}':s=48000", '-t', str(SECONDS), '-c:v', 'libx264', '-preset',
             'veryfast', '-bf', '2', '-g', str(RATE), '-sc_threshold', '0', '-c:a', 'aac', '-f',
             'mpegts', '-pcr_period', '20', '-muxdelay', '0.2', part],
            check=True, env=environment())
        part.rename(path)
    return path


# --- a transport stream with another clock --------------------------------------------------

def read_stamp(packet, at):
    return ((packet[at] >> 1 & 7) << 30 | packet[at + 1] << 22 | packet[at + 2] >> 1 << 15 |
            packet[at + 3] << 7 | packet[at + 4] >> 1)


def write_stamp(packet, at, value):
    value %= MODULUS
    packet[at] = packet[at] & 0xf1 | (value >> 30 & 7) << 1
    packet[at + 1] = value >> 22 & 0xff
    packet[at + 2] = value >> 14 & 0xfe | 1
    packet[at + 3] = value >> 7 & 0xff
    packet[at + 4] = value << 1 & 0xfe | 1


def pcr_of(packet):
    """In 90 kHz, or None."""
    if packet[3] & 0x20 and packet[4] >= 7 and packet[5] & 0x10:
        return (packet[6] << 25 | packet[7] << 17 | packet[8] << 9 | packet[9] << 1 |
                packet[10] >> 7)
    return None


def shift(packet, ticks):
    """Moves PCR, PTS and DTS of a packet."""
    pcr = pcr_of(packet)
    if pcr is not None:
        pcr = (pcr + ticks) % MODULUS
        packet[6:10] = (pcr >> 1).to_bytes(4, 'big')
        packet[10] = packet[10] & 0x7f | (pcr & 1) << 7
    payload = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    if packet[1] & 0x40 and packet[3] & 0x10 and payload + 19 <= PACKET and \
            packet[payload:payload + 3] == b'\0\0\1' and packet[payload + 3] in (0xe0, 0xc0):
        flags = packet[payload + 7]
        for at, bit in (payload + 9, 0x80), (payload + 14, 0x40):
            if flags & bit:
                write_stamp(packet, at, read_stamp(packet, at) + ticks)


class Feed(threading.Thread):
    """Sends a clip in real time. troubles: (from second, to second, what) in the clip's time;
    what is ('shift', seconds), 'silence' (nothing is sent) or 'loss' (every third datagram is)."""

    def __init__(self, path, port, troubles):
        super().__init__(daemon=True)
        data = path.read_bytes()
        self.packets = [data[at:at + PACKET] for at in range(0, len(data) - PACKET + 1, PACKET)]
        self.address = ('127.0.0.1', port)
        self.troubles = troubles
        self.stopping = threading.Event()

    def at(self, now):
        found = [what for begin, end, what in self.troubles if begin <= now < end]
        ticks = sum(round(what[1] * 90000) for what in found if what[0] == 'shift')
        return ticks, 'silence' in found, 'loss' in found

    def run(self):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        first, now, datagram, number, began = None, 0.0, b'', 0, time.monotonic()
        for packet in self.packets:
            packet = bytearray(packet)
            pcr = pcr_of(packet)
            if pcr is not None:
                first = pcr if first is None else first
                now = (pcr - first) / 90000
                if self.stopping.wait(max(0, began + now - time.monotonic())):
                    return
            ticks, silent, lossy = self.at(now)
            shift(packet, ticks)
            datagram += packet
            if len(datagram) == 7 * PACKET:
                number += 1
                if not silent and not (lossy and number % 3):
                    sender.sendto(datagram, self.address)
                datagram = b''


# --- what has been recorded ------------------------------------------------------------------

def levels(graph, tag):
    done = subprocess.run(['ffprobe', '-v', 'quiet', '-f', 'lavfi', '-i', graph, '-show_entries',
                           f'frame=pts_time:frame_tags={tag}', '-of', 'json'],
                          capture_output=True, text=True, env=environment(), check=False)
    return [(float(frame['pts_time']), float(frame['tags'][tag]))
            for frame in json.loads(done.stdout)['frames']
            if tag in frame.get('tags', {}) and 'nan' not in frame['tags'][tag]]


def rises(series, threshold):
    found, loud = [], False
    for stamp, level in series:
        if level > threshold and not loud and (not found or stamp - found[-1] > 0.3):
            found.append(stamp)
        loud = level > threshold
    return found


def lip_sync(path):
    """Sound - picture in ms, per flash that has its beep."""
    flashes = rises(levels(f'movie={path}:f=mpegts,signalstats', 'lavfi.signalstats.YAVG'), 100)
    beeps = rises(levels(f'amovie={path}:f=mpegts,asetnsamples=48:p=0,astats=metadata=1:reset=1',
                         'lavfi.astats.Overall.RMS_level'), -35)
    pairs = [(flash, min(beeps, key=lambda beep: abs(beep - flash))) for flash in flashes]
    return [(flash, (beep - flash) * 1000) for flash, beep in pairs if abs(beep - flash) < 0.4]


def check_rising(path, stream):
    stamps = [dts if dts is not None else pts for pts, dts, _ in packets(path, stream)]
    check(None not in stamps, f'{stream}: a packet without stamp')
    wrong = [(round(a, 3), round(b, 3)) for a, b in zip(stamps, stamps[1:]) if b <= a]
    check(not wrong, f'{stream}: stamps go back: {wrong[:5]}')
    return stamps


def holes(stamps, longest):
    return [(round(a, 2), round(b - a, 3)) for a, b in zip(stamps, stamps[1:]) if b - a > longest]


def kinds(output):
    return re.findall(r'timestampregen-discontinuity, pad=\(string\)(\w+), '
                      r'kind=\(string\)([a-z0-9-]+), delta-ns=\(gint64\)(-?\d+)', output)


RECORD = ('udpsrc address=127.0.0.1 port={port} caps=video/mpegts,systemstream=true,packetsize=188 '
          'buffer-size=4000000 ! tsdemux name=d latency=300 {demux} timestampregen name=t '
          'mpegtsmux name=m pcr-interval=2700 ! filesink location={out} '
          'd. ! queue ! h264parse ! t.sink_0 d. ! queue ! aacparse ! t.sink_1 '
          't.src_0 ! queue ! m. t.src_1 ! queue ! m.')

# A second source that never fails; the clip's picture in front of it.
COMPOSE = ('udpsrc address=127.0.0.1 port={port} caps=video/mpegts,systemstream=true,packetsize=188 '
           'buffer-size=4000000 ! tsdemux latency=300 ! queue ! h264parse ! timestampregen name=t ! '
           'queue max-size-time=3000000000 max-size-buffers=0 max-size-bytes=0 ! avdec_h264 ! queue ! c.sink_1 '
           'videotestsrc is-live=true pattern=black ! video/x-raw,width=320,height=180,framerate=25/1 ! '
           'c.sink_0 compositor name=c latency=500000000 sink_0::zorder=1 sink_1::zorder=2 ! video/x-raw,format=I420,width=320,height=180,framerate=25/1 ! '
           'queue ! x264enc tune=zerolatency speed-preset=ultrafast ! mpegtsmux ! filesink location={out}')

# What a muxer may never be made to write. Holes are the truth where something was lost.
NEVER = {'sync_loss', 'cc', 'crc', 'pcr_backward', 'pcr_missing', 'no_pts', 'pts_lt_dts', 'dts_equal',
         'dts_back', 'pts_dup', 'late_dts', 'lead_big', 'av_step', 'audio_badsync', 'pmt_change'}

JUMPS = [(5, 99, ('shift', 3600)), (9, 99, ('shift', -3)), (13, 99, ('shift', 5)),
         (17, 99, ('shift', -3602 - 17))]
BAD_DAY = [(5, 99, ('shift', 3600)), (9, 99, ('shift', -3)), (13, 99, ('shift', 5)),
           (17, 22, 'silence'), (27, 99, ('shift', -3602 - 27)), (33, 33.4, 'loss')]


def send(t, name, description, troubles, seconds, **words):
    """Sends the clip with its troubles for so long; returns the recording and what was said."""
    port = free_port()
    out = t.dir / f'{name}.ts'
    launch = t.spawn(['gst-launch-1.0', '-e', '-m', *description.format(port=port, out=out, **words).split()],
                     name=name)
    t.wait(lambda: 'PLAYING' in launch.output(), 'the recorder runs', alive=[launch])
    feed = Feed(flash_clip(), port, troubles)
    feed.start()
    time.sleep(seconds)
    feed.stopping.set()
    feed.join()
    check(launch.stop(signal.SIGINT) == 0, 'exit status')
    return out, launch.output()


def check_errors(t, path, allowed):
    errors = tscheck(path)
    if errors is None:
        return
    t.note(f'tscheck: {errors}')
    check(not NEVER & set(errors), f'tscheck: {errors}')
    check(set(errors) <= allowed, f'tscheck: {errors}')


def lip_sync_errors(path):
    """ms per flash against the clip itself."""
    usual = statistics.median(offset for _, offset in lip_sync(flash_clip()))
    return [(round(at, 2), round(offset - usual, 2)) for at, offset in lip_sync(path)]


@test(limit=240)
def jumps_leave_no_trace(t):
    """+1 h, -3 s, +5 s and a restart from zero: nothing was lost, so nothing is missing. The stamps
    come as they were sent: tsdemux does not measure them against its own clock here."""
    out, said = send(t, 'jumps', RECORD, JUMPS, 22, demux='ignore-pcr=true')
    pictures, sounds = check_rising(out, 'v'), check_rising(out, 'a')
    t.note(f'told: {kinds(said)}')
    check(not holes(pictures[:-3], 0.041), f'picture: {holes(pictures[:-3], 0.041)}')
    check(not holes(sounds, 0.0225), f'sound: {holes(sounds, 0.0225)}')
    check({kind for _, kind, _ in kinds(said)} == {'jump-forward', 'jump-back'}, 'what was told')
    check_errors(t, out, set())
    errors = lip_sync_errors(out)
    check(len(errors) >= 18, f'{len(errors)} flashes')
    worst = max(abs(error) for _, error in errors)
    t.note(f'{len(errors)} flashes with their beep, lip-sync off by {worst:.2f} ms at most')
    check(worst <= 2, f'lip-sync: {errors}')


@test(limit=240)
def a_bad_day(t):
    """The same with an outage of 5 s and a loss burst, and with tsdemux as pipelines have it: at a
    jump it drops stamps, invents wild ones and moves both streams by up to 80 ms, none of which may
    reach the muxer."""
    out, said = send(t, 'bad-day', RECORD, BAD_DAY, 40, demux='')
    pictures = check_rising(out, 'v')
    check_rising(out, 'a')
    t.note(f'told: {kinds(said)}')
    long_holes = holes(pictures, 1)
    t.note(f'holes in the picture: {holes(pictures, 0.2)}')
    check(len(long_holes) == 1 and abs(long_holes[0][1] - 5) < 0.2, f'the outage: {long_holes}')
    lasted = pictures[-1] - pictures[0]
    check(abs(lasted - 40) < 1.5, f'40 s were sent, {lasted:.2f} s are on the timeline')
    # Sound and picture follow the same skew of tsdemux; the outage and the loss are holes.
    check_errors(t, out, {'audio_drift', 'audio_gap', 'audio_overlap', 'pcr_discont', 'pcr_interval',
                          'pts_gap', 'dts_gap', 'pts_interval700', 'pat_interval', 'pmt_interval'})
    errors = lip_sync_errors(out)
    exact = [error for _, error in errors if abs(error) <= 2]
    t.note(f'lip-sync: {len(exact)} of {len(errors)} flashes within 2 ms, worst '
           f'{max(abs(error) for _, error in errors):.2f} ms')
    # A beep that lost its first frame, or a flash in the middle of tsdemux' own correction, may be
    # off by a frame; none of it may last.
    check(len(errors) >= 30 and len(exact) >= 0.75 * len(errors) and
          all(abs(error) < 45 for _, error in errors) and
          all(abs(error) <= 2 for _, error in errors[-5:]), f'lip-sync: {errors}')


@test(limit=240)
def the_compositor_keeps_its_rate(t):
    """A wild stamp must not freeze the tile, a stall not the picture: full frame count."""
    out, said = send(t, 'composite', COMPOSE, BAD_DAY, 40)
    pictures = check_rising(out, 'v')
    t.note(f'told: {kinds(said)}')
    lasted = pictures[-1] - pictures[0]
    check(not holes(pictures, 0.045), f'holes: {holes(pictures, 0.045)[:5]}')
    check(len(pictures) >= 38 * RATE, f'{len(pictures)} frames in {lasted:.1f} s')
    flashes = rises(levels(f'movie={out}:f=mpegts,signalstats', 'lavfi.signalstats.YAVG'), 100)
    late = [at for at in flashes if at - pictures[0] > 34]
    t.note(f'{len(pictures)} frames, {len(flashes)} flashes, {len(late)} of them after the last trouble')
    check(len(flashes) >= 28 and len(late) >= 3, 'the tile is frozen')


run()
