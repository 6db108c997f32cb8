#!/usr/bin/env python3
# keeprolling - what "./bootstrap demo" runs
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two live feeds, one recording, one composite; one feed is killed and comes back on the way.
Nothing is special to the demo: it starts `keeprolling run` on the files of pipelines/, as you
would, and looks at what was recorded with ffprobe."""

import argparse
import contextlib
import datetime
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import support                                                              # noqa: E402

OUTAGE = 5
SECONDS_WITHOUT_TERMINAL = 25
ENCODERS = {
    'VIDEO_ENCODER': [
        ('x264enc', 'x264enc tune=zerolatency speed-preset=ultrafast bitrate=2000 key-int-max=30'),
        ('openh264enc', 'openh264enc bitrate=2000000 gop-size=30 complexity=low')],
    'AUDIO_ENCODER': [
        ('avenc_aac', 'avenc_aac bitrate=128000'),
        ('voaacenc', 'voaacenc bitrate=128000'),
        ('fdkaacenc', 'fdkaacenc bitrate=128000')],
}


class Fault(Exception):
    """Ends the demo with a message for the user."""


def choose_encoders():
    chosen = {}
    for variable, candidates in ENCODERS.items():
        for element, text in candidates:
            if subprocess.run(['gst-inspect-1.0', '--exists', element], env=support.environment(),
                              check=False).returncode == 0:
                chosen[variable] = text
                break
        else:
            names = ', '.join(element for element, _ in candidates)
            raise Fault(f'no encoder: one of {names} is needed (gstreamer1.0-plugins-ugly and '
                        'gstreamer1.0-libav have them)')
    return chosen


class Demo:
    def __init__(self, out, encoders):
        self.out = out
        self.encoders = encoders
        self.ports = [support.free_port(), support.free_port()]
        self.feeds = [None, None]
        self.recorder = None
        self.started = time.monotonic()
        self.terminal = sys.stdout.isatty()
        self.shown = 0                      # bytes of the recorder's log that were printed

    def say(self, text):
        clear = '\r\033[K' if self.terminal else ''
        print(f'{clear}{time.monotonic() - self.started:5.1f} s  {text}', flush=True)

    def run(self, name, files, variables):
        folder = self.out / 'run' / name
        folder.mkdir(parents=True, exist_ok=True)
        words = [f'--set={key}={value}' for key, value in {**self.encoders, **variables}.items()]
        files = [support.PIPELINES / f'{file}.pipeline' for file in files]
        return support.Process(
            [support.KEEPROLLING, 'run', *words, support.LISTEN, *files], folder / 'log',
            RUNTIME_DIRECTORY=folder, STATE_DIRECTORY=folder)

    def start_feed(self, number):
        look = [{'NAME': 'cam1', 'PATTERN': 'ball', 'FREQUENCY': 440, 'BACKGROUND': '0xff1d3f5e'},
                {'NAME': 'cam2', 'PATTERN': 'smpte', 'FREQUENCY': 660, 'BACKGROUND': '0xff5e1d1d'}]
        uri = f'srt://127.0.0.1:{self.ports[number]}?mode=listener'
        self.feeds[number] = self.run(f'cam{number + 1}', ['demo-source'],
                                      {'SRT_URI': uri, **look[number]})

    def start_recorder(self):
        uris = [f'srt://127.0.0.1:{port}?mode=caller' for port in self.ports]
        self.recorder = self.run('recorder', ['record-srt', 'composite-srt'], {
            'SRT_URI': uris[0], 'SRT_URI_1': uris[0], 'SRT_URI_2': uris[1], 'OUT': os.path.relpath(self.out),
            'SEGMENT_NS': 10 * 10**9})

    def show_log(self):
        """Passes on what the recorder says about itself."""
        text = self.recorder.log.read_bytes()
        whole = text.rfind(b'\n') + 1
        for line in text[self.shown:whole].decode(errors='replace').splitlines():
            self.say('| ' + line.partition(' ')[2])     # without its time of day
        self.shown = whole

    def show_progress(self):
        if not self.terminal:
            return
        now = ', '.join(f'{path.name.split("_")[0]} {support.size(path) / 1e6:.1f} MB'
                        for path in support.growing(self.out))
        done = len(support.final(self.out))
        sys.stdout.write(f'\r\033[K{time.monotonic() - self.started:5.1f} s  growing: '
                         f'{now or "nothing yet"}; {done} files complete  (Ctrl-C ends)')
        sys.stdout.flush()

    def watch(self, until, what=lambda: False):
        while time.monotonic() < until and not what():
            if not self.recorder.running():
                self.show_log()
                raise Fault(f'the recorder ended with status {self.recorder.popen.returncode}')
            self.show_log()
            self.show_progress()
            time.sleep(0.2)

    def act(self, seconds):
        """The play itself. Any moment may be the last: Ctrl-C."""
        self.say('two live feeds start: '
                 + ', '.join(f'srt://127.0.0.1:{port}?mode=caller' for port in self.ports))
        self.start_feed(0)
        self.start_feed(1)
        self.say('one recorder starts: cam1 as it comes, both side by side as "programme"')
        self.start_recorder()
        end = self.started + (seconds or 10**9)
        outage = min(OUTAGE, (seconds or 60) / 4)
        self.watch(self.started + min(10, (seconds or 30) / 3))
        self.say(f'cam2 is killed (kill -9) and will be back in {outage:.0f} s: '
                 'its half turns black, the rest goes on')
        self.feeds[1].kill()
        self.watch(min(end, time.monotonic() + outage))
        self.say('cam2 starts again')
        self.start_feed(1)
        self.watch(end)

    def stop(self):
        self.say('stopping: the files are finished and get their final names')
        status = 0
        if self.recorder:
            status = self.recorder.stop()
            self.show_log()
        self.kill()
        return status

    def kill(self):
        for process in (*self.feeds, self.recorder):
            if process:
                process.kill()


def verdict(path):
    """(ok, words) about one file, from what ffprobe reads in it."""
    types = support.stream_types(path)
    if types != ['audio', 'video']:
        return False, f'streams: {", ".join(types) or "none"}'
    for stream in 'v', 'a':
        stamps = [dts for _, dts, _ in support.packets(path, stream)]
        if None in stamps or any(b <= a for a, b in zip(stamps, stamps[1:])):
            return False, 'a stamp is missing, stands still or goes back'
    if not support.packets(path)[0][2]:
        return False, 'does not begin with a keyframe'
    return True, 'plays; every stamp goes forward'


def list_files(out):
    good = True
    names = support.final(out)
    width = max((len(os.path.relpath(path)) for path in names), default=0)
    print(f'\n{"file":{width}} {"MB":>6} {"seconds":>8}  ffprobe says')
    for path in names:
        ok, words = verdict(path)
        good = good and ok
        print(f'{os.path.relpath(path):{width}} {support.size(path) / 1e6:6.2f} '
              f'{support.duration(path):8.2f}  {words}')
    for path in support.growing(out):
        good = False
        print(f'{os.path.relpath(path)}: was not finished')
    return good and bool(names)


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog='./bootstrap demo', description=__doc__)
    parser.add_argument('--build', type=pathlib.Path, default=support.BUILD, help=argparse.SUPPRESS)
    parser.add_argument('--seconds', type=float, metavar='N',
                        help='end after N seconds (at least 8); default: at Ctrl-C, without a '
                             f'terminal after {SECONDS_WITHOUT_TERMINAL}')
    parser.add_argument('--out', type=pathlib.Path, default=support.SOURCE / 'demo',
                        help='folder for the recordings (%(default)s)')
    options = parser.parse_args()
    support.use_build(options.build)
    seconds = options.seconds
    if seconds is None and not sys.stdout.isatty():
        seconds = SECONDS_WITHOUT_TERMINAL
    if seconds is not None and seconds < 8:
        parser.error('--seconds: at least 8, so that there is something to see')

    signal.signal(signal.SIGTERM, interrupted)
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
    out = options.out.resolve() / stamp
    demo = None
    try:
        demo = Demo(out, choose_encoders())
        with contextlib.suppress(KeyboardInterrupt):
            demo.act(seconds)
        status = demo.stop()
        good = list_files(out)
    except (Fault, support.Failed) as fault:
        print(f'demo: {fault}', file=sys.stderr)
        return 1
    finally:
        if demo:
            demo.kill()
    return 0 if good and status == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
