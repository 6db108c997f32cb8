# keeprolling - a systemd of its own for the tests
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots a real systemd in a container made of this machine's own files: what it writes goes to
memory and is gone with it, and its network is its own loopback. Needs root, systemd-nspawn and
overlayfs."""

import atexit
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))

from support import BUILD, SCALE                                               # noqa: E402

CLONE_NEWNET = 0x40000000

# In a mount namespace of its own, so that no mount outlives it. The machine's own services and
# recordings are not to run twice.
BOOT = r'''
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
rm -rf "$1"/root/etc/systemd/system/*.wants "$1"/root/etc/systemd/system/keeprolling* \
  "$1/root/etc/keeprolling" "$1/root/var/lib/keeprolling" "$1/root/var/log/journal"
cp -a "$2/." "$1/root/"
root=$1/root
shift 2
exec systemd-nspawn --directory="$root" "$@"
'''


class CannotRun(Exception):
    pass


def missing():
    """Why it cannot be done here, or None."""
    if os.geteuid() != 0:
        return 'it takes root'
    for tool, package in (('systemd-nspawn', 'systemd-container'), ('unshare', 'util-linux'),
                          ('nsenter', 'util-linux'), ('meson', 'meson'), ('ffmpeg', 'ffmpeg')):
        if shutil.which(tool) is None:
            return f'there is no {tool} here; Debian has it in {package}'
    if not pathlib.Path('/lib/systemd/systemd').exists():
        return 'there is no systemd here'
    if 'overlay' not in pathlib.Path('/proc/filesystems').read_text():
        subprocess.run(['modprobe', 'overlay'], capture_output=True, check=False)
    if 'overlay' not in pathlib.Path('/proc/filesystems').read_text():
        return 'this kernel has no overlayfs'
    return None


class Machine:
    def __init__(self):
        reason = missing()
        if reason is not None:
            raise CannotRun(reason)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='kr-systemd-'))
        self.nspawn = self.init = None
        atexit.register(self.close)
        installed, disk = self.folder / 'installed', self.folder / 'disk'
        disk.mkdir()
        self._install(installed)
        self.log = self.folder / 'log'
        words = ['--boot', '--private-network', '--console=pipe', '--link-journal=no',
                 f'--machine={self.folder.name.replace("_", "-")}', 'systemd.unit=basic.target']
        if not os.path.isdir('/run/systemd/system'):
            words[:0] = ['--register=no', '--keep-unit']    # nobody to register with
        with open(self.log, 'wb') as log:
            self.nspawn = subprocess.Popen(
                ['unshare', '--mount', 'sh', '-c', BOOT, 'boot', disk, installed, *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._await_boot()
        self._enter_network()
        self.root = pathlib.Path(f'/proc/{self.init}/root')

    @staticmethod
    def _install(folder):
        done = subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet',
                               '--destdir', folder], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRun(f'meson install: {done.stdout}{done.stderr}')

    def _await_boot(self):
        end = time.monotonic() + 60 * SCALE
        while time.monotonic() < end and self.nspawn.poll() is None:
            children = pathlib.Path(f'/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children')
            words = children.read_text().split()
            if words:
                self.init = int(words[0])
                if self.run('systemctl', 'is-active', 'basic.target').stdout == 'active\n':
                    return
            time.sleep(0.1)
        raise CannotRun(f'systemd did not boot:\n{self.log.read_text(errors="replace")}')

    def _enter_network(self):
        """The feeds that the tests start, and all else, are on the machine's loopback from here."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f'/proc/{self.init}/ns/net') as file:
            if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                raise CannotRun(f'setns: {os.strerror(ctypes.get_errno())}')

    def run(self, *command, timeout=60):
        """Runs a command on the machine, as root and with a clean environment."""
        return subprocess.run(
            ['nsenter', '-t', str(self.init), '-m', '-u', '-i', '-n', '-p', '-C', '-r', '-w',
             'env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
             'HOME=/root', 'LANG=C.UTF-8', *map(str, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace',
            timeout=timeout * SCALE, check=False)

    def close(self):
        if self.init is not None:
            try:
                os.kill(self.init, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.nspawn is not None:
            try:
                self.nspawn.wait(10)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
            self.nspawn = self.init = None
        shutil.rmtree(self.folder, ignore_errors=True)
