#!/usr/bin/env python3
# keeprolling - two live feeds in one picture, of which one dies, comes late or never
# SPDX-License-Identifier: LGPL-2.1-or-later

import time

from support import (PIPELINES, SCALE, SrtFeed, check, clip, decode_errors, faults, final,
                     free_port, growing, loudness, motion, packets, run, size, test)

RATE = 30
LEFT, RIGHT = 'iw/2:ih:0:0', 'iw/2:ih:iw/2:0'
BLACK = 20              # mean brightness; video black is 16
STILL = 0.3             # mean difference of two frames
# Small, so that the machine's speed is not what is tested.
SMALL = {'WIDTH': 640, 'HALF_WIDTH': 320, 'HEIGHT': 180,
         'VIDEO_ENCODER': 'x264enc tune=zerolatency speed-preset=ultrafast bitrate=1500 key-int-max=30'}


def composite(t, *uris):
    return t.run_pipeline(PIPELINES / 'composite-srt.pipeline',
                          set={'SRT_URI_1': uris[0], 'SRT_URI_2': uris[1], 'OUT': t.dir / 'out', **SMALL})


def feeds(t):
    return (SrtFeed(t, clip('left', rate=30)),
            SrtFeed(t, clip('right', rate=30, frequency=1000)))


def recorded(t):
    """Bytes that are visible of the growing recording."""
    return sum(size(path) for path in growing(t.dir))


def finish(t, recorder):
    check(recorder.stop() == 0, 'exit status')
    check(not growing(t.dir), 'a temporary name is left')
    [path] = final(t.dir)
    return path


def check_constant_rate(path):
    stamps = [pts for pts, _, _ in packets(path)]
    steps = [b - a for a, b in zip(stamps, stamps[1:])]
    wrong = [(round(stamp, 3), round(step, 4)) for stamp, step in zip(stamps, steps)
             if abs(step - 1 / RATE) > 0.001]
    check(not wrong, f'frames out of step: {wrong[:10]}')
    sound = [pts for pts, _, _ in packets(path, 'a')]
    wrong = [(round(a, 3), round(b - a, 4)) for a, b in zip(sound, sound[1:])
             if abs(b - a - 1024 / 48000) > 0.001]
    check(not wrong, f'sound out of step: {wrong[:10]}')


def stills(half, start=0):
    """(from, to) in frames of every stretch without motion, 0.4 s or longer."""
    found, since = [], None
    for number, (difference, _) in enumerate([*half[start:], (255, 0)], start):
        if difference > STILL:
            if since is not None and number - since >= 0.4 * RATE:
                found.append((since, number))
            since = None
        elif since is None:
            since = number
    return found


def first_motion(half):
    return next((number for number, (difference, _) in enumerate(half) if difference > STILL),
                len(half))


@test(limit=180)
def a_feed_dies_for_five_seconds(t):
    left, right = feeds(t)
    left.start(), right.start()
    recorder = composite(t, left.uri, right.uri)
    t.wait(lambda: left.sent() > 5 and right.sent() > 5, 'both feeds are fetched', limit=60,
           alive=[recorder])
    killed = time.monotonic()
    right.kill()
    time.sleep(5)
    # Back as another encoder would be: sound first, under other PIDs.
    right.start('-map', '0:a', '-map', '0:v', '-mpegts_start_pid', '0x300')
    dead = time.monotonic() - killed
    t.wait(lambda: right.sent() > 6, 'the feed is fetched again', limit=60, alive=[recorder])
    path = finish(t, recorder)

    check_constant_rate(path)
    picture = {name: motion(path, crop) for name, crop in (('left', LEFT), ('right', RIGHT))}
    start = first_motion(picture['left'])
    check(not stills(picture['left'], start), f'left freezes: {stills(picture["left"], start)}')
    outages = stills(picture['right'], first_motion(picture['right']))
    # From the last moving frame over the repeated one (1 s) and black to the first moving frame.
    check(outages, 'right never stopped')
    away = (outages[-1][1] - outages[0][0]) / RATE
    t.note(f'dead for {dead:.2f} s, still for {away:.2f} s: back after {away - dead:.2f} s')
    check(away - dead <= 3 * SCALE, f'back after {away - dead:.2f} s')
    dark = sum(1 for _, brightness in picture['right'][outages[0][0]:outages[-1][1]]
               if brightness < BLACK)
    check(dark > RATE, 'the dead half did not turn black')
    check(not faults(path), f'{faults(path)}')
    check(not decode_errors(path), decode_errors(path))


@test(limit=120)
def an_absent_feed_holds_up_nothing(t):
    left, right = feeds(t)
    left.start()
    recorder = composite(t, left.uri, right.uri)
    t.wait(lambda: left.sent() > 5 and recorded(t) > 0, 'the present feed is shown', limit=60,
           alive=[recorder])
    right.start()
    t.wait(lambda: right.sent() > 5, 'the late feed is fetched', limit=60, alive=[recorder])
    path = finish(t, recorder)

    check_constant_rate(path)
    picture = {name: motion(path, crop) for name, crop in (('left', LEFT), ('right', RIGHT))}
    first, late = first_motion(picture['left']), first_motion(picture['right'])
    t.note(f'left moves from {first / RATE:.2f} s on, right from {late / RATE:.2f} s on')
    check(late < len(picture['right']), 'the late feed is never shown')
    check(late - first > 2 * RATE, 'nothing was seen before the late feed came')
    check(all(brightness < BLACK for _, brightness in picture['right'][:late - 5]),
          'the absent half is not black')
    check(not stills(picture['left'], first), f'left freezes: {stills(picture["left"], first)}')
    end = len(picture['left']) / RATE
    early, both = (loudness(path, 1000, start=max(0, moment), seconds=0.8)
                   for moment in (late / RATE - 1.5, end - 1.5))
    tone = loudness(path, 440, start=end - 1.5, seconds=0.8)
    t.note(f'tone of the late feed {early:.4f} before, {both:.4f} after; of the other {tone:.4f}')
    check(both > 0.02 and tone > 0.02, 'the sound is not mixed')
    check(early < both / 10, 'sound of a feed that is not there')


@test(limit=90)
def nobody_there_is_recorded_too(t):
    recorder = composite(t, *(f'srt://127.0.0.1:{free_port()}?mode=caller' for _ in range(2)))
    t.wait(lambda: recorded(t) > 0, 'black and silence are recorded', limit=40, alive=[recorder])
    time.sleep(2)
    path = finish(t, recorder)
    check_constant_rate(path)
    check(all(brightness < BLACK for _, brightness in motion(path, LEFT)), 'not black')


run()
