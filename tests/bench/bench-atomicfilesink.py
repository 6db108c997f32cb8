#!/usr/bin/env python3
# keeprolling - what atomicfilesink costs, as ratios to stock filesink in one run
# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench-atomicfilesink.py [--runs N] [--json] [--parallel] [FOLDER]

250 MB in buffers of 1316 bytes, A B A B: filesink, atomicfilesink with sync-interval=0 and with
defaults. Prints medians with their spread (lowest to highest) and the ratios that matter.
--parallel: 100 recordings of 8 Mb/s in one process for a minute, and how memory went."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

BUILD = os.environ.get('KR_BUILD_DIR', 'build')
PUSH = os.path.join(BUILD, 'tests', 'bench', 'push-bytes')
SINKS = {
    'filesink': 'filesink location={path}',
    'no-sync': 'atomicfilesink location={path} sync-interval=0 recover=false',
    'default': 'atomicfilesink location={path} recover=false',
}


def measure(folder, sink, *options):
    path = os.path.join(folder, 'bench-{N}.ts')
    done = subprocess.run([PUSH, *options, sink.format(path=path)], capture_output=True,
                          text=True, check=True)
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    return json.loads(done.stdout.splitlines()[-1])


def ratios(folder, runs):
    results = {name: [] for name in SINKS}
    names = list(SINKS)
    for turn in range(runs):
        # Each after each: what one leaves dirty is paid for by the next.
        for name in names[turn % 3:] + names[:turn % 3]:
            os.sync()
            results[name].append(measure(folder, SINKS[name]))
    table = {}
    for name, rows in results.items():
        table[name] = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        table[name]['cpu_spread'] = [min(row['cpu'] for row in rows),
                                     max(row['cpu'] for row in rows)]
    base = table['filesink']
    for name in ('no-sync', 'default'):
        # Paired: neighbours in time share the machine's mood.
        pairs = [row['cpu'] / stock['cpu'] for row, stock in zip(results[name],
                                                                 results['filesink'])]
        table[name]['cpu_ratio'] = statistics.median(pairs)
        table[name]['cpu_ratio_spread'] = [min(pairs), max(pairs)]
        table[name]['write_ratio'] = table[name]['writes'] / base['writes']
        table[name]['rss_more_mib'] = (table[name]['rss'] - base['rss']) / 1024
    return table


def parallel(folder, seconds):
    rows = []
    for part in (seconds // 4, seconds):
        rows.append(measure(folder, SINKS['default'], '--sinks=100', '--rate=1000000',
                            f'--bytes={part * 1000000}'))
    return {'seconds': seconds, 'dropped': rows[1]['dropped'], 'rss_quarter_mib':
            rows[0]['rss'] / 1024, 'rss_mib': rows[1]['rss'] / 1024,
            'cpu_per_second': rows[1]['cpu'] / rows[1]['wall'],
            'push_ms_max': rows[1]['push_ns_max'] / 1e6}


def main():
    runs = int(sys.argv[sys.argv.index('--runs') + 1]) if '--runs' in sys.argv else 7
    words = [word for at, word in enumerate(sys.argv[1:], 1)
             if not word.startswith('-') and sys.argv[at - 1] != '--runs']
    with tempfile.TemporaryDirectory(dir=words[0] if words else None) as folder:
        if '--parallel' in sys.argv:
            result = parallel(folder, 60)
        else:
            result = ratios(folder, runs)
    if '--json' in sys.argv:
        print(json.dumps(result, indent=1))
        return
    if '--parallel' in sys.argv:
        print('\n'.join(f'{key:18} {value:.2f}' for key, value in result.items()))
        return
    for name, row in result.items():
        print(f'{name:9} cpu {row["cpu"]:.3f} s ({row["cpu_spread"][0]:.3f}..'
              f'{row["cpu_spread"][1]:.3f})  wall {row["wall"]:.2f} s  writes '
              f'{row["writes"]:.0f}  rss {row["rss"] / 1024:.1f} MiB')
    for name in ('no-sync', 'default'):
        row = result[name]
        print(f'{name:9} cpu ratio {row["cpu_ratio"]:.3f} ({row["cpu_ratio_spread"][0]:.3f}..'
              f'{row["cpu_ratio_spread"][1]:.3f})  write ratio {row["write_ratio"]:.4f}  '
              f'rss {row["rss_more_mib"]:+.1f} MiB')


main()
