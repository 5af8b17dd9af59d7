"""The control plane's process: ``python -m harness.replicas.aws.server <handover file> <socket>``.

It listens on a socket that its parent has bound, so that nobody can take the port in between.

| path | what |
|---|---|
| everything else | the APIs of AWS, told apart by the signature |
| `GET /_replica/marker` | whose replica this is |
| `GET /_replica/audit?after=<seq>` | calls that could change something |
| `GET /_replica/inventory` | what can be deleted |
| `GET /_replica/databases` | directories of RDS instances, sizes of their snapshots |
| `GET /_replica/volumes` | directories of EBS volumes, sizes and locks of their snapshots |
| `POST /_replica/volume-snapshot` | take a snapshot of an EBS volume, dated an instant that is over |
| `GET /_replica/recovery-points` | sizes and locks of the recovery points of AWS Backup |
| `POST /_replica/recovery-point` | put a copy of a directory into a vault, dated an instant that is over |
| `POST /_replica/advance` | let time pass that does not pass |
| `POST /_replica/snapshot` | take a snapshot of an RDS instance, dated an instant that is over |
| `POST /_replica/remember` | keep everything as it is now |
| `GET /_replica/changed` | whether anything may be different from what is remembered |
| `POST /_replica/reset` | have everything again as it is remembered |

Everything below ``/_replica/`` is the harness's back door; it asks for the header
``X-Ninelives-Back-Door``. The rest of the world sees no more than AWS shows.

moto cannot put its records back. So what is remembered is a process: it stops listening, and a child that it
forks answers instead. A reset ends the child, and another one is forked, which knows nothing of the first.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from harness.clock import SystemClock
from harness.replicas.aws.door import FrontDoor
from harness.replicas.aws.handover import Handover
from harness.replicas.aws.plane import Plane
from harness.sandbox import LOOPBACK

SILENT_SECONDS = 10.0


class OneCall(WSGIRequestHandler):
    """One call a connection: a fork would share one that is kept. Whoever says nothing is not waited for."""

    protocol_version = "HTTP/1.0"
    timeout = SILENT_SECONDS


def main(handover_file: str, descriptor: str) -> None:
    """Serve until killed."""
    logging.basicConfig(level=logging.WARNING)
    door = FrontDoor(Plane(Handover.take(Path(handover_file)), SystemClock()))
    serve(make_server(LOOPBACK, 0, door, request_handler=OneCall, fd=int(descriptor)), door)


def serve(server: BaseWSGIServer, door: FrontDoor) -> None:
    """Answer one request after the other, in this process or in children of it, until killed."""
    while True:
        server.handle_request()
        if door.wish == "keep":
            become_child()
            door.begin()
        elif door.wish == "end":
            os._exit(0)


def become_child() -> None:
    """Return in a child of this process, and once it has ended well in the next one; never in this process.

    There is one thread, since requests are answered one at a time, so that a fork is whole.
    """
    while child := os.fork():
        _, status = os.waitpid(child, 0)
        if status != 0:
            os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
