#!/usr/bin/env python3
# keeprolling - a live source whose clock does everything wrong, through timestampregen
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clip with a white flash and a beep each second is sent over UDP in real time. On the way its
clock jumps, it falls silent, it restarts from zero, packets get lost. What is recorded has to have
one timeline, and flash and beep have to stay together."""

import bisect
import re
import signal
import time

from flashes import (RATE, Feed, Udp, check_rising, flash_clip, flashes, holes, lip_sync,
                     lip_sync_errors, usual_offset)
from support import check, free_port, run, test, tscheck


def kinds(output):
    return re.findall(r'timestampregen-discontinuity, pad=\(string\)(\w+), '
                      r'kind=\(string\)([a-z0-9-]+), delta-ns=\(gint64\)(-?\d+)', output)


RECORD = ('udpsrc address=127.0.0.1 port={port} caps=video/mpegts,systemstream=true,packetsize=188 '
          'buffer-size=4000000 ! tsdemux name=d latency=300 {demux} timestampregen name=t '
          'mpegtsmux name=m pcr-interval=2700 ! filesink location={out} '
          'd. ! queue ! h264parse ! identity silent=false name=in_v ! t.sink_0 '
          'd. ! queue ! aacparse ! identity silent=false name=in_a ! t.sink_1 '
          't.src_0 ! identity silent=false name=out_v ! queue ! m. '
          't.src_1 ! identity silent=false name=out_a ! queue ! m.')
MUXER_BEGINS = 3600              # mpegtsmux gives running time 0 this stamp

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
    launch = t.spawn(['gst-launch-1.0', '-e', '-m', '-v', *description.format(port=port, out=out, **words).split()],
                     name=name)
    t.wait(lambda: 'PLAYING' in launch.output(), 'the recorder runs', alive=[launch])
    feed = Feed(Udp(port), flash_clip(), troubles)
    feed.start()
    feed.begin()
    time.sleep(seconds)
    feed.stop()
    check(launch.stop(signal.SIGINT) == 0, 'exit status')
    return out, launch.output()


class Passage:
    """The buffers of a stream in front of timestampregen and behind it, by what `identity` says.
    Times are in seconds of running time."""

    LINE = (r'(in|out)_{}: last-message = (?:chain .*dts: (\S+), pts: (\S+), duration'
            r'|event .*GstEventSegment.*base=\(guint64\)(\d+).*start=\(guint64\)(\d+))')

    def __init__(self, said, stream):
        moved = {'in': 0, 'out': 0}
        self.buffers = []        # (PTS behind, PTS in front or None, waits)
        arrived, last, since_step = None, None, 0
        for side, dts, pts, base, start in re.findall(self.LINE.format(stream), said):
            if base:
                moved[side] = (int(base) - int(start)) / 1e9
                continue
            pts, dts = (seconds(stamp, moved[side]) for stamp in (pts, dts))
            if side == 'in':
                now = dts if dts is not None else pts
                if now is not None:
                    regular = last is None or 0 < now - last <= 1
                    last, since_step = now, since_step + 1 if regular else 0
                arrived = pts
            else:
                # A step is believed with the third buffer.
                self.buffers.append((pts, arrived, since_step < 3))
        self.buffers.sort(key=lambda buffer: buffer[0])

    def at(self, time):
        """The buffer that is shown or heard at this time behind it."""
        return self.buffers[bisect.bisect(self.buffers, time + 0.001, key=lambda buffer: buffer[0]) - 1]


def seconds(stamp, moved):
    """None for `none`, as identity writes it."""
    if not stamp[0].isdigit():
        return None
    hours, minutes, rest = stamp.split(':')
    return int(hours) * 3600 + int(minutes) * 60 + float(rest) + moved


def added_errors(path, said):
    """(time, lip-sync error in front, what timestampregen adds to it, whether one of the two waits
    for a step to be believed), in ms, for each flash of the recording whose beep came near it."""
    pictures, sounds = Passage(said, 'v'), Passage(said, 'a')
    found = []
    for flash, offset in lip_sync(path):
        shown, picture, picture_waits = pictures.at(flash - MUXER_BEGINS)
        heard, sound, sound_waits = sounds.at(flash + offset / 1000 - MUXER_BEGINS)
        if picture is None or sound is None or abs((heard - sound) - (shown - picture)) > 0.4:
            continue             # not one session: there is no distance to keep
        added = ((heard - sound) - (shown - picture)) * 1000
        found.append((round(flash, 2), round(offset - usual_offset() - added, 2), round(added, 3),
                      picture_waits or sound_waits))
    return found


def check_errors(t, path, allowed):
    errors = tscheck(path)
    if errors is None:
        return
    t.note(f'tscheck: {errors}')
    check(not NEVER & set(errors), f'tscheck: {errors}')
    check(set(errors) <= allowed, f'tscheck: {errors}')


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
                          'pts_gap', 'dts_gap', 'pts_interval700', 'pat_interval',
                          'pmt_interval'})
    errors = lip_sync_errors(out)
    exact = [error for _, error in errors if abs(error) <= 2]
    t.note(f'lip-sync: {len(exact)} of {len(errors)} flashes within 2 ms, worst '
           f'{max(abs(error) for _, error in errors):.2f} ms')
    added = added_errors(out, said)
    for at, before, more, waits in added:
        if max(abs(before), abs(more)) > 2:
            t.note(f'flash at {at - MUXER_BEGINS:.2f}: off by {before} ms in front of timestampregen, '
                   f'which adds {more} ms{" while it waits" if waits else ""}')
    # What tsdemux hands over is not ours: it moves sound and picture bit by bit, not at the same
    # time, and a beep that lost a frame to it begins elsewhere. Nothing may be added to that but
    # while a step is not yet believed.
    check(len(added) >= 30 and len(exact) >= 0.75 * len(errors), f'lip-sync: {errors}')
    # What was wrong in front and is right behind was taken away, not added.
    check(all(abs(more) <= (45 if waits else 0.1) or abs(before + more) <= 2
              for _, before, more, waits in added), f'added: {added}')
    check(all(abs(error) < 45 for _, error in errors) and
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
    shown = flashes(out)
    late = [at for at in shown if at - pictures[0] > 34]
    t.note(f'{len(pictures)} frames, {len(shown)} flashes, {len(late)} of them after the last trouble')
    check(len(shown) >= 28 and len(late) >= 3, 'the tile is frozen')


run()
