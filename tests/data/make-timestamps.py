#!/usr/bin/env python3
# keeprolling - makes timestamps.json, the timestamp vectors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each scenario states what goes in and what ought to come out, from the meaning of the rule and
not from the implementation: nothing here computes a map. Times are ms.

    make-timestamps.py > timestamps.json

A row of "input" is [stream, pts, dts, arrival, duration, hint]; the hint is "discont", or "eos",
"start" or "gap" for what is no buffer. A row of "output" is [pts, dts, flags] or null = dropped;
"repeat" stands once for each repeated frame before the buffer. Kinds: v video without reordering,
raw raw video, vr reordering video, a audio, s sparse."""
import json

VECTORS = []
TS33, RTP32, MS32 = 2**33 / 90, 2**32 / 90, float(2**32)


class Vector:
    def __init__(self, name, note, streams, live=False, **cfg):
        self.v = dict(name=name, note=note, cfg=dict(live=live, **cfg),
                      streams=[list(s) for s in streams], input=[], output=[], messages=[],
                      stats={}, ppm=None)
        self.arrival = 0
        VECTORS.append(self.v)

    def row(self, s, pts, out, dts=None, out_dts=None, a=None, d=None, hint=None, flags=()):
        if a is not None:  # time does not go back
            a = self.arrival = max(a, self.arrival)
        self.v["input"].append([s, pts, dts, a, d, hint])
        self.v["output"].append(None if out is None else [out, out_dts, list(flags)])
        return self

    def same(self, s, times, **kw):
        for t in times:
            self.row(s, t, t, **kw)
        return self

    def event(self, s, what):
        self.v["input"].append([s, None, None, None, None, what])
        self.v["output"].append(None)
        return self

    def msg(self, s, kind, delta):
        self.v["messages"].append([s, kind, delta])
        return self

    def stats(self, s, **kw):
        self.v["stats"].setdefault(s, {}).update(kw)
        return self


V, A20, RAW, VR = ("v", "v", 40), ("a", "a", 20), ("v", "raw", 40), ("v", "vr", 40)


def clean():
    v = Vector("clean-av", "two streams, interleaved", [V, A20])
    for k in range(20):
        v.row("a", 20 * k, 20 * k)
        if k % 2 == 0:
            v.row("v", 20 * k, 20 * k)
    v.stats("v", in_=10, out=10, outlier=0, nudged=0).stats("a", in_=20, out=20, drop=0)
    v = Vector("clean-offset", "a start beyond zero stays where it is", [V, A20])
    v.same("v", range(7000, 7400, 40)).same("a", range(7010, 7400, 20))
    v = Vector("clean-ntsc", "a frame duration that is no whole number", [("v", "v", 1001 / 30)])
    v.same("v", [1001 / 30 * k for k in range(30)])
    v = Vector("clean-aac", "1024 samples at 44.1 kHz", [("a", "a", 1024 / 44.1)])
    v.same("a", [1024 / 44.1 * k for k in range(40)])
    v = Vector("clean-live", "arrival 30 ms late, with jitter", [V, A20], live=True)
    for k in range(30):
        v.row("v", 1000 + 40 * k, 1000 + 40 * k, a=1030 + 40 * k + k * 7 % 13)
        v.row("a", 1000 + 40 * k, 1000 + 40 * k, a=1031 + 40 * k + k * 5 % 11)
        v.row("a", 1020 + 40 * k, 1020 + 40 * k, a=1050 + 40 * k + k * 3 % 11)
    v = Vector("clean-bframes", "DTS and PTS as they came", [VR])
    for k, pts in enumerate([120, 280, 200, 160, 240, 440, 360, 320, 400]):
        v.row("v", pts, pts, dts=40 * k, out_dts=40 * k)
    v = Vector("clean-discont", "DISCONT on a regular stamp changes nothing", [V])
    v.same("v", [0, 40, 80]).row("v", 120, 120, hint="discont").same("v", [160, 200])
    v.stats("v", outlier=0)
    v = Vector("clean-hole", "a step of less than max-gap is the truth", [V])
    v.same("v", [0, 40, 80, 900, 940, 980]).stats("v", gap=0, outlier=0)
    v = Vector("clean-1fps", "one picture a second", [("v", "v", 1000)])
    v.same("v", range(0, 10000, 1000))


def missing():
    v = Vector("no-stamps-run", "five in a row without any", [A20])
    v.same("a", [0, 20])
    for k in range(5):
        v.row("a", None, 40 + 20 * k, flags=["ext"])
    v.same("a", [140, 160]).stats("a", no_pts=5, outlier=0)
    v = Vector("no-pts-first", "the stream begins without a stamp", [V])
    v.row("v", None, 0, flags=["ext"]).row("v", 40, 40).row("v", 80, 80).stats("v", no_pts=1)
    v = Vector("no-pts-with-dts", "no reordering: the DTS is the PTS", [V])
    v.row("v", 0, 0, dts=0, out_dts=0).row("v", None, 40, dts=40, out_dts=40)
    v.row("v", 80, 80, dts=80, out_dts=80).stats("v", no_pts=1, nudged=0)
    v = Vector("no-pts-bframes", "first display slot that is free", [VR])
    for k, (pts, out) in enumerate([(80, 80), (200, 200), (None, 120), (160, 160), (320, 320),
                                    (None, 240), (280, 280)]):
        v.row("v", pts, out, dts=40 * k, out_dts=40 * k)
    v.stats("v", no_pts=2, nudged=0)
    v = Vector("no-pts-leads", "a jump hides the PTS of a picture that B-frames come before", [VR])
    for k, (pts, out) in enumerate([(80, 80), (200, 200), (120, 120), (160, 160), (280, 280), (240, 240),
                                    (320, 320), (None, 440), (360, 360), (400, 400), (560, 560)]):
        v.row("v", pts, out, dts=40 * k, out_dts=40 * k)
    v.stats("v", no_pts=1, nudged=0)
    v = Vector("no-pts-taken", "nothing to guess by, and the guess was wrong: a half frame later", [VR])
    for k, (pts, out) in enumerate([(40, 40), (None, 80), (80, 100), (120, 120), (280, 280), (200, 200)]):
        v.row("v", pts, out, dts=40 * k, out_dts=40 * k)
    v.stats("v", no_pts=1, nudged=1)
    v = Vector("no-dts-once", "one DTS lost among good ones", [VR])
    for k, pts in enumerate([80, 200, 120, 160, 320, 240, 280]):
        v.row("v", pts, pts, dts=None if k == 3 else 40 * k, out_dts=40 * k)
    v.stats("v", no_dts=1, outlier=0)
    v = Vector("no-dts-shallow", "reordering over one picture only", [VR])
    for k, pts in enumerate([1000, 1080, 1040, 1160, 1120, 1240, 1200, 1320, 1280]):
        v.row("v", pts, pts, out_dts=840 + 40 * k)
    v.stats("v", no_dts=9, nudged=0)
    v = Vector("no-dts-from-zero", "the synthesized DTS would be negative: all move", [VR])
    for k, pts in enumerate([0, 120, 40, 80, 240, 160, 200]):
        v.row("v", pts, pts + 160, out_dts=40 * k)
    v.msg("v", "shift-negative", 160)
    v = Vector("pts-far-from-dts", "PTS 5 s after the DTS: the last good distance", [VR])
    v.row("v", 80, 80, dts=0, out_dts=0).row("v", 5040, 120, dts=40, out_dts=40)
    v.row("v", 160, 160, dts=80, out_dts=80).stats("v", nudged=1)
    v = Vector("pts-before-dts-twice", "raised and counted", [VR])
    v.row("v", 80, 80, dts=0, out_dts=0).row("v", 0, 40, dts=40, out_dts=40)
    v.row("v", 60, 100, dts=80, out_dts=80).row("v", 200, 200, dts=120, out_dts=120)
    v.stats("v", nudged=3)
    v = Vector("pts-doubled", "two pictures at one time: the second half a frame later", [VR])
    for k, (pts, out) in enumerate([(80, 80), (200, 200), (120, 120), (120, 140), (320, 320)]):
        v.row("v", pts, out, dts=40 * k, out_dts=40 * k)
    v.stats("v", nudged=1)


def disorder():
    v = Vector("dup-audio", "a stamp twice", [A20])
    v.same("a", [0, 20]).row("a", 20, 40, flags=["ext"]).same("a", [60, 80]).stats("a", outlier=1)
    v = Vector("dup-twice", "the same stamp three times", [V])
    v.same("v", [0, 40]).row("v", 40, 80, flags=["ext"]).row("v", 40, 120, flags=["ext"])
    v.same("v", [160, 200]).stats("v", outlier=2)
    v = Vector("jitter-edge", "40 ms early passes, and so does late", [("v", "v", 20)])
    v.same("v", [0, 50, 51, 52, 90, 100, 190, 200])
    for name, wild, n in (("forward-2", 3600000, 2), ("back-1", -3600000, 1), ("back-2", -5000, 2),
                          ("slight", -200, 1)):
        for live in (False, True):
            v = Vector("outlier-%s%s" % (name, "-live" if live else ""),
                       "wild stamps that come to nothing", [V], live=live)
            for k in range(10):
                t = 4000000 + 40 * k
                bad = 4 <= k < 4 + n
                v.row("v", t + wild if bad else t, t, a=t if live else None,
                      flags=["ext"] if bad else [])
            v.stats("v", outlier=n)
    v = Vector("outlier-alternating", "every second stamp is wild", [V])
    for k in range(13):
        v.row("v", 40 * k + (7777777 * k if k % 2 else 0), 40 * k, flags=["ext"] if k % 2 else [])
    v.stats("v", outlier=6)
    v = Vector("outlier-believed", "a DISCONT vouches for it, and then it was wrong", [V])
    v.same("v", [0, 40, 80]).row("v", 3600120, 120, hint="discont", flags=["discont"])
    v.row("v", 3600160, 160).row("v", 200, 200, flags=["discont"]).same("v", [240, 280])
    v.msg("v", "jump-forward", 3600000).msg("v", "outlier-return", -3600000)
    v.stats("v", outlier=0)
    v = Vector("outlier-burst-4", "long enough to be believed, then the old time again", [V])
    v.same("v", [0, 40])
    for k in range(5):
        v.row("v", 9000080 + 40 * k, 80 + 40 * k,
              flags=["ext"] if k < 2 else ["discont"] if k == 2 else [])
    v.row("v", 280, 280, flags=["discont"]).same("v", [320])
    v.msg("v", "jump-forward", 9000000).msg("v", "outlier-return", -9000000)


def wraps():
    # The last stamp is 30 ms before the wrap.
    for name, period in (("ts33", TS33), ("rtp32", RTP32), ("ms32", MS32)):
        v = Vector("wrap-%s-live" % name, "arrival goes on", [V], live=True)
        last = int(period * 1e6) / 1e6 - 30
        for k in range(4):
            v.row("v", last - 40 * (3 - k), 500000 + 40 * k, a=500000 + 40 * k)
        for k in range(4):
            v.row("v", 10 + 40 * k, 500160 + 40 * k, a=500160 + 40 * k)
        v.msg("v", "anchor", 500000 - (last - 120)).msg("v", "wrap-" + name, int(period * 1e6) / 1e6)
        v = Vector("wrap-%s-late" % name, "one old picture after the wrap", [V, A20])
        v.same("v", [last - 80, last - 40, last]).same("a", [last - 80])
        v.row("v", 10, last + 40).row("v", 50, last + 80)
        v.same("a", [last - 60, last - 40, last - 20, last])
        v.row("a", -10 + 0.0, last + 20, flags=["discont"]).row("a", 10, last + 40)
        v.msg("v", "wrap-" + name, int(period * 1e6) / 1e6)


def jumps():
    for name, step in (("hour", 3600000), ("5s", 5000), ("minus-3s", -3000), ("minus-1h", -3600000)):
        kind = "jump-forward" if step > 0 else "jump-back"
        for live in (False, True):
            v = Vector("jump-%s%s" % (name, "-live" if live else ""),
                       "both streams, contiguous, one offset", [V, A20], live=live)
            t0 = 4000000
            def at(t):
                return t - t0 + 10 + 4000000 if live else None
            for k in range(4):
                v.same("v", [t0 + 40 * k], a=at(t0 + 40 * k))
                v.same("a", [t0 + 40 * k], a=at(t0 + 40 * k))
                v.same("a", [t0 + 40 * k + 20], a=at(t0 + 40 * k + 20))
            t = t0 + 160
            v.row("v", t + step, t, a=at(t), flags=["ext"])
            v.row("a", t + step, t, a=at(t), flags=["discont"])
            v.row("a", t + 20 + step, t + 20, a=at(t + 20))
            v.row("v", t + 40 + step, t + 40, a=at(t + 40), flags=["discont"])
            v.row("a", t + 40 + step, t + 40, a=at(t + 40))
            v.row("v", t + 80 + step, t + 80, a=at(t + 80))
            v.msg("a", kind, step).stats("v", outlier=0, drop=0).stats("a", outlier=0, drop=0)
    v = Vector("jump-hint", "a new segment: believed at once", [V])
    v.same("v", [0, 40]).row("v", 900000, 80, hint="discont", flags=["discont"])
    v.row("v", 900040, 120).msg("v", "jump-forward", 899920)
    v = Vector("jump-twice", "two jumps one after the other", [V])
    v.same("v", [0, 40]).row("v", 900000, 80, hint="discont", flags=["discont"])
    v.row("v", 900040, 120).row("v", 5000, 160, hint="discont", flags=["discont"])
    v.row("v", 5040, 200).msg("v", "jump-forward", 899920).msg("v", "jump-back", -895080)
    v = Vector("jump-bframes", "DTS and PTS keep their distance", [VR])
    for k, pts in enumerate([80, 200, 120, 160]):
        v.row("v", pts, pts, dts=40 * k, out_dts=40 * k)
    for k, off in enumerate([160, 40, 40, 160, 40, 40]):
        t = 160 + 40 * k
        v.row("v", 700000 + t + off, t + off, dts=700000 + t, out_dts=t,
              flags=["ext"] if k < 2 else ["discont"] if k == 2 else [])
    v.msg("v", "jump-forward", 700000)
    v = Vector("jump-bframes-cut", "the old session lacks its last B-frames: one place is wanted twice", [VR])
    for k, pts in enumerate([80, 200, 120, 160, 320]):
        v.row("v", pts, pts, dts=40 * k, out_dts=40 * k)
    for k, (off, out) in enumerate([(160, 360), (40, 280), (40, 340), (160, 480), (40, 400), (40, 440)]):
        t = 200 + 40 * k
        v.row("v", 700000 + t + off, out, dts=700000 + t, out_dts=t, hint="discont" if k == 0 else None,
              flags=["discont"] if k == 0 else [])
    v.msg("v", "jump-forward", 700000).stats("v", nudged=1)
    v = Vector("overlap-480", "half a second back on both", [V, A20])
    v.same("v", [1000]).same("a", [1000, 1020]).same("v", [1040]).same("a", [1040])
    v.row("v", 600, 1080, flags=["ext"]).row("a", 580, 1060, flags=["discont"])
    v.row("v", 640, 1120, flags=["discont"]).row("a", 600, 1080).row("v", 680, 1160)
    v.msg("a", "overlap", -480)
    v = Vector("vfr-jump", "variable frame rate, no duration: after nine", [("v", "v", None)])
    t = 0
    steps = [100, 700, 650, 800, 900, 720, 660, 780, 630, 710, 640, 790]
    v.same("v", [0, 200, 400])
    # The expected time advances by the last distance that was seen, 200 ms.
    # The ninth in a row that goes forward is believed, where it was expected.
    t = 800000
    for k in range(12):
        t += steps[k]
        v.row("v", t, 600 + 200 * min(k, 8) + sum(steps[9:k + 1]),
              flags=["ext"] if k < 8 else ["discont"] if k == 8 else [])
    v.msg("v", "jump-forward", 800000 + sum(steps[:9]) - 600 - 200 * 8).stats("v", outlier=8)


def gaps():
    for seconds in (2, 5, 60):
        v = Vector("gap-live-%ds-av" % seconds, "loss on both, arrival agrees", [V, A20], live=True)
        v.same("v", [1000], a=1000).same("a", [1000], a=1001).same("a", [1020], a=1021)
        v.same("v", [1040], a=1040).same("a", [1040], a=1041)
        t = 1080 + seconds * 1000
        v.row("v", t, t, a=t, flags=["discont"]).row("a", t, t, a=t + 1, flags=["discont"])
        v.same("v", [t + 40], a=t + 40).same("a", [t + 20], a=t + 21)
        v.msg("v", "gap", seconds * 1000).msg("a", "gap", seconds * 1000 + 20)
        v.stats("v", gap=1).stats("a", gap=1)
    v = Vector("gap-live-held-buffer", "the decoder lets go of its last frame only when the loss is over",
               [V, A20], live=True)
    v.same("v", [1000], a=1000).same("a", [1000], a=1001).same("a", [1020], a=1021)
    v.same("v", [1040], a=1040).same("a", [1040], a=1041)
    v.same("v", [1080], a=6120).same("a", [1060], a=6121)
    v.row("v", 6120, 6120, a=6121, flags=["discont"]).row("a", 6120, 6120, a=6122, flags=["discont"])
    v.same("v", [6160], a=6160).same("a", [6140], a=6141)
    v.msg("v", "gap", 5000).msg("a", "gap", 5040)
    v.stats("v", gap=1, outlier=0).stats("a", gap=1, outlier=0)
    v = Vector("gap-live-jitter", "arrival agrees to within 500 ms", [V], live=True)
    v.same("v", [1000], a=1000).same("v", [1040], a=1040)
    v.row("v", 4080, 4080, a=4480, flags=["discont"]).row("v", 4120, 4120, a=4520)
    v.msg("v", "gap", 3000)
    v = Vector("gap-collapse", "gap-policy=collapse closes it", [V], live=True, **{"gap-policy": "collapse"})
    v.same("v", [1000], a=1000).same("v", [1040], a=1040)
    v.row("v", 6080, 1080, a=6080, flags=["discont"]).row("v", 6120, 1120, a=6120)
    v.msg("v", "jump-forward", 5000)
    v = Vector("gap-file-one-stream", "a hole in the audio of a file: the video is the second clock", [V, A20])
    v.same("a", [0, 20, 40])
    v.same("v", range(0, 8000, 40))
    v.row("a", 8000, 8000, flags=["discont"]).same("a", [8020, 8040]).same("v", [8000, 8040])
    v.msg("a", "gap", 7940).stats("a", gap=1, outlier=0)
    v = Vector("max-gap-raised", "max-gap decides what is a jump", [V], **{"max-gap": 10000})
    v.same("v", [0, 40, 8000, 8040]).stats("v", gap=0)
    v = Vector("restart-outage-av", "the feed is back after 30 s from 0: D = 50 stays on both", [V, A20], live=True)
    for k in range(4):
        v.same("v", [10000 + 40 * k], a=10050 + 40 * k)
        v.same("a", [10000 + 40 * k], a=10055 + 40 * k).same("a", [10020 + 40 * k], a=10070 + 40 * k)
    v.row("v", 0, 40080, a=40130, flags=["discont"]).row("a", 0, 40080, a=40135, flags=["discont"])
    v.row("v", 40, 40120, a=40170).row("a", 20, 40100, a=40150).row("a", 40, 40120, a=40170)
    v.msg("v", "jump-back", -10160)
    v = Vector("restart-outage-audio-ahead", "the new session begins with audio 300 ms before video", [V, A20], live=True)
    v.same("v", [10000, 10040], a=10050).same("a", [10000, 10020, 10040], a=10050)
    v.row("a", 0, 17000, a=17010, flags=["discont"])
    v.row("a", 20, 17020, a=17030)
    v.row("v", 300, 17300, a=17310, flags=["discont"]).row("v", 340, 17340, a=17350)
    v.msg("a", "jump-back", -10060)
    v = Vector("restart-short", "back after 0.5 s: contiguous, as nothing was lost", [V], live=True)
    v.same("v", [10000], a=10000).same("v", [10040], a=10040)
    v.row("v", 0, 10080, a=10540, flags=["ext"]).row("v", 40, 10120, a=10580, flags=["ext"])
    v.row("v", 80, 10160, a=10620, flags=["discont"]).row("v", 120, 10200, a=10660)
    v.msg("v", "jump-back", -10080)


def lag():
    v = Vector("lag-resync", "paused for 5 s and goes on as if nothing had been: moved once", [V], live=True)
    for k in range(60):
        v.same("v", [1000 + 40 * k], a=1000 + 40 * k)
    last = 1000 + 40 * 59
    for k in range(1, 80):
        t, a = last + 40 * k, last + 5000 + 40 * k
        # Seen from the first late buffer on; 3 s later it is believed, from the next buffer on.
        held = 40 * (k - 1)
        v.row("v", t, t + (5000 if held > 3000 else 0), a=a, flags=["discont"] if held == 3040 else [])
    v.msg("v", "lag-resync", 5000)
    v = Vector("lag-slight", "1.5 s late for good stays as it is", [V], live=True)
    for k in range(60):
        v.same("v", [1000 + 40 * k], a=1000 + 40 * k)
    for k in range(60, 160):
        v.same("v", [1000 + 40 * k], a=2500 + 40 * k)
    v = Vector("stall-burst-short", "3 s of silence, then all of it at once", [V], live=True)
    for k in range(150):
        t = 1000 + 40 * k
        v.same("v", [t], a=t if t < 2000 or t > 5000 else 5000 + (t - 2000) / 100)
    v = Vector("lag-resync-av", "both streams move at one input time", [V, A20], live=True)
    for k in range(60):
        v.same("v", [1000 + 40 * k], a=1000 + 40 * k)
        v.same("a", [1000 + 40 * k], a=1000 + 40 * k).same("a", [1020 + 40 * k], a=1020 + 40 * k)
    for k in range(60, 150):
        for s, t in (("v", 1000 + 40 * k), ("a", 1000 + 40 * k), ("a", 1020 + 40 * k)):
            held = t - (1000 + 40 * 60)
            moved = held > 3000 or (held == 3000 and s == "a")
            first = (s == "v" and held == 3040) or (s == "a" and held == 3000)
            v.row(s, t, t + (4000 if moved else 0), a=t + 4000, flags=["discont"] if first else [])
    v.msg("v", "lag-resync", 4000)


def one_stream():
    v = Vector("stream-overlap", "audio alone goes 100 ms back: five whole frames fall", [V, A20])
    for k in range(10):
        v.same("v", [40 * k]).same("a", [40 * k, 40 * k + 20])
    # The jump is believed at the third; 1 s later the video has stayed where it was.
    n = 0
    for k in range(10, 45):
        v.same("v", [40 * k])
        for half in (0, 20):
            t = 40 * k + half
            n += 1
            found = t - 100
            if n <= 2:
                v.row("a", found, t, flags=["ext"])
            elif n == 3:
                v.row("a", found, t, flags=["discont"])
            elif n < 53:
                v.row("a", found, t)
            elif n < 58:
                v.row("a", found, None)
            else:
                v.row("a", found, found)
    v.msg("a", "overlap", -100).msg("a", "stream-overlap", 100).stats("a", drop=5)
    v = Vector("early-both", "30 ms back on both: jitter to the video, one frame of the audio too many", [V, A20])
    v.same("v", [0, 40, 80]).same("a", range(0, 120, 20))
    v.same("v", [90]).row("a", 90, None).same("a", [110]).same("v", [130]).same("a", [130])
    v.stats("a", drop=1, outlier=0).stats("v", drop=0)
    v = Vector("early-both-audio-first", "the same, and the sound has to decide before the picture has come", [V, A20])
    v.same("v", [0, 40, 80]).same("a", range(0, 120, 20))
    v.row("a", 90, 120, flags=["ext"]).row("a", 110, 140, flags=["ext"]).row("a", 130, None).same("v", [90])
    v.same("a", [150, 170]).same("v", [130, 170])
    v.stats("a", drop=1, outlier=0)
    v = Vector("early-both-hint", "a DISCONT says so at once", [V, A20])
    v.same("v", [0, 40, 80]).same("a", range(0, 120, 20))
    v.row("a", 90, None, hint="discont").same("v", [90]).same("a", [110, 130]).same("v", [130])
    v.stats("a", drop=1, outlier=0)
    v = Vector("early-in-parts", "the picture takes the step in two parts, the sound in one", [V, A20])
    v.same("v", [0, 40, 80]).same("a", range(0, 120, 20))
    v.same("v", [105, 128]).row("a", 88, 120, flags=["ext"]).row("a", 108, 140, flags=["ext"])
    v.row("a", 128, None).same("v", [168]).same("a", [148, 168]).same("v", [208])
    v.stats("a", drop=1, outlier=0)
    v = Vector("return-together", "the picture fits the old time to the frame, the sound only with its sibling", [V, A20])
    v.same("v", [0, 40]).same("a", [0, 20, 40, 60])
    v.row("a", 900000, 80, hint="discont", flags=["discont"]).row("v", 900000, 80, flags=["discont"])
    v.row("v", 180, 180, flags=["discont"]).row("a", 180, 180, flags=["discont"])
    v.same("v", [220]).same("a", [200])
    v.msg("a", "jump-forward", 899920).msg("v", "outlier-return", -899860).msg("a", "outlier-return", -899840)
    v = Vector("stream-jump", "audio alone jumps 5 s ahead: a private constant", [V, A20])
    for k in range(10):
        v.same("v", [40 * k]).same("a", [40 * k, 40 * k + 20])
    n = 0
    for k in range(10, 45):
        v.same("v", [40 * k])
        for half in (0, 20):
            n += 1
            v.row("a", 40 * k + half + 5000, 40 * k + half,
                  flags=["ext"] if n <= 2 else ["discont"] if n == 3 else [])
    v.msg("a", "jump-forward", 5000).msg("a", "stream-jump", -5000).stats("a", drop=0)
    v = Vector("unrelated", "an audio clock 100 s away", [V, A20])
    v.same("v", [0, 40, 80]).row("a", 100000, 80).row("a", 100020, 100).row("a", 100040, 120)
    v.same("v", [120]).msg("a", "unrelated-clock", -99920).stats("a", outlier=0)
    v = Vector("related-9s", "9 s away is late, not unrelated", [V, A20])
    v.same("v", [0, 40]).same("a", [9000, 9020, 9040])
    v = Vector("late-live", "video has been silent for 20 s when the audio first comes", [V, A20], live=True)
    v.same("v", [1000], a=1000).same("a", [21000], a=21000).same("a", [21020], a=21020)
    v = Vector("early-end", "a stream that ended is not waited for", [V, A20])
    v.same("a", [0, 20]).same("v", [0, 40, 80]).event("a", "eos")
    v.row("v", 5000, 120, flags=["ext"]).row("v", 5040, 160, flags=["ext"])
    v.row("v", 5080, 200, flags=["discont"])
    for k in range(30):
        v.row("v", 5120 + 40 * k, 240 + 40 * k)
    v.msg("v", "jump-forward", 4880)
    v = Vector("start-after-eos", "two files in a row, the first one's audio is 3 s shorter", [V, A20])
    v.same("a", range(0, 1000, 20)).same("v", range(0, 4000, 40))
    v.event("a", "eos").event("v", "eos").event("a", "start").event("v", "start")
    v.row("a", 0, 4000, flags=["discont"]).row("v", 0, 4000, flags=["discont"])
    v.row("a", 20, 4020).row("v", 40, 4040)
    v.msg("a", "overlap", -1000)


def starts():
    v = Vector("negative-dts", "the whole group moves", [VR, A20])
    for k, pts in enumerate([0, 120, 40, 80]):
        v.row("v", pts, pts + 80, dts=40 * k - 80, out_dts=40 * k)
    for k in range(4):
        v.row("a", 20 * k, 20 * k + 80)
    v.msg("v", "shift-negative", 80)
    v = Vector("negative-dts-second", "the audio was first: only the DTS are pushed, the PTS stay", [VR, A20])
    v.same("a", [0, 20])
    for k, pts in enumerate([0, 120, 40, 80, 240]):
        v.row("v", pts, pts, dts=40 * k - 80, out_dts=[0, 0.011112, 0.022224, 40, 80][k])
    v.stats("v", nudged=3)
    v = Vector("anchor-av", "from 0 into a pipeline that runs", [V, A20], live=True)
    v.row("v", 0, 500000, a=500000).row("a", 10, 500010, a=500010).row("v", 40, 500040, a=500040)
    v.msg("v", "anchor", 500000)
    v = Vector("anchor-unix", "stamps since 1970", [V], live=True)
    t = 1700000000000
    v.row("v", t, 100, a=100).row("v", t + 40, 140, a=140).msg("v", "anchor", 100 - t)
    v = Vector("anchor-near", "1.9 s from running time is near enough", [V], live=True)
    v.same("v", [100], a=2000).same("v", [140], a=2040)
    v = Vector("no-anchor-file", "a file may begin anywhere", [V])
    v.same("v", [7200000, 7200040])
    v = Vector("stale-head", "the encoder had run before: its first picture is an hour old", [V], live=True)
    v.same("v", [100], a=100).row("v", 3600000, 140, a=140, flags=["ext"])
    v.row("v", 3600040, 180, a=180, flags=["ext"]).row("v", 3600080, 220, a=220, flags=["discont"])
    v.row("v", 3600120, 260, a=260).msg("v", "jump-forward", 3599860)


def formats():
    v = Vector("fps-50-25", "the frame rate halves", [V])
    for k in range(5):
        v.same("v", [20 * k], d=20)
    v.same("v", [100, 140, 180], d=40).stats("v", outlier=0)
    v = Vector("duration-lies", "a duration of an hour is no duration", [V])
    v.same("v", [0, 40]).row("v", 80, 80, d=3600000).same("v", [120, 160]).stats("v", outlier=0)


def sparse():
    v = Vector("sparse-file", "subtitles minutes apart", [V, ("s", "s", None)])
    for k in range(0, 200000, 500):
        v.same("v", [k], d=500)
        if k in (5000, 5500, 90000, 180000):
            v.same("s", [k + 10])
    v.stats("s", outlier=0, gap=0)
    v = Vector("sparse-jump", "a subtitle in the new session before the next picture", [V, ("s", "s", None)])
    v.same("v", [0, 40, 80]).same("s", [80]).row("v", 900000, 120, hint="discont", flags=["discont"])
    v.row("s", 900010, 130, flags=["discont"]).row("v", 900040, 160).msg("v", "jump-forward", 899880)
    v = Vector("sparse-wild", "a subtitle hours ahead goes to the present", [V, ("s", "s", None)])
    v.same("v", [0, 40, 80]).same("s", [40]).row("s", 7200000, 80, flags=["ext"]).same("s", [100])
    v.stats("s", outlier=1)
    v = Vector("sparse-read-ahead", "a file of subtitles is read until the queue is full", [V, ("s", "s", None)])
    v.same("v", [0, 40]).same("s", [1000, 30000, 61000, 1200000]).same("v", [80, 120])
    v.stats("s", outlier=0)
    v = Vector("gap-event-sparse", "pauses keep the others going, however far they are from the last subtitle", [("s", "s", None)])
    v.same("s", [1000])
    for at in (10000, 60000, 61000):
        v.v["input"].append(["s", at, None, None, 1000, "gap"]); v.v["output"].append([at, None, []])
    v.same("s", [62000]).stats("s", outlier=0)
    v = Vector("gap-event-wild", "a pause hours ahead, before the sound has come", [V, A20], live=True)
    v.same("v", [1000], a=1000)
    v.v["input"].append(["a", 7200000, None, 1010, 0, "gap"]); v.v["output"].append([1000, None, []])
    v.same("v", [1040], a=1040).same("a", [1040], a=1041)
    v = Vector("sparse-alone-live", "metadata without a picture", [("s", "s", None)], live=True)
    v.same("s", [1000], a=1000).same("s", [61000], a=61000).same("s", [61001], a=61001)
    v = Vector("gap-event", "an announced pause of 8 s", [V, A20])
    v.same("v", [0, 40]).same("a", [0, 20])
    v.v["input"].append(["a", 40, None, None, 8000, "gap"]); v.v["output"].append([40, None, []])
    v.same("a", [8040, 8060]).stats("a", gap=0, outlier=0)
    v = Vector("gap-event-first", "a pause announced before the first buffer of a live source", [V, ("s", "s", None)], live=True)
    v.v["input"].append(["s", 3600000, None, 500000, 8000, "gap"]); v.v["output"].append([500000, None, []])
    v.row("v", 3600000, 500000, a=500000).row("v", 3600040, 500040, a=500040)
    v.v["input"].append(["s", 3600040, None, 500040, 8000, "gap"]); v.v["output"].append([500040, None, []])
    v.msg("v", "anchor", -3100000)
    v = Vector("gap-event-cut-short", "sound comes back before the end of the gap", [V, A20])
    v.same("v", [0, 40]).same("a", [0, 20])
    v.v["input"].append(["a", 40, None, None, 8000, "gap"]); v.v["output"].append([40, None, []])
    v.same("a", [3000, 3020]).stats("a", gap=0, outlier=0)


def modes():
    v = Vector("monitor", "everything is seen, nothing is changed", [V], mode="monitor")
    for t in [0, 40, 80, 3600120, 3600160, 3600200, 3600240]:
        v.row("v", t, t, flags=["ext"] if t in (3600120, 3600160) else [])
    v.msg("v", "jump-forward", 3600000)
    v = Vector("monitor-live", "no anchor is applied", [V], live=True, mode="monitor")
    v.same("v", [0], a=500000).same("v", [40], a=500040).msg("v", "anchor", 500000)
    v = Vector("arrival", "stamps are ignored; arrival is smoothed", [V], live=True, mode="arrival")
    v.row("v", 0, 1000, a=1000).row("v", None, 1040, a=1040).row("v", 999999, 1081, a=1096)
    v.row("v", 7, 1121.9375, a=1136).stats("v", no_pts=1)
    v = Vector("arrival-outage", "a pause is kept", [V], live=True, mode="arrival")
    v.row("v", 0, 1000, a=1000).row("v", 40, 1040, a=1040)
    v.row("v", 0, 9000, a=9000, flags=["discont"]).row("v", 0, 9040, a=9040)
    v.msg("v", "gap", 7920).stats("v", gap=1)
    v = Vector("cfr-jitter", "each picture to its place", [RAW], mode="cfr")
    for t, out in ((0, 0), (52, 40), (71, 80), (120, 120), (170, 160), (190, 200)):
        v.row("v", t, out)
    v = Vector("cfr-drop", "two pictures for one place", [RAW], mode="cfr")
    v.same("v", [0, 40]).row("v", 55, None).row("v", 75, 80).row("v", 120, 120).stats("v", drop=1)
    v = Vector("cfr-repeat", "a hole of three is filled", [RAW], mode="cfr")
    v.same("v", [0, 40]).row("v", 200, 200, flags=["repeat"] * 3).same("v", [240])
    v = Vector("cfr-max-fill", "a longer hole stays", [RAW], live=True, mode="cfr")
    v.same("v", [0], a=0).same("v", [40], a=40)
    v.row("v", 2080, 2080, a=2080, flags=["discont"]).same("v", [2120], a=2120)
    v.msg("v", "gap", 2000)
    v = Vector("cfr-coded", "coded pictures are moved, never dropped or repeated", [V], mode="cfr")
    v.row("v", 0, 0).row("v", 45, 40).row("v", 55, 80).row("v", 160, 160).row("v", 195, 200)
    v.stats("v", drop=0)
    v = Vector("cfr-bframes", "the distance of PTS and DTS snaps too", [VR], mode="cfr")
    v.row("v", 83, 80, dts=0, out_dts=0).row("v", 204, 200, dts=44, out_dts=40)
    v.row("v", 118, 120, dts=77, out_dts=80).row("v", 160, 160, dts=121, out_dts=120)
    v = Vector("cfr-audio", "audio stays as corrected", [A20], mode="cfr")
    v.same("a", [0, 21, 39, 62])
    v = Vector("cfr-jump", "the grid goes on across a jump", [RAW], mode="cfr")
    v.same("v", [0, 40, 80])
    for k, t in enumerate([900000, 900040, 900080, 900120]):
        v.row("v", t, 120 + 40 * k, flags=["ext"] if k < 2 else ["discont"] if k == 2 else [])
    v.msg("v", "jump-forward", 899880)


def drift():
    for ppm in (100, -100, 1000, -10000):
        v = Vector("drift%+d" % ppm, "the source's clock is off", [("a", "a", 500)], live=True)
        for k in range(160):
            t = 1000 + 500 * k
            v.row("a", t, t, a=1020 + 500 * k / (1 + ppm / 1e6))
        v.v["ppm"] = ppm
    v = Vector("drift-jitter", "0..15 ms of jitter on top", [("a", "a", 100)], live=True)
    for k in range(700):
        t = 1000 + 100 * k
        v.row("a", t, t, a=1000 + 100 * k / 1.0003 + k * 7919 % 31 / 2)
    v.v["ppm"] = 300


for make in (clean, missing, disorder, jumps, gaps, lag, one_stream, starts, formats, sparse, modes, drift):
    make()
wraps()
names = [v["name"] for v in VECTORS]
assert len(names) == len(set(names)), "a name twice"
print("[\n" + ",\n".join(" " + json.dumps(v) for v in VECTORS) + "\n]")
