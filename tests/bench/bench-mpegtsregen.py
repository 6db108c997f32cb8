#!/usr/bin/env python3
# keeprolling - what mpegtsregen and analyze cost
# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench-mpegtsregen.py [--runs N] [--json] [--live SECONDS] [FOLDER]

250 MB of transport stream through mpegtsregen, beside ffmpeg -c copy, stock demux and remux, and
a plain copy, each after each in turns. CPU seconds, medians with their spread, and the ratios that
matter. Then the element alone, without I/O, and `keeprolling analyze`. --live: SRT at 8 Mb/s for
that long, with and without mpegtsregen."""

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get('KR_BUILD_DIR', 'build')
ENV = dict(os.environ, GST_PLUGIN_PATH=os.path.join(BUILD, 'plugins'))
SIZE = 250_000_000


def make_clip(path):
    subprocess.run(['ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=25',
                    '-f', 'lavfi', '-i', 'sine=440:r=48000', '-t', '60', '-c:v', 'libx264',
                    '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-b:v', '33M', '-minrate', '33M',
                    '-maxrate', '33M', '-bufsize', '33M', '-x264-params', 'nal-hrd=cbr', '-c:a',
                    'aac', '-f', 'mpegts', path], check=True)


def used(usage):
    return usage.ru_utime + usage.ru_stime


def cpu(words):
    before = used(resource.getrusage(resource.RUSAGE_CHILDREN))
    subprocess.run(words, env=ENV, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return used(resource.getrusage(resource.RUSAGE_CHILDREN)) - before


def commands(clip, out):
    launch = ['gst-launch-1.0', '-q', 'filesrc', f'location={clip}', 'blocksize=65536', '!']
    sink = ['filesink', f'location={out}']
    return {
        'mpegtsregen': [*launch, 'mpegtsregen', '!', *sink],
        'copy': [*launch, *sink],
        'ffmpeg': ['ffmpeg', '-v', 'error', '-y', '-i', clip, '-c', 'copy', '-f', 'mpegts', out],
        'remux': [*launch, *('tsdemux name=d d. ! queue ! h264parse ! m. d. ! queue ! aacparse ! m. '
                             'mpegtsmux name=m !').split(), *sink],
    }


def spread(values):
    return {'median': statistics.median(values), 'low': min(values), 'high': max(values)}


def files(clip, folder, runs):
    out = os.path.join(folder, 'out.ts')
    names = commands(clip, out)
    results = {name: [] for name in names}
    order = list(names)
    for turn in range(runs):
        for name in order[turn % 4:] + order[:turn % 4]:
            if os.path.exists(out):
                os.unlink(out)
            os.sync()
            results[name].append(cpu(names[name]))
    table = {name: spread(values) for name, values in results.items()}
    for other in ('ffmpeg', 'remux', 'copy'):
        # Paired: neighbours in time share the machine's mood.
        table[f'mpegtsregen/{other}'] = spread(
            [ours / theirs for ours, theirs in zip(results['mpegtsregen'], results[other])])
    return table


def alone(clip, runs):
    done = subprocess.run([os.path.join(BUILD, 'tests', 'bench', 'push-ts'), clip, '65536',
                           str(runs)], env=ENV, capture_output=True, text=True, check=True)
    return spread([float(line) / 1e9 for line in done.stdout.split()])


def analyze(clip, runs):
    words = [os.path.join(BUILD, 'launcher', 'keeprolling'), 'analyze', clip]
    return spread([os.path.getsize(clip) / cpu(words) / 1e9 for _ in range(runs)])


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def live(folder, seconds, runs):
    feed = os.path.join(folder, 'feed.ts')
    subprocess.run(['ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=25',
                    '-t', str(seconds), '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50',
                    '-b:v', '7.6M', '-minrate', '7.6M', '-maxrate', '7.6M', '-bufsize', '4M',
                    '-x264-params', 'nal-hrd=cbr', '-f', 'mpegts', feed], check=True)
    results = {'with': [], 'without': []}
    for _ in range(runs):
        for name in results:
            port = free_port()
            middle = ['mpegtsregen', '!'] if name == 'with' else []
            recorder = subprocess.Popen(
                ['gst-launch-1.0', '-q', 'srtsrc', f'uri=srt://127.0.0.1:{port}?mode=listener',
                 '!', *middle, 'filesink', f'location={folder}/live.ts'],
                env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(1)
            subprocess.run(['ffmpeg', '-v', 'error', '-re', '-i', feed, '-c', 'copy', '-f', 'mpegts',
                            f'srt://127.0.0.1:{port}?pkt_size=1316'], check=True)
            _, _, usage = os.wait4(recorder.pid, 0)
            results[name].append(used(usage))
    return {'with': spread(results['with']), 'without': spread(results['without']),
            'ratio': spread([a / b for a, b in zip(results['with'], results['without'])])}


def main():
    argument = lambda name, default: (int(sys.argv[sys.argv.index(name) + 1])
                                      if name in sys.argv else default)
    runs, seconds = argument('--runs', 7), argument('--live', 0)
    words = [word for at, word in enumerate(sys.argv[1:], 1) if not word.startswith('-') and
             sys.argv[at - 1] not in ('--runs', '--live')]
    with tempfile.TemporaryDirectory(dir=words[0] if words else None) as folder:
        clip = os.path.join(folder, 'clip.ts')
        make_clip(clip)
        result = {'cpu_s': files(clip, folder, runs), 'alone_GBps': alone(clip, runs),
                  'analyze_GBps': analyze(clip, runs)}
        if seconds:
            result['live_cpu_s'] = live(folder, seconds, 3)
    if '--json' in sys.argv:
        print(json.dumps(result, indent=1))
        return
    for part, rows in result.items():
        rows = rows if 'median' not in rows else {'': rows}
        for name, row in rows.items():
            print(f'{part} {name:20} {row["median"]:.3f} ({row["low"]:.3f}..{row["high"]:.3f})')


main()
