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

Everything below ``/_replica/`` is the harness's back door; it asks for the header
``X-Ninelives-Back-Door``. The rest of the world sees no more than AWS shows.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from werkzeug.serving import make_server

from harness.clock import SystemClock
from harness.replicas.aws.door import FrontDoor
from harness.replicas.aws.handover import Handover
from harness.replicas.aws.plane import Plane
from harness.sandbox import LOOPBACK


def main(handover_file: str, descriptor: str) -> None:
    """Serve until killed."""
    logging.basicConfig(level=logging.WARNING)
    plane = Plane(Handover.take(Path(handover_file)), SystemClock())
    make_server(LOOPBACK, 0, FrontDoor(plane), threaded=True, fd=int(descriptor)).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
