#!/usr/bin/env python3
# keeprolling - the wall clock is set while recordings run
# SPDX-License-Identifier: LGPL-2.1-or-later

import datetime
import json
import subprocess

from recording import sanitized
from support import BUILD, KEEPROLLING, PIPELINES, Skip, SrtFeed, check, clip, run, test

HOUR = 3600


class Watched:
    """A recording under a supervisor whose wall clock the test sets."""

    def __init__(self, t):
        if sanitized():
            raise Skip('sanitizers and the preloaded library do not go together')
        self.t, self.clock = t, t.dir / 'clock'
        self.write_clock(0)
        self.feed = SrtFeed(t, clip()).start()
        path = t.dir / 'cam.pipeline'
        path.write_text((PIPELINES / 'record-srt.pipeline').read_text())
        self.supervisor = t.run_pipeline(
            path, set={'SRT_URI': self.feed.uri, 'OUT': t.dir / 'rec'}, KR_TEST_CLOCK=self.clock,
            LD_PRELOAD=BUILD / 'tests' / 'integration' / 'libclock-shim.so')
        self.wait(lambda: self.pipeline()['data']['last_keyframe'], 'it records')

    def wait(self, condition, what, limit=40):
        return self.t.wait(condition, what, limit, alive=[self.supervisor])

    def write_clock(self, seconds):
        fresh = self.clock.with_suffix('.new')
        fresh.write_text(str(seconds))
        fresh.rename(self.clock)

    def set_clock(self, seconds):
        self.write_clock(seconds)
        self.wait(lambda: abs(self.off_by() - seconds) < HOUR / 2, 'the clock is set')

    def off_by(self):
        """Seconds by which its clock is before ours."""
        its = datetime.datetime.fromisoformat(self.status()['time'])
        return (its - datetime.datetime.now(datetime.timezone.utc)).total_seconds()

    def status(self):
        """{} while nothing answers yet."""
        done = subprocess.run([KEEPROLLING, 'status', '--json', '--runtime-dir',
                               self.t.dir / 'runtime'], capture_output=True, text=True, check=False)
        return json.loads(done.stdout or '{}')

    def pipeline(self):
        pipelines = self.status().get('pipelines')
        return pipelines[0] if pipelines else {'data': {'last_keyframe': None}}

    def keyframe_age(self):
        """By the clock of the one who tells it."""
        status = self.status()
        stamp = datetime.datetime.fromisoformat
        return (stamp(status['time']) - stamp(status['pipelines'][0]['data']['last_keyframe'])
                ).total_seconds()


@test(limit=150)
def clock_set_back(t):
    cam = Watched(t)
    cam.set_clock(-HOUR)
    cam.wait(lambda: abs(cam.keyframe_age()) < HOUR / 2, 'keyframes are told by the new clock')
    check(0 < cam.status()['uptime_s'] < HOUR / 2, f"up {cam.status()['uptime_s']} s")
    check(cam.pipeline()['gaps_24h']['count'] == 0, cam.pipeline()['gaps_24h'])
    # Old stamps lie ahead now: they must not hide that nothing comes any more.
    cam.feed.kill()
    cam.wait(lambda: cam.pipeline()['state'] == 'reconnecting', 'the source is missed')
    cam.wait(lambda: cam.keyframe_age() > 2, 'the last keyframe gets older')
    cam.feed.start()
    cam.wait(lambda: cam.pipeline()['state'] == 'playing', 'it is back')
    cam.wait(lambda: cam.pipeline()['gaps_24h']['count'] == 1, 'the gap is counted')
    cam.supervisor.stop()


@test(limit=150)
def clock_set_forward_in_an_outage(t):
    cam = Watched(t)
    cam.feed.kill()
    cam.wait(lambda: cam.pipeline()['state'] == 'reconnecting', 'the source is missed')
    cam.set_clock(3 * HOUR)
    cam.wait(lambda: cam.pipeline()['gaps_24h']['count'] == 1, 'the gap is open')
    cam.feed.start()
    cam.wait(lambda: cam.pipeline()['state'] == 'playing', 'it is back')
    cam.wait(lambda: abs(cam.keyframe_age()) < HOUR / 2, 'keyframes are told by the new clock')
    lost = cam.pipeline()['gaps_24h']
    check(0 < lost['seconds'] < HOUR / 2, f'three hours were not lost: {lost}')
    check('the worker is being replaced' not in cam.supervisor.output(), cam.supervisor.output())
    cam.supervisor.stop()


run()
