#!/usr/bin/env python3
# keeprolling - the pipeline files that ship with it: each is checked, each is run
# SPDX-License-Identifier: LGPL-2.1-or-later

import signal
import subprocess

from support import (BUILD, KEEPROLLING, PIPELINES, Skip, check, clip, environment, faults, final, free_port,
                     growing, packets, probe, run, size, stream_types, test)

# The others are run by test_record.py and test_composite.py.
RUN_ELSEWHERE = {'record-srt', 'composite-srt'}
RUN_HERE = {'record-rtsp', 'demo-source'}
# A camera that encodes nothing while the test runs.
VIDEO = ('filesrc location={clip} ! tsparse ! tsdemux name=d  d. ! queue ! h264parse '
         '! rtph264pay name=pay0 pt=96 config-interval=-1')
SOUND = {
    'A-law': ('d. ! queue ! aacparse ! avdec_aac ! audioconvert ! audioresample '
              '! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=97'),
    'AAC': 'd. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97',
    'none': '',
}


@test
def each_file_is_known_here(t):
    names = {path.stem for path in PIPELINES.glob('*.pipeline')}
    check(names == RUN_HERE | RUN_ELSEWHERE, f'no test runs {names - RUN_HERE - RUN_ELSEWHERE}')


@test
def each_file_says_what_it_is_for(t):
    for path in PIPELINES.glob('*.pipeline'):
        lines = path.read_text().splitlines()
        check(all(line.startswith('# ') for line in lines[:2]) and not lines[2].startswith('#'),
              f'{path.name} does not begin with two lines that say what it is for')


@test
def each_file_is_correct(t):
    done = subprocess.run([KEEPROLLING, 'check', *sorted(PIPELINES.glob('*.pipeline'))],
                          capture_output=True, text=True, env=environment(), check=False)
    check(done.returncode == 0, f'check ends with {done.returncode}:\n{done.stdout}{done.stderr}')


def camera(t, sound):
    server = BUILD / 'tests' / 'integration' / 'rtsp-server'
    if not server.exists():
        raise Skip('built without gst-rtsp-server')
    process = t.spawn([server, f'( {VIDEO.format(clip=clip())} {sound} )'])
    port = t.wait(lambda: process.output().strip(), 'the camera listens', alive=[process])
    return process, f'rtsp://127.0.0.1:{port.splitlines()[0]}/stream'


def record_camera(t, sound):
    server, uri = camera(t, SOUND[sound])
    recorder = t.run_pipeline(PIPELINES / 'record-rtsp.pipeline',
                              set={'RTSP_URI': uri, 'OUT': t.dir / 'out'})
    t.wait(lambda: any(size(path) > 200_000 for path in growing(t.dir)), 'the camera is recorded',
           limit=60, alive=[recorder, server])
    check(recorder.stop() == 0, 'exit status')
    check(not growing(t.dir), 'a temporary name is left')
    [path] = final(t.dir)
    check(stream_types(path) == ['audio', 'video'], f'{sound}: {stream_types(path)}')
    for stream in 'va':
        stamps = [dts for _, dts, _ in packets(path, stream)]
        check(len(stamps) > 30, f'{len(stamps)} packets in stream {stream}')
        check(None not in stamps and all(a < b for a, b in zip(stamps, stamps[1:])),
              f'stamps of stream {stream} do not go forward')
    check(packets(path)[0][2], 'does not begin with a keyframe')
    # A frame that the camera left out on a busy machine is its own loss. The mixer's silence begins
    # before the camera's first frame, and with it before the first clock reference: late_dts.
    found = faults(path, ignore=('pts_gap', 'dts_gap', 'audio_gap', 'late_dts'))
    check(not found, f'{found}')


@test(limit=90)
def a_camera_with_a_law_sound(t):
    record_camera(t, 'A-law')


@test(limit=90)
def a_camera_with_aac_sound(t):
    record_camera(t, 'AAC')


@test(limit=90)
def a_camera_without_sound(t):
    record_camera(t, 'none')


@test(limit=90)
def the_demo_source_feeds(t):
    uri = f'srt://127.0.0.1:{free_port()}'
    source = t.run_pipeline(PIPELINES / 'demo-source.pipeline', set={
        'SRT_URI': f'{uri}?mode=listener', 'WIDTH': 320, 'HEIGHT': 180,
        'VIDEO_ENCODER': 'x264enc tune=zerolatency speed-preset=ultrafast bitrate=500 key-int-max=30'})
    out = t.dir / 'seen.ts'
    viewer = t.gst_launch(f'srtsrc uri={uri}?mode=caller poll-timeout=1000 ! '
                          f'filesink location={out} buffer-mode=unbuffered')
    t.wait(lambda: size(out) > 200_000, 'the feed is seen', limit=40, alive=[source, viewer])
    viewer.stop(signal.SIGINT)
    check(source.stop() == 0, 'exit status')
    streams = {stream['codec_name'] for stream in
               probe(out, '-show_entries', 'stream=codec_name').get('streams', [])}
    check(streams == {'h264', 'aac'}, f'streams: {streams}')


run()
