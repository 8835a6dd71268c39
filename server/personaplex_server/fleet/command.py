"""The `fleet` command: the voice server on many GPUs, under Ray Serve.

Ray is imported when the command runs; it comes with `personaplex-server[fleet]`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from personaplex_server import logs, options
from personaplex_server.options import AUTO, UsageError
from personaplex_server.serve import EXIT_PORT_TAKEN, EXIT_USAGE
from personaplex_server.supervise import write_whole

if TYPE_CHECKING:
    import argparse
    from types import FrameType

NAME: Final = "personaplex"
_DRAIN_S: Final = 3600.0

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fleet`: those of `serve`, and its own."""
    options.add_arguments(parser)
    parser.set_defaults(drain=_DRAIN_S)
    add = parser.add_argument_group("fleet").add_argument
    add("--replicas", type=options.number_or_auto, default=AUTO, metavar="N",
        help="servers, one a GPU; auto starts and ends them as calls come and go (default)")  # fmt: skip
    add("--max-replicas", type=int, default=8, metavar="N",
        help="the most that auto starts (default: %(default)s)")  # fmt: skip
    add("--target", type=float, metavar="CALLS",
        help="calls a replica from which auto starts one more (default: three quarters of --rows)")  # fmt: skip
    add("--cpus", type=float, default=2.0, metavar="N",
        help="processors that a replica without a GPU takes (default: %(default)s)")  # fmt: skip
    add("--ray-address", metavar="ADDRESS",
        help="an existing cluster, such as auto or ray://host:10001 (default: one on this computer)")  # fmt: skip


def check(given: argparse.Namespace) -> None:
    """See that the options can be followed by many servers.

    Raises:
        UsageError: They cannot.
    """
    for name in ("tls_cert", "tls_self_signed", "readiness_port", "voices_token_file"):
        if getattr(given, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} is not for a fleet; put a proxy in front of it, or use serve."
            )
    if given.replicas != AUTO and given.replicas < 1:
        raise UsageError("--replicas must be at least 1, or auto.")
    if given.max_replicas < 1:
        raise UsageError("--max-replicas must be at least 1.")
    if given.target is not None and given.target <= 0:
        raise UsageError("--target must be above 0.")
    if given.cpus < 0:
        raise UsageError("--cpus must not be below 0.")


def run(given: argparse.Namespace) -> int:
    """Start the fleet and serve until told to stop; calls may go on for `--drain` seconds then.

    Returns 0, or 3 when the port is taken.

    Raises:
        UsageError: The options cannot be followed, or Ray is not installed.
    """
    token = options.read_token(given)
    options.check(given, token)
    check(given)
    if given.ray_address is None and not os.environ.get("RAY_ADDRESS"):
        # Ray would find a taken port half a minute later; on a cluster that is there already it may be its own.
        from personaplex_server import serving

        try:
            serving.bind(given.host, given.port).close()
        except serving.BindError as error:
            print(f"personaplex-server: {error}", file=sys.stderr)
            return EXIT_PORT_TAKEN if error.taken else EXIT_USAGE
    try:
        import ray
        from ray import serve

        from .replica import application
    except ImportError as error:
        raise UsageError(
            f"A fleet needs Ray ({error}); install it with pip install 'personaplex-server[fleet]'."
        ) from error
    secrets = (token,) if token else ()
    logs.setup(verbose=given.verbose, as_json=given.log_format == "json", secrets=secrets)
    for name in ("checkpoint", "voices"):
        path = getattr(given, name)
        if path is not None:
            setattr(given, name, path.resolve())
    ray.init(address=given.ray_address, log_to_driver=given.verbose, include_dashboard=False)
    try:
        return _serve(given, serve, application(given, token, on_gpu=_on_gpu(given, ray)))
    finally:
        ray.shutdown()


def _on_gpu(given: argparse.Namespace, ray: Any) -> bool:
    if given.device == "auto":
        return bool(ray.cluster_resources().get("GPU", 0) > 0)
    return str(given.device).startswith("cuda")


def _serve(given: argparse.Namespace, serve: Any, application: Any) -> int:
    told = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if told.is_set():
            # A second signal is somebody who does not want to wait.
            os._exit(0)
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    serve.start(http_options={"host": given.host, "port": given.port})
    serve.run(application, name=NAME, route_prefix="/")
    url = f"http://{given.host}:{given.port}"
    log.info("fleet ready %s", logs.fields(url=url, engine=given.engine))
    if given.ready_file is not None:
        write_whole(given.ready_file, json.dumps({"url": url, "pid": os.getpid()}))
    told.wait()
    log.info("fleet stopping %s", logs.fields(drain_s=given.drain))
    serve.delete(NAME)
    serve.shutdown()
    if given.ready_file is not None:
        with contextlib.suppress(FileNotFoundError):
            given.ready_file.unlink()
    return 0
