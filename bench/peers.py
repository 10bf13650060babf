"""peers.py: the programs that are measured, each as the one command that its manual gives for the job.

A tool is a name, the program that must be there, and a function that returns the command which makes a copy of
the primary in `target`. It is a child of this process, so that its processor time can be taken from wait4().
"""
import os
import shutil
import socket
import subprocess
import time


class Tool:
    def __init__(self, name, command=None, needs=None, run=None, prepare=None, makes="copy"):
        self.name, self.command, self.needs = name, command, needs
        self.run, self.prepare, self.makes = run, prepare, makes

    def is_there(self):
        return shutil.which(self.needs or self.name.split()[0]) is not None


def clone_command(*options):
    return lambda primary, target: ["pg_standby_clone", "--name", "bench", "--json", "-D", target,
                                    *primary.connection, "-U", "replicator", "-w", *options]


def basebackup_command(*options):
    return lambda primary, target: ["pg_basebackup", "-c", "fast", "-D", target, *primary.connection,
                                    "-U", "replicator", "-w", *options]


# rsync copies files; the rest of a backup (start, stop, label, sync) is what a script around it does.
RSYNC_SCRIPT = r"""
set -eu
target=$1 port=$2 module=$3 rsync_port=$4
coproc SQL { psql -h 127.0.0.1 -p "$port" -U postgres -d postgres -XAtq; }
echo "SELECT pg_backup_start('bench', true);" >&"${SQL[1]}"
read -r _ <&"${SQL[0]}"
rsync -a --whole-file --exclude=/pg_wal/* --exclude=/postmaster.* --exclude=/pg_replslot/* \
  --exclude=/pg_stat_tmp/* --exclude=/pg_subtrans/* --exclude=/pg_notify/* --exclude=pgsql_tmp* \
  "rsync://127.0.0.1:$rsync_port/$module/" "$target/"
echo "SELECT labelfile FROM pg_backup_stop(false);" >&"${SQL[1]}"
echo '\echo end' >&"${SQL[1]}"
while read -r line <&"${SQL[0]}" && [ "$line" != end ]; do echo "$line"; done >"$target/backup_label"
sync -f "$target"
"""


def rsync_command(primary, target):
    return ["bash", "-c", RSYNC_SCRIPT, "rsync", target, str(primary.port), "primary", str(primary.port + 1)]


def start_rsync_daemon(primary, work):
    conf = os.path.join(work, "rsyncd.conf")
    with open(conf, "w") as file:
        file.write(f"pid file = {work}/rsyncd.pid\nuse chroot = no\n[primary]\npath = {primary.directory}\n")
    return subprocess.Popen(["rsync", "--daemon", "--no-detach", "--port", str(primary.port + 1), "--address",
                             "127.0.0.1", "--config", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def backrest_command(primary, target):
    """Backup into a repository on the same disk, then restore from it: what a standby by pgBackRest takes."""
    repo = target + ".repo"
    common = (f"pgbackrest --no-config --stanza=bench --repo1-path={repo}/repo --lock-path={repo} "
              f"--log-level-console=error --log-level-file=off ")
    source = (f"--pg1-path={primary.directory} --pg1-port={primary.port} --pg1-user=postgres "
              f"--pg1-socket-path={primary.socket_directory} ")
    return ["bash", "-c", f"set -e; mkdir {repo}; mkdir -m 700 {target}; {common} {source} stanza-create; "
            f"{common} {source} --process-max=4 --compress-type=none --no-archive-check "
            f"--start-fast --type=full backup; "
            f"{common} --pg1-path={target} --process-max=4 --type=none restore"]


# The link itself: as many bytes as the primary has files, over one connection, thrown away.
STREAM_PROGRAM = """
import os, socket, sys, threading
size = int(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    connection, _ = listener.accept()
    block, left = os.urandom(1 << 20), size
    while left > 0:
        connection.sendall(block[:min(left, len(block))])
        left -= len(block)
    connection.close()
threading.Thread(target=serve).start()
client = socket.create_connection(listener.getsockname())
while client.recv(1 << 20):
    pass
"""


def stream_command(primary, _target):
    return ["python3", "-c", STREAM_PROGRAM, str(primary.size()[1])]


# The disk itself: as many bytes, zeros, past the page cache, four files at once into room that is reserved.
DISK_SCRIPT = r"""
set -eu
target=$1 each=$2
mkdir "$target"
for number in 1 2 3 4; do
  { fallocate -l "${each}MiB" "$target/$number"
    dd if=/dev/zero of="$target/$number" bs=1M count="$each" oflag=direct conv=notrunc status=none; } &
done
wait
sync -f "$target"
"""


def disk_command(primary, target):
    return ["bash", "-c", DISK_SCRIPT, "disk", target, str((primary.size()[1] >> 20) // 4)]


# The file system itself: the same files, read and written on this host by one process.
def cp_command(primary, target):
    return ["bash", "-c", 'cp -r "$1" "$2" && sync -f "$2"', "cp", primary.directory, target]


# A link of some length: each piece goes on so many milliseconds after it came. No connection waits for another, and
# each holds no more than a link of that length would.
DELAY_PROGRAM = """
import asyncio, socket, sys, time
port, to_port, delay = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000

def narrow():
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        one.setsockopt(socket.SOL_SOCKET, buffer, 128 << 10)
    return one

async def receive(reader, queue):
    data = True
    while data:
        try:
            data = await reader.read(65536)
        except OSError:
            data = b""
        await queue.put((time.monotonic() + delay, data))

async def send(queue, writer):
    while True:
        due, data = await queue.get()
        await asyncio.sleep(due - time.monotonic())
        if not data:
            return writer.close()
        writer.write(data)
        await writer.drain()

async def serve(reader, writer):
    far = narrow()
    far.connect(("127.0.0.1", to_port))
    far_reader, far_writer = await asyncio.open_connection(sock=far)
    there, back = asyncio.Queue(8), asyncio.Queue(8)
    await asyncio.gather(receive(reader, there), send(there, far_writer),
                         receive(far_reader, back), send(back, writer), return_exceptions=True)

async def main():
    listener = narrow()
    listener.bind(("127.0.0.1", port))
    async with await asyncio.start_server(serve, sock=listener) as server:
        await server.serve_forever()

asyncio.run(main())
"""


def start_delay(primary, delay_ms):
    """From here on the primary is reached over a link of that length."""
    near = primary.port + 2
    delay = subprocess.Popen(["python3", "-c", DELAY_PROGRAM, str(near), str(primary.port), str(delay_ms)])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", near)).close()
            break
        except OSError:
            time.sleep(0.05)
    primary.connection = ["-h", "127.0.0.1", "-p", str(near)]
    return delay


CLONE = Tool("pg_standby_clone", clone_command())
BASEBACKUP = Tool("pg_basebackup", basebackup_command())
COMPRESSED = [Tool(f"pg_basebackup --compress={method}", basebackup_command(f"--compress={method}"))
              for method in ("server-lz4", "server-zstd:1", "server-zstd:3", "server-gzip:1")]
RSYNC = Tool("rsync", rsync_command, prepare=start_rsync_daemon)
BACKREST = Tool("pgbackrest", backrest_command)
DISK = Tool("four dd past the page cache", disk_command, needs="dd", makes="nothing")
CP = Tool("cp -r and sync", cp_command, needs="cp")
TCP_STREAM = Tool("one TCP stream", stream_command, needs="python3", makes="nothing")
