"""How the guard process starts a program: a plain fork, safe because it has one thread.

Invariant: the program starts in a session of its own with exactly the descriptors it was given, and
whoever asked learns the errno of the step that failed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import signal

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any, NoReturn

_ABOVE_TARGETS = 64  # received descriptors are lifted above every number a worker may want them at
_SIGNALS = ("SIGCHLD", "SIGPIPE", "SIGINT", "SIGTERM", "SIGHUP", "SIGXFSZ")


def fork_exec(message: dict[str, Any], fds: list[int]) -> int:
    """Start a program in a session of its own with exactly the given descriptors.

    Raises:
        OSError: It could not be started; the errno is that of the step that failed.
    """
    argv, env = message["argv"], message["env"]
    told, tell = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            become(message, argv, env, fds, tell)
        os.close(tell)
        tell = -1
        said = b""
        while chunk := os.read(told, 64):
            said += chunk
    finally:
        os.close(told)
        if tell >= 0:
            os.close(tell)
    if said:
        os.waitpid(pid, 0)
        raise OSError(int(said), "")
    return pid


def become(
    message: dict[str, Any], argv: list[str], env: dict[str, str], fds: list[int], tell: int
) -> NoReturn:
    """In the forked child: turn into the program, or tell why not."""
    number = errno.EIO
    try:
        signal.set_wakeup_fd(-1)
        for name in _SIGNALS:  # what is ignored here would be ignored there
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        if "group" in message:
            with contextlib.suppress(OSError), open(message["group"], "w", encoding="ascii") as door:
                door.write("0")  # this process; where that fails it is ended by looking, as without a group
        os.setsid()
        tell = fcntl.fcntl(tell, fcntl.F_DUPFD_CLOEXEC, _ABOVE_TARGETS)
        lifted = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_TARGETS) for fd in fds]
        for fd, target in zip(lifted, message["fds"], strict=True):
            os.dup2(fd, target, inheritable=True)
        os.chdir(message["cwd"])
        for name, limit in message.get("limits", {}).items():
            lower(getattr(resource, name), limit)
        os.execve(message["program"], argv, env)  # noqa: S606 - the program comes from a manifest
    except OSError as error:
        number = error.errno or number
    except ValueError:
        number = errno.EINVAL
    finally:
        os.write(tell, b"%d" % number)
        os._exit(127)


def lower(kind: int, limit: int) -> None:
    """Set a limit, as far as the one in force lets us."""
    _, hard = resource.getrlimit(kind)
    bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (bound, bound))
