# keeprolling - what every integration test needs
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Integration tests are functions under @test that take a Test:

    @test
    def records_a_feed(t):
        feed = t.spawn(feed_command(port))
        t.wait(lambda: size(path) > 0, 'the file appears')

    run()       # the script speaks TAP

A Test owns a folder and the processes it started; both are gone when the function returns,
whatever happened. Waiting is always for a condition, with a limit that is a guard against
hangs, not a measure of speed."""

import array
import cmath
import contextlib
import fcntl
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('KR_BUILD_DIR') or SOURCE / 'build').resolve()
KEEPROLLING = BUILD / 'launcher' / 'keeprolling'
PIPELINES = SOURCE / 'pipelines'
SCALE = float(os.environ.get('KR_TEST_TIMEOUT_SCALE', '1'))
LONG = '--long' in sys.argv
# A free port, or "none" where the status server was not built.
LISTEN = f"--listen={os.environ.get('KR_TEST_LISTEN', '127.0.0.1:0')}"

_tests = []


def use_build(folder):
    """Takes the programs from another build folder."""
    global BUILD, KEEPROLLING
    BUILD = pathlib.Path(folder).resolve()
    KEEPROLLING = BUILD / 'launcher' / 'keeprolling'


class Skip(Exception):
    """Raised where a test cannot say anything here; shows as skipped, never as passed."""


class Failed(AssertionError):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def test(function=None, *, limit=60):
    """Registers a test function; limit is its deadline in seconds."""
    def add(function):
        _tests.append((function, limit))
        return function
    return add(function) if function else add


# --- processes ----------------------------------------------------------------------------

def environment(**extra):
    """The environment of meson test, also when a script is run by hand."""
    env = dict(os.environ)
    env.setdefault('GST_PLUGIN_PATH', str(BUILD / 'plugins'))
    env.setdefault('GST_REGISTRY', str(BUILD / 'test-registry.bin'))
    env.setdefault('G_DEBUG', 'fatal-criticals')
    # For a build with the address sanitizer: without these a table that GLib keeps for good counts
    # as a leak, and as the check of the pipeline files ends with an error then, nothing starts.
    env.setdefault('ASAN_OPTIONS', 'fast_unwind_on_malloc=0')
    env.setdefault('LSAN_OPTIONS', 'print_suppressions=0:suppressions='
                   + str(SOURCE / 'tests' / 'data' / 'lsan.supp'))
    env.update({name: str(value) for name, value in extra.items()})
    return env


class Process:
    """A child in its own process group, its output in a file."""

    def __init__(self, command, log, cwd=None, pipe=False, **env):
        self.command = [str(word) for word in command]
        self.log = log
        with open(log, 'ab') as out:
            self.popen = subprocess.Popen(self.command, stdin=subprocess.PIPE if pipe else
                                          subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, start_new_session=True,
                                          cwd=cwd, env=environment(**env))
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def send(self, number):
        if self.running():
            os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, limit=30):
        """Asks it to end; returns the exit status. Killing is a failure of the test."""
        self.send(number)
        return self.wait(limit)

    def wait(self, limit=30):
        try:
            return self.popen.wait(timeout=limit * SCALE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f'still running after {limit} s: {shlex.join(self.command)}\n'
                         f'{self.output()[-3000:]}') from None

    def kill(self):
        """Ends the whole group at once, as kill -9 does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def output(self):
        return self.log.read_text(errors='replace')


class Test:
    def __init__(self, name):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f'kr-{name[:24]}-'))
        self.processes = []

    def spawn(self, command, name=None, **env):
        name = name or pathlib.Path(str(command[0])).name
        log = self.dir / f'{len(self.processes):02d}-{name}.log'
        process = Process(command, log, **env)
        self.processes.append(process)
        return process

    def gst_launch(self, description, **env):
        """gst-launch-1.0 with the words of a launch line; an interrupt is an end of stream."""
        return self.spawn(['gst-launch-1.0', '-e', *shlex.split(description)], **env)

    def keeprolling(self, *arguments, **env):
        return self.spawn([KEEPROLLING, *arguments], **env)

    def run_pipeline(self, *files, set=None, options=(), **env):
        """`keeprolling run` on our own runtime and state folders and a free status port."""
        runtime, state = self.dir / 'runtime', self.dir / 'state'
        runtime.mkdir(exist_ok=True)
        state.mkdir(exist_ok=True)
        words = [f'--set={name}={value}' for name, value in (set or {}).items()]
        if not any(word.startswith('--listen') for word in map(str, options)):
            words.append(LISTEN)
        return self.keeprolling('run', *words, *options, *files, **{
            'RUNTIME_DIRECTORY': runtime, 'STATE_DIRECTORY': state, **env})

    def wait(self, condition, what, limit=20, alive=()):
        """Polls until condition() is true and returns its value."""
        end = time.monotonic() + limit * SCALE
        while True:
            value = condition()
            if value:
                return value
            for process in alive:
                if not process.running():
                    raise Failed(f'{process.command[0]} ended with {process.popen.returncode} '
                                 f'before {what}:\n{process.output()[-3000:]}')
            if time.monotonic() > end:
                raise Failed(f'not within {limit} s: {what}')
            time.sleep(0.02)

    def note(self, text):
        """A line for the log of the test: a measured figure."""
        print(f'# {text}', flush=True)

    def close(self, failed):
        for process in reversed(self.processes):
            process.kill()
        if failed:
            for process in self.processes:
                print(f'# --- {shlex.join(process.command)} -> {process.popen.returncode}')
                for line in process.output()[-6000:].splitlines():
                    print(f'#   {line}')
        if failed and os.environ.get('KR_TEST_KEEP'):
            print(f'# kept: {self.dir}')
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def _on_alarm(number, frame):
    raise Failed('the test hangs: its deadline has passed')


def _run_one(number, function, limit):
    t = Test(function.__name__)
    verdict, failed = 'ok', False
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.alarm(max(1, int(limit * SCALE)))
    suffix = ''
    try:
        function(t)
    except Skip as reason:
        suffix = f' # SKIP {" ".join(str(reason).split())}'
    except Exception:                                   # noqa: a test may fail in any way
        verdict, failed = 'not ok', True
        for line in traceback.format_exc().splitlines():
            print(f'# {line}')
    finally:
        signal.alarm(0)
        t.close(failed)
    print(f'{verdict} {number} {function.__name__}{suffix}', flush=True)
    return not failed


def _on_end(number, frame):
    raise SystemExit(128 + number)


def run():
    """Runs the registered tests, or those named on the command line."""
    signal.signal(signal.SIGTERM, _on_end)
    names = [word for word in sys.argv[1:] if not word.startswith('-')]
    chosen = [entry for entry in _tests if not names or entry[0].__name__ in names]
    print(f'1..{len(chosen)}', flush=True)
    passed = [_run_one(number, *entry) for number, entry in enumerate(chosen, 1)]
    sys.exit(0 if all(passed) else 1)


# --- network ------------------------------------------------------------------------------

def free_port(kind=socket.SOCK_DGRAM):
    """A port of 127.0.0.1 that nobody holds now. It lies below the range from which the kernel
    gives ports to clients, and a name in the abstract socket namespace claims it against the
    tests that run beside this one; the claim ends with the process and leaves no file."""
    start = int.from_bytes(os.urandom(4), 'big')
    for step in range(20000):
        port = 12000 + (start + step * 7) % 20000
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f'\0keeprolling-test-port-{port}')
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(('127.0.0.1', port))
        except OSError:
            claim.close()
            continue
        _claimed.append(claim)
        return port
    raise Failed('no free port')


_claimed = []               # kept open until the script ends


# --- media --------------------------------------------------------------------------------

def clip(name='cam', *, size='320x240', rate=25, seconds=120, frequency=440, picture='testsrc2',
         kbits=600):
    """A pre-encoded clip, made once per build folder: moving picture with a burnt-in clock, a
    tone (or noise, if frequency says so: no two frames of it are alike), a keyframe each second. seconds is a multiple of 8, so that both streams end at the
    same time and the loop is seamless."""
    folder = BUILD / 'test-media'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{name}-{size}-{rate}-{seconds}-{frequency}-{picture}-{kbits}.ts'
    with open(folder / f'{path.name}.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        part = path.with_suffix('.part')
        sound = 'anoisesrc=amplitude=0.1:seed=1' if frequency == 'noise' else f'sine=frequency={frequency}'
        subprocess.run(
            ['ffmpeg', '-v', 'error', '-y', '-nostdin',
             '-f', 'lavfi', '-i', f'{picture}=size={size}:rate={rate}:duration={seconds}',
             '-f', 'lavfi', '-i', f'{sound}:sample_rate=48000:duration={seconds}',
             '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', str(rate),
             '-keyint_min', str(rate), '-sc_threshold', '0', '-b:v', f'{kbits}k', '-maxrate',
             f'{kbits}k', '-bufsize', f'{kbits // 2}k', '-pix_fmt', 'yuv420p', '-c:a', 'aac',
             '-b:a', '96k', '-ac', '2',
             '-f', 'mpegts', '-muxdelay', '0.2', part], check=True, env=environment())
        part.rename(path)
    return path


class SrtFeed:
    """An encoder in the field: real time, endless, clocks at zero with each start. It is ffmpeg
    that copies a clip, so it costs next to no CPU. ffmpeg serves one peer and ends with it; a
    shell around it starts it again, as an encoder would listen (or call) again."""

    LOOP = 'n=0; while :; do n=$((n + 1)); "$@" -progress "$PROGRESS.$n" -y "$URI"; sleep 0.05; done'

    def __init__(self, t, clip, port=None, mode='listener'):
        self.t = t
        self.clip = clip
        self.port = port or free_port()
        self.mode = mode
        self.uri = f'srt://127.0.0.1:{self.port}?mode=caller'
        self.process = None
        self.starts = 0

    def start(self, *options):
        """Options are ffmpeg's, for an encoder that comes back different."""
        self.starts += 1
        self.process = self.t.spawn(
            ['sh', '-c', self.LOOP, 'feed', 'ffmpeg', '-v', 'warning', '-nostdin', '-nostats',
             '-stats_period', '0.1', '-re', '-stream_loop', '-1', '-i', self.clip, '-c', 'copy', '-f',
             'mpegts', '-muxdelay', '0.2', '-pcr_period', '20', '-flush_packets', '1', *options],
            name='feed', PROGRESS=self._progress(self.starts),
            URI=f'srt://127.0.0.1:{self.port}?mode={self.mode}&latency=120000&pkt_size=1316')
        return self

    def kill(self):
        """The cable is pulled: no goodbye."""
        self.process.kill()

    def _progress(self, start):
        return self.t.dir / f'feed-{self.port}-{start}'

    def sent(self, start=None):
        """Seconds of media sent since the last (or that) start, as the encoder counts them."""
        total = 0
        name = self._progress(start or self.starts).name
        for path in self.t.dir.glob(f'{name}.*'):
            times = [line.split('=')[1] for line in path.read_text().splitlines()
                     if line.startswith('out_time_us=')]
            total += max((int(time) for time in times if time.isdigit()), default=0)
        return total / 1e6

    def sent_in_all(self):
        return sum(self.sent(start) for start in range(1, self.starts + 1))


def srt_server(t, clip):
    """A feed that takes any number of callers at any time, as good encoders do; its URI. Not to be
    killed in a test of outages: it goes on from where it is."""
    port = free_port()
    t.gst_launch(f'filesrc location={clip} ! tsparse set-timestamps=true smoothing-latency=20000 '
                 f'alignment=7 ! srtsink uri=srt://127.0.0.1:{port}?mode=listener latency=120 '
                 'wait-for-connection=false')
    return f'srt://127.0.0.1:{port}?mode=caller'


def probe(path, *words):
    """ffprobe's answer as a dictionary; {} if it cannot read the file (yet)."""
    done = subprocess.run(['ffprobe', '-v', 'error', '-of', 'json', *words, str(path)],
                          capture_output=True, text=True, env=environment(), check=False)
    try:
        return json.loads(done.stdout or '{}') if done.returncode == 0 else {}
    except json.JSONDecodeError:
        return {}


def stream_types(path):
    return sorted(stream['codec_type'] for stream in
                  probe(path, '-show_entries', 'stream=codec_type').get('streams', []))


def duration(path):
    return float(probe(path, '-show_entries', 'format=duration').get('format', {})
                 .get('duration', 0))


def packets(path, stream='v'):
    """(pts, dts, keyframe) of each packet of a stream in seconds, in the order of the file."""
    answer = probe(path, '-select_streams', f'{stream}:0', '-show_entries',
                   'packet=pts_time,dts_time,flags')
    seconds = lambda packet, key: float(packet[key]) if key in packet else None
    return [(seconds(packet, 'pts_time'), seconds(packet, 'dts_time'), 'K' in packet['flags'])
            for packet in answer.get('packets', [])]


def decode_errors(path):
    """What a full decode complains about; empty for a clean file."""
    done = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', str(path), '-map', '0', '-f',
                           'null', '-'], capture_output=True, text=True, env=environment(),
                          check=False)
    return done.stderr.strip()


def faults(path, ignore=()):
    """What `keeprolling analyze` and, where it is at hand, the independent checker find in a
    transport stream: kind -> count. Kinds in ignore, and what is signalled as a discontinuity, are
    left out."""
    done = subprocess.run([KEEPROLLING, 'analyze', '--json', str(path)], capture_output=True,
                          text=True, env=environment(), check=False)
    check(done.returncode == 0, f'analyze ended with {done.returncode}: {done.stderr}')
    found = {**(tscheck(path) or {}), **json.loads(done.stdout)['errors']}
    return {kind: count for kind, count in found.items()
            if kind not in ignore and not kind.endswith('_signalled')}


def tscheck(path, *words):
    """The independent checker's error counts, where KR_SHARED names the folder that has it;
    else None."""
    shared = os.environ.get('KR_SHARED')
    if not shared:
        return None
    done = subprocess.run([sys.executable, pathlib.Path(shared) / 'tools' / 'tscheck.py',
                           str(path), *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)['errors']


def motion(path, crop, width=32, height=18):
    """Per frame of the picture's part "w:h:x:y": (how much it differs from the frame before, how
    bright it is), both 0 to 255."""
    raw = subprocess.run(
        ['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:v', '-vsync', 'passthrough',
         '-vf', f'crop={crop},scale={width}:{height}:flags=area,format=gray', '-f', 'rawvideo', '-'],
        capture_output=True, env=environment(), check=True).stdout
    step = width * height
    frames = [raw[at:at + step] for at in range(0, len(raw), step)]
    found = []
    for before, now in zip([frames[0], *frames], frames):
        found.append((sum(abs(a - b) for a, b in zip(before, now)) / step, sum(now) / step))
    return found


def loudness(path, frequency, start=0, seconds=1, rate=8000):
    """Amplitude (0 to 1) of a tone in the sound of a file: one bin of a Fourier transform."""
    raw = subprocess.run(
        ['ffmpeg', '-v', 'error', '-nostdin', '-ss', str(start), '-i', path, '-map', '0:a', '-t',
         str(seconds), '-ac', '1', '-ar', str(rate), '-f', 'f32le', '-'],
        capture_output=True, env=environment(), check=True).stdout
    samples = array.array('f', raw)
    check(len(samples) > rate / 4, f'no sound at {start} s')
    turn = -2j * cmath.pi * frequency / rate
    return 2 * abs(sum(x * cmath.exp(turn * n) for n, x in enumerate(samples))) / len(samples)


# --- the launcher's processes ---------------------------------------------------------------

def children(pid):
    """Ids of the living children of a process."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = path.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != 'Z':
            found.append(int(path.parent.name))
    return sorted(found)


def memory(pid):
    """Resident bytes of a process."""
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) * 1024
    return 0


# --- files --------------------------------------------------------------------------------

def growing(folder):
    """The files under their temporary names."""
    return sorted(pathlib.Path(folder).rglob('*.recording.*'))


def final(folder, ending='.ts'):
    return sorted(path for path in pathlib.Path(folder).rglob(f'*{ending}')
                  if '.recording.' not in path.name)


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
