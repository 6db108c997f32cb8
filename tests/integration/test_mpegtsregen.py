#!/usr/bin/env python3
# keeprolling - a transport stream repaired without demuxing, and judged
# SPDX-License-Identifier: LGPL-2.1-or-later

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from support import (KEEPROLLING, LONG, Skip, SrtFeed, check, clip, environment, packets, run, size,
                     test)

# Nothing of this may be left where sessions join. A loss inside a session may stay visible.
NEVER = {'pcr_backward', 'dts_back', 'dts_equal', 'pts_lt_dts', 'pmt_change', 'late_dts', 'crc',
         'sync_loss', 'pcr_discont', 'audio_overlap'}


def analyze(path):
    """The whole report on one file."""
    done = run_analyze('--json', path)
    check(done.returncode == 0, f'analyze ended with {done.returncode}: {done.stderr}')
    return json.loads(done.stdout)


def repair(t, source, *properties):
    out = t.dir / 'out.ts'
    process = t.gst_launch(f'filesrc location={source} blocksize=65536 ! mpegtsregen '
                           f'{" ".join(properties)} ! filesink location={out}')
    check(process.wait(60) == 0, 'gst-launch-1.0 failed')
    return out


def plays(t, path):
    """Both players get to the end."""
    done = subprocess.run(['ffmpeg', '-v', 'fatal', '-nostdin', '-i', path, '-map', '0', '-f', 'null',
                           '-'], env=environment(), check=False)
    check(done.returncode == 0, f'ffmpeg does not play {path}')
    player = t.gst_launch(f'filesrc location={path} ! tsdemux name=d '
                          'd. ! queue ! h264parse ! fakesink d. ! queue ! aacparse ! fakesink')
    check(player.wait(60) == 0, f'GStreamer does not play {path}')


def check_sound(path):
    errors = analyze(path)['errors']
    check(not NEVER & set(errors), f'{path}: {errors}')
    return errors


@test
def a_clean_file_stays_as_it_is(t):
    source = clip(seconds=16)
    out = repair(t, source)
    check(out.read_bytes() == source.read_bytes(), 'the bytes differ')
    check(analyze(out)['ok'], f'not clean: {analyze(out)["errors"]}')


@test
def restarts_in_a_file_become_one_timeline(t):
    source = clip(seconds=16)
    joined = t.dir / 'joined.ts'
    joined.write_bytes(source.read_bytes() * 5)
    check('pcr_backward' in analyze(joined)['errors'], 'the joins cannot be seen in the source')
    out = repair(t, joined)
    errors = check_sound(out)
    check('cc' not in errors, f'{errors}')
    check(size(out) == size(joined), 'bytes were lost or added')
    video = packets(out)
    check(all(a[1] < b[1] for a, b in zip(video, video[1:])), 'DTS go back')
    span = video[-1][1] - video[0][1]
    check(abs(span - 80) < 0.5, f'80 s became {span:.3f} s')
    plays(t, out)


@test
def the_output_may_wrap(t):
    """A first session just before the end of the 33-bit clock: its successors carry it over."""
    source, first = clip(seconds=16), t.dir / 'first.ts'
    subprocess.run(['ffmpeg', '-v', 'error', '-y', '-nostdin', '-i', source, '-c', 'copy',
                    '-muxdelay', '0.2', '-output_ts_offset', '95435', '-f', 'mpegts', first],
                   check=True, env=environment())
    joined = t.dir / 'joined.ts'
    joined.write_bytes(first.read_bytes() + source.read_bytes())
    out = repair(t, joined)
    errors = check_sound(out)
    check('cc' not in errors, f'{errors}')
    wraps = sum(pcr['wraps'] for pcr in analyze(out)['pcr'].values())
    check(wraps == 1, f'{wraps} wraps')


def other_clip(t):
    """MPEG-2 and nothing to hear."""
    path = t.dir / 'other.ts'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i',
                    'testsrc2=s=160x90:r=25:d=4', '-c:v', 'mpeg2video', '-g', '12', path],
                   check=True, env=environment())
    return path


@test
def other_streams_get_a_file_of_their_own(t):
    """Where another encoder goes on: the old file ends before the first packet of the new
    session, and the new one begins with its tables."""
    first, second = clip(seconds=16).read_bytes(), other_clip(t).read_bytes()
    joined = t.dir / 'joined.ts'
    joined.write_bytes(first + second)
    for block in (65536, 1316):
        folder = t.dir / f'cut-{block}'
        process = t.gst_launch(f'filesrc location={joined} blocksize={block} ! mpegtsregen '
                               'wait-keyframe=true ! atomicfilesink max-size-time=3600000000000 '
                               f'location={folder}/{{seq}}.ts')
        check(process.wait(60) == 0, 'gst-launch-1.0 failed')
        files = sorted(folder.iterdir())
        check(len(files) == 2, f'{files}')
        # Before the stream's own first packet there may be the header: PAT and PMT.
        data = files[0].read_bytes()
        check(len(first) <= len(data) <= len(first) + 2 * 188 and data.endswith(first[-100000:]),
              f'{block}: the first file is not the first session')
        for path, codec in zip(files, ('h264', 'mpeg2v')):
            report = analyze(path)
            check('pmt_change' not in report['errors'] and 'cc' not in report['errors'],
                  f'{path}: {report["errors"]}')
            check(codec in [stream['codec'] for stream in report['streams'].values()], f'{report}')
        data = files[1].read_bytes()
        check([data[at + 1] & 0x1f for at in (0, 188)] == [0, 0x10] and data[2] == 0,
              f'{block}: the second file does not begin with PAT and PMT')
        check(packets(files[1])[0][2], 'the second file does not begin with a keyframe')


class Growth:
    """When a file first got data: between two looks at it. Its last write is its mtime."""

    def __init__(self, path):
        self.path, self.seen, self.before = path, None, time.time()

    def look(self):
        now = time.time()
        if self.seen is None:
            if size(self.path) > 0:
                self.seen = now
            else:
                self.before = now
        return self.seen is not None


@test(limit=300 if LONG else 150)
def restarts_over_srt_leave_no_trace(t):
    """A feed that is killed and comes back, recorded by mpegtsregen alone."""
    restarts = 10 if LONG else 3
    out = t.dir / 'srt.ts'
    feed = SrtFeed(t, clip(seconds=16)).start()
    growth = Growth(out)
    recorder = t.gst_launch(f'-m srtsrc uri={feed.uri} poll-timeout=1000 ! mpegtsregen '
                            f'! filesink location={out} buffer-mode=unbuffered')
    t.wait(growth.look, 'data flow', alive=[recorder])
    for number in range(restarts + 1):
        have = size(out)
        t.wait(lambda: size(out) > have + 200000, f'session {number} is recorded', limit=60,
               alive=[recorder])
        feed.kill()
        last = os.stat(out).st_mtime
        if number < restarts:
            feed.start()
    t.wait(lambda: time.time() - os.stat(out).st_mtime > 1, 'what was on its way arrives')
    last = os.stat(out).st_mtime
    recorder.stop(signal.SIGINT)
    errors = check_sound(out)
    t.note(f'findings: {errors}')
    check('cc' not in errors, f'a counter breaks: {errors}')
    joins = recorder.output().count('mpegtsregen-discontinuity')
    check(joins >= restarts, f'{joins} joins were reported')
    video = packets(out)
    check(all(a[1] < b[1] for a, b in zip(video, video[1:])), 'DTS go back')
    span = video[-1][1] - video[0][1] + 0.04
    low, high = last - growth.seen, last - growth.before
    t.note(f'{span:.3f} s of media in {low:.3f} to {high:.3f} s of wall time')
    check(low - 0.1 <= span <= high + 0.1, f'{span:.3f} s of media in {low:.3f} to {high:.3f} s')
    plays(t, out)


# --- analyze ------------------------------------------------------------------------------------

def run_analyze(*words, stdin=None):
    return subprocess.run([KEEPROLLING, 'analyze', *map(str, words)], stdin=stdin, text=True,
                          capture_output=True, timeout=60, env=environment(), check=False)


@test
def analyze_has_a_verdict_and_an_exit_status(t):
    good = clip(seconds=16)
    bad = t.dir / 'bad.ts'
    data = good.read_bytes()
    bad.write_bytes(data[:188 * 1000] + data[188 * 1001:])
    done = run_analyze('--fail', good)
    check(done.returncode == 0 and 'verdict: clean' in done.stdout, done.stdout + done.stderr)
    done = run_analyze(bad)
    check(done.returncode == 0 and 'cc: 1' in done.stdout and 'TR 101 290 1.4' in done.stdout,
          done.stdout)
    check(run_analyze('--fail', bad).returncode == 1, '--fail does not fail')
    check(run_analyze('--fail=cc,crc', good, bad).returncode == 1, '--fail=cc does not fail')
    check(run_analyze('--fail=crc', bad).returncode == 0, '--fail=crc fails without such a finding')
    done = run_analyze('--fail=nonsense', good)
    check(done.returncode == 64 and 'nonsense' in done.stderr, done.stderr)
    with open(bad, 'rb') as stdin:
        done = run_analyze('--json', '-', stdin=stdin)
    check(json.loads(done.stdout)['errors'] == {'cc': 1}, done.stdout)
    done = run_analyze('--json', good, bad)
    check([json.loads(line)['ok'] for line in done.stdout.splitlines()] == [True, False],
          done.stdout)


@test
def analyze_says_what_it_cannot_read(t):
    text = t.dir / 'text.ts'
    text.write_text('no packets\n' * 1000)
    done = run_analyze(text)
    check(done.returncode == 65 and str(text) in done.stderr and 'looks like text' in done.stderr,
          done.stderr)
    empty = t.dir / 'empty.ts'
    empty.touch()
    done = run_analyze(empty)
    check(done.returncode == 65 and 'empty' in done.stderr, done.stderr)
    done = run_analyze(t.dir / 'missing.ts')
    check(done.returncode == 66 and 'missing.ts' in done.stderr, done.stderr)
    done = run_analyze(t.dir)
    check(done.returncode == 66, done.stderr)
    check(run_analyze().returncode == 64, 'no file is no error')


@test
def analyze_says_when_its_result_is_lost(t):
    with open('/dev/full', 'wb') as full:
        done = subprocess.run([KEEPROLLING, 'analyze', clip(seconds=16)], stdout=full,
                              stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    check(done.returncode == 74 and 'cannot write' in done.stderr, f'{done}')


@test
def analyze_writes_json_about_any_name(t):
    path = os.fsencode(t.dir) + b'/a"b\n\xff.ts'
    with open(path, 'wb') as file:
        file.write(clip(seconds=16).read_bytes())
    done = subprocess.run([KEEPROLLING, 'analyze', '--json', path], stdout=subprocess.PIPE,
                          env=environment(), check=True)
    check(json.loads(done.stdout.decode())['file'].endswith('a"b\n\ufffd.ts'), f'{done.stdout}')


MUTATIONS = [
    'cat {source}', 'shift all 8 3600000', 'shift all 8 -3000', 'shift all 8 5000', 'wrap 95440',
    'cut 6 9', 'drop 256 300 5', 'dup 256 300', 'dup 257 100', 'drop 257 20 4', 'jitter all 20 3',
    'pcrjit 5 2', 'scale 257 900', 'shift 257 8 300', 'shift 256 8 5000', 'shift 257 8 -300',
    'freeze 256 8', 'nodts 256', 'nopts 256 10', 'nopcr 256', 'nopat 5 8', 'shift 256 4 20000 6',
]


@test(limit=280)
def analyze_finds_what_the_independent_checker_finds(t):
    shared = os.environ.get('KR_SHARED')
    if not shared:
        raise Skip('KR_SHARED names no folder with tools/tscheck.py; '
                   'tests/core/test-ts-analysis.c has fixtures of its own')
    tools = pathlib.Path(shared) / 'tools'
    source = clip(seconds=16)
    for words in MUTATIONS:
        words = words.format(source=source).split()
        mutant = t.dir / 'mutant.ts'
        subprocess.run([sys.executable, tools / 'tsmut.py', source, mutant, *words], check=True)
        done = subprocess.run([sys.executable, tools / 'tscheck.py', mutant], capture_output=True,
                              text=True, check=True)
        theirs, ours = json.loads(done.stdout)['errors'], analyze(mutant)['errors']
        missing = {kind: n for kind, n in theirs.items() if not ours.get(kind)}
        check(not missing, f'{words}: not found: {missing}; found: {ours}')
        if theirs != ours:
            t.note(f'{words}: theirs {theirs}, ours {ours}')


run()
