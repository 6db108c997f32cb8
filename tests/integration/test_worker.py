#!/usr/bin/env python3
# keeprolling - the worker process, seen from its supervisor
# SPDX-License-Identifier: LGPL-2.1-or-later

import json
import os
import signal
import socket
import subprocess
import threading
import time

import support
from support import (KEEPROLLING, PIPELINES, SrtFeed, check, clip, environment, final, free_port,
                     growing, packets, run, size, test)

RECORD = (PIPELINES / 'record-srt.pipeline').read_text()
FRAME = 0.04            # of the clip


class Worker(support.Process):
    """The hidden subcommand, with this script as its supervisor."""

    def __init__(self, t, text, instance='test-1', listen=True, **variables):
        self.command = [str(KEEPROLLING), 'worker']
        self.log = t.dir / f'{len(t.processes):02d}-worker.log'
        self.line, theirs = socket.socketpair()
        with open(self.log, 'ab') as out:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, env=environment(), close_fds=False,
                preexec_fn=lambda: self._give(theirs.fileno()))
        theirs.close()
        self.pid = self.popen.pid
        t.processes.append(self)
        self.messages = []
        self.say(type='config', path='cam.pipeline', text=text, set=variables, instance=instance)
        if listen:
            threading.Thread(target=self._listen, daemon=True).start()

    @staticmethod
    def _give(line):
        """In the child: its end of the line becomes descriptor 3."""
        if line != 3:
            os.dup2(line, 3)
        os.set_inheritable(3, True)

    def _listen(self):
        try:
            for line in self.line.makefile():
                self.messages.append((time.monotonic(), json.loads(line)))
        except (OSError, ValueError):
            pass

    def say(self, **message):
        self.line.sendall((json.dumps(message) + '\n').encode())

    def of(self, kind):
        return [message for _, message in list(self.messages) if message['type'] == kind]

    def events(self, kind):
        return [event for event in self.of('event') if event['kind'] == kind]

    def report(self, pipeline=0):
        reports = self.of('report')
        return reports[-1]['pipelines'][pipeline] if reports else {}

    def end(self):
        """Stop, as the supervisor says it; returns the exit status."""
        self.say(type='stop')
        return self.wait()


def record(t, feed, **words):
    return Worker(t, RECORD, SRT_URI=feed.uri, OUT=str(t.dir / 'out'), **words)


def fed(t, **words):
    """A feed, and a worker that records it."""
    feed = SrtFeed(t, clip()).start()
    worker = record(t, feed, **words)
    t.wait(lambda: any(size(path) > 100_000 for path in growing(t.dir)), 'the feed is recorded',
           limit=40, alive=[worker])
    return feed, worker


# growthmonitorsink makes its sink when it starts.
LOCATION = '''[Pipeline record]
Launch = srtsrc uri=${SRT_URI} poll-timeout=1000 ! growthmonitorsink location=${OUT}/{instance}.ts
'''


@test
def counts_what_a_sink_made_at_the_start_writes(t):
    feed = SrtFeed(t, clip()).start()
    worker = Worker(t, LOCATION, SRT_URI=feed.uri, OUT=str(t.dir / 'out'))
    t.wait(lambda: worker.report().get('written_bytes', 0) > 100_000, 'bytes are counted', limit=40,
           alive=[worker])
    check(worker.report()['segment_path'], worker.report())
    check(worker.end() == 0, 'exit status')


@test
def says_hello_reports_and_says_goodbye(t):
    _, worker = fed(t)
    t.wait(lambda: len(worker.of('report')) >= 4, 'reports come', alive=[worker])
    [hello] = worker.of('hello')
    check(hello['pid'] == worker.pid and hello['instance'] == 'test-1', hello)
    report = worker.report()
    check(report['name'] == 'record' and report['state'] == 'playing', report)
    check(report['received_bytes'] > 0 and report['written_bytes'] > 0, report)
    check(report['has_growth'] and report['rate'] > 0, report)
    check(report['sources'] == 1 and report['sources_silent'] == 0, report)
    check(worker.of('report')[-1]['rss'] > 1_000_000, 'rss')
    times = [at for at, message in worker.messages if message['type'] == 'report']
    t.note('seconds between reports: ' + ' '.join(f'{b - a:.2f}' for a, b in zip(times, times[1:])))
    check(worker.end() == 0, 'exit status')
    t.wait(lambda: worker.of('bye'), 'its last words arrive')
    check(worker.of('bye')[0]['code'] == 0, 'bye')
    check(not growing(t.dir) and len(final(t.dir)) == 1, 'names')
    check(any('is complete' in event['text'] for event in worker.events('segment')), 'segment')


@test
def finishes_when_its_supervisor_dies(t):
    _, worker = fed(t)
    worker.line.shutdown(socket.SHUT_RDWR)
    worker.line.close()
    check(worker.wait() == 0, 'exit status')
    check(not growing(t.dir) and len(final(t.dir)) == 1, 'names')


@test
def finishes_on_a_signal(t):
    for number in (signal.SIGTERM, signal.SIGINT):
        before = len(final(t.dir))
        _, worker = fed(t, instance=f'by-{number.name.lower()}')
        check(worker.stop(number) == 0, 'exit status')
        check(not growing(t.dir) and len(final(t.dir)) == before + 1, 'names')


def is_one_whole_file(t, worker):
    check(worker.wait() == 0, 'exit status')
    check(not growing(t.dir) and len(final(t.dir)) == 1, f'names:\n{worker.output()}')
    check('again' not in worker.output(), worker.output())


@test
def one_stop_may_come_several_ways(t):
    """systemd signals all processes of a service while the supervisor says the same: not twice a
    stop, which would end it at once."""
    _, worker = fed(t)
    worker.popen.send_signal(signal.SIGSTOP)
    worker.popen.send_signal(signal.SIGTERM)
    worker.say(type='stop')
    worker.line.shutdown(socket.SHUT_RDWR)
    worker.popen.send_signal(signal.SIGCONT)
    is_one_whole_file(t, worker)


@test
def the_watchdog_of_systemd_is_not_meant(t):
    """It aborts all processes of a service whose supervisor hangs, then says SIGTERM to the rest."""
    _, worker = fed(t)
    worker.popen.send_signal(signal.SIGABRT)
    worker.line.shutdown(socket.SHUT_RDWR)
    worker.popen.send_signal(signal.SIGTERM)
    is_one_whole_file(t, worker)


@test
def a_deaf_supervisor_does_not_hold_it_up(t):
    """Nobody reads the line: the worker drops reports, not media."""
    feed = SrtFeed(t, clip()).start()
    chatter = 'fakesrc num-buffers=1 ! fakesink'
    text = RECORD + f'\n[Pipeline chatter]\nLaunch = {chatter}\nRestart = always\nRestartSec = 10ms\n' \
                    'RestartMaxSec = 20ms\nStartLimitBurst = 1000\nStartLimitIntervalSec = 1s\n'
    worker = Worker(t, text, listen=False, SRT_URI=feed.uri, OUT=str(t.dir / 'out'))
    for at_least in (100_000, 400_000, 700_000):
        t.wait(lambda: any(size(path) > at_least for path in growing(t.dir)), 'it records',
               limit=40, alive=[worker])
    check(worker.end() == 0, 'exit status')
    check(not growing(t.dir) and len(final(t.dir)) == 1, 'names')


@test
def a_bad_file_is_refused(t):
    worker = Worker(t, '[Pipeline a]\nLaunch = fakesrc ! fakesink\nRestrat = no\n')
    check(worker.wait() == 65, 'exit status')
    check('Restrat' in worker.output(), 'the word is named')


@test
def ends_with_its_pipelines(t):
    def status(launch, restart):
        return Worker(t, f'[Pipeline a]\nLaunch = {launch}\nRestart = {restart}\n').wait()
    check(status('fakesrc num-buffers=3 ! fakesink', 'no') == 0, 'played to its end')
    check(status('fakesrc num-buffers=3 ! fakesink', 'on-failure') == 0, 'played to its end')
    check(status('filesrc location=/nonexistent/file ! fakesink', 'no') == 69, 'no source')
    check(status('fakesrc ! identity error-after=2 ! fakesink', 'no') == 70, 'broken')


@test(limit=90)
def an_error_costs_less_than_a_second(t):
    """The pipeline breaks every 100 buffers; it is another one within a second each time."""
    text = '[Pipeline a]\nLaunch = videotestsrc is-live=true ! identity error-after=60 ! fakesink\n' \
           'RestartMaxSec = 300ms\nStartLimitBurst = 5\n'
    worker = Worker(t, text)
    t.wait(lambda: worker.events('failed'), 'the limit is reached', limit=60, alive=[worker])
    taken = [float(event['text'].split()[-2]) for event in worker.events('recovered')]
    t.note('back after ' + ' '.join(f'{seconds:.1f}' for seconds in taken) + ' s')
    check(len(taken) == 4 and max(taken) <= 1 * support.SCALE, f'back after {taken}')
    check('identity' in worker.events('failed')[0]['text'], 'the reason is named')
    check(worker.wait() == 70, 'exit status')


@test(limit=120)
def a_silent_feed_is_reconnected_alone(t):
    """The encoder hangs without closing its connection: nothing comes, nothing is wrong."""
    feed, worker = fed(t)
    [path] = growing(t.dir)
    inode = os.stat(path).st_ino
    os.killpg(feed.process.pid, signal.SIGSTOP)
    t.wait(lambda: worker.events('reconnect'), 'the silence is noticed', alive=[worker])
    check('silent' in worker.events('reconnect')[0]['text'], worker.events('reconnect'))
    t.wait(lambda: worker.report()['state'] == 'reconnecting', 'it shows', alive=[worker])
    os.killpg(feed.process.pid, signal.SIGCONT)
    feed.kill()
    feed.start()
    before = size(path)
    t.wait(lambda: size(path) > before + 50_000, 'it is recorded again', limit=40, alive=[worker])
    check([os.stat(other).st_ino for other in growing(t.dir)] == [inode], 'the file stayed open')
    check(worker.report()['restarts'] == 0, 'nothing was rebuilt')
    check(worker.end() == 0, 'exit status')


@test(limit=180)
def ten_outages_in_one_file(t):
    """The feed is killed ten times; each time it is received again within a second."""
    feed, worker = fed(t)
    # A feed that was late for the start counts as one already.
    lost, found = len(worker.events('reconnect')), len(worker.events('recovered'))
    back = []
    for _ in range(10):
        feed.kill()
        t.wait(lambda: len(worker.events('reconnect')) > lost + len(back), 'the outage is noticed',
               limit=30, alive=[worker])
        feed.start()
        started = time.monotonic()
        t.wait(lambda: len(worker.events('recovered')) > found + len(back), 'the feed is back',
               limit=30, alive=[worker])
        back.append(time.monotonic() - started)
        t.wait(lambda: feed.sent() > 2, 'the feed is sent', limit=30, alive=[worker])
    t.note('received again after ' + ' '.join(f'{seconds:.2f}' for seconds in back) + ' s')
    check(sorted(back)[5] <= 1 * support.SCALE, f'received again after {back}')
    report = worker.report()
    check(report['restarts'] == 0 and report['reconnects'] == lost + 10, report)
    check(worker.end() == 0, 'exit status')
    [path] = final(t.dir)
    recorded, sent = len(packets(path)) * FRAME, feed.sent_in_all()
    t.note(f'recorded {recorded:.1f} of {sent:.1f} s that were sent')
    check(recorded >= 0.9 * sent, 'less than 90 % of what was sent is in the file')


@test(limit=120)
def an_absent_feed_keeps_nobody_from_starting(t):
    present = SrtFeed(t, clip()).start()
    absent = free_port()
    sink = 'growthmonitorsink sink="atomicfilesink location={}/{}_{{seq}}.ts"'
    out = t.dir / 'out'
    text = '\n'.join([
        '[Pipeline both]', 'Launch =',
        f'    srtsrc uri="{present.uri}" poll-timeout=1000 ! {sink.format(out, "present")}',
        f'    srtsrc uri="srt://127.0.0.1:{absent}" poll-timeout=1000 ! {sink.format(out, "absent")}',
        # A name that nobody knows is not merely absent: srtsrc fails to open.
        f'    srtsrc uri="srt://nobody.invalid:7001" poll-timeout=1000 ! {sink.format(out, "unknown")}'])
    worker = Worker(t, text + '\n')
    t.wait(lambda: any('present' in path.name and size(path) > 100_000 for path in growing(t.dir)),
           'the one that is there is recorded', limit=60, alive=[worker])
    t.wait(lambda: worker.report().get('sources_silent') == 2, 'the others are reported',
           limit=30, alive=[worker])
    late = SrtFeed(t, clip(), port=absent).start()
    t.wait(lambda: any('absent' in path.name and size(path) > 100_000 for path in growing(t.dir)),
           'the one that comes late is recorded', limit=60, alive=[worker])
    check(late.process.running(), 'feed')
    check(worker.end() == 0, 'exit status')
    check(not growing(t.dir) and len(final(t.dir)) == 2, final(t.dir))


class Camera:
    """An RTSP camera that can be switched off and on again, always at the same address."""

    LAUNCH = ('( videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 '
              '! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=300 '
              '! rtph264pay name=pay0 pt=96 )')

    def __init__(self, t):
        server = support.BUILD / 'tests' / 'integration' / 'rtsp-server'
        if not server.exists():
            raise support.Skip('built without gst-rtsp-server')
        self.t, self.server = t, server
        self.process = None
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.uri = f'rtsp://127.0.0.1:{self.socket.getsockname()[1]}/stream'
        threading.Thread(target=self._serve, daemon=True).start()

    def start(self):
        self.process = self.t.spawn([self.server, self.LAUNCH])
        self.t.wait(lambda: self.process.output().strip(), 'the camera listens')

    def _serve(self):
        while True:
            ours, _ = self.socket.accept()
            try:
                port = int(self.process.output().splitlines()[0]) if self.process.running() else 9
                theirs = socket.create_connection(('127.0.0.1', port))
            except (OSError, IndexError):       # it is gone, or has not said its port yet
                ours.close()
                continue
            for a, b in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@test(limit=180)
def a_camera_that_reboots_stays_in_its_file(t):
    """rtspsrc comes back with other pads: what hung on the old ones gets the new ones."""
    camera = Camera(t)
    camera.start()
    worker = Worker(t, (PIPELINES / 'record-rtsp.pipeline').read_text(), RTSP_URI=camera.uri,
                    OUT=str(t.dir / 'out'))
    t.wait(lambda: any(size(path) > 100_000 for path in growing(t.dir)), 'the camera is recorded',
           limit=40, alive=[worker])
    [path] = growing(t.dir)
    inode = os.stat(path).st_ino
    back = []
    for turn in range(3):
        camera.process.kill()
        t.wait(lambda: len(worker.events('reconnect')) > turn, 'the outage is noticed', limit=30,
               alive=[worker])
        time.sleep(1.5)             # it boots; whoever asks meanwhile is turned away
        before = worker.report()['received_bytes']
        camera.start()
        started = time.monotonic()
        t.wait(lambda: worker.report()['received_bytes'] > before + 20_000, 'it is received again',
               limit=40, alive=[worker])
        back.append(time.monotonic() - started)
    t.note('received again after ' + ' '.join(f'{seconds:.2f}' for seconds in back) + ' s')
    check(worker.report()['restarts'] == 0, worker.report())
    check([os.stat(other).st_ino for other in growing(t.dir)] == [inode], 'the file stayed open')
    before = len(packets(path))
    t.wait(lambda: len(packets(path)) > before + 20, 'its picture is recorded', limit=30,
           alive=[worker])
    check(worker.end() == 0, 'exit status')
    check(len(final(t.dir)) == 1 and not growing(t.dir), 'names')


@test(limit=90)
def a_recording_that_vanishes_begins_anew(t):
    """Somebody removes the file that is being written."""
    _, worker = fed(t)
    t.wait(lambda: worker.report().get('rate', 0) > 0, 'its growth was seen', alive=[worker])
    [path] = growing(t.dir)
    path.unlink()
    t.wait(lambda: worker.events('stall'), 'it is noticed', limit=40, alive=[worker])
    t.wait(lambda: any(size(other) > 100_000 for other in growing(t.dir)), 'another file grows',
           limit=40, alive=[worker])
    t.wait(lambda: worker.events('restart'), 'it says so', alive=[worker])
    check('file-unlinked' in worker.events('restart')[0]['text'], worker.events('restart'))
    check(worker.end() == 0, 'exit status')


@test(limit=90)
def a_successor_finalises_what_a_dead_worker_left(t):
    feed, worker = fed(t)
    worker.kill()
    [left] = growing(t.dir)
    successor = record(t, feed, instance='test-2')
    t.wait(lambda: final(t.dir), 'the leftover gets its final name', limit=40, alive=[successor])
    check(not left.exists(), 'the temporary name is still there')
    t.wait(lambda: successor.events('recovered'), 'it is told', alive=[successor])
    t.wait(lambda: any(size(path) > 100_000 for path in growing(t.dir)), 'it records itself',
           limit=40, alive=[successor])
    check(successor.end() == 0, 'exit status')
    check(len(final(t.dir)) == 2 and not growing(t.dir), 'names')


@test(limit=60)
def secrets_stay_inside(t):
    feed = SrtFeed(t, clip())
    uri = f'srt://nobody.invalid:{feed.port}?mode=caller&passphrase=opensesame123&streamid=seventhkey'
    worker = Worker(t, RECORD, SRT_URI=uri, OUT=str(t.dir / 'out'))
    t.wait(lambda: worker.events('restart'), 'the name is not found', limit=40, alive=[worker])
    check(worker.stop() == 0, 'exit status')
    told = json.dumps(worker.messages) + worker.output()
    for secret in ('opensesame123', 'seventhkey'):
        check(secret not in told, f'{secret} was told')


run()
