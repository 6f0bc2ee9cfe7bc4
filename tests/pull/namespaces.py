"""`python tests/pull/namespaces.py user,net COMMAND…`: runs it as systemd does with `RestrictNamespaces=user net`.

systemd forbids unshare(2) of all other namespaces by a seccomp filter, and of all of them with `yes`: that filter.
"""

import ctypes
import os
import platform
import struct
import sys
from typing import Final

FLAGS: Final = {
    "cgroup": 0x02000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "mnt": 0x00020000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
    "time": 0x00000080,
}
UNSHARE: Final = {"x86_64": 272, "aarch64": 97}

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, AND, IS_EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06
"""BPF: a word of the call's description, arithmetic with a constant, a jump, a verdict."""
NUMBER, FIRST_ARGUMENT = 0, 16
ALLOW, EPERM = 0x7FFF0000, 0x00050001


def restrict(allowed: list[str]) -> None:
    """This process and its children may take these namespaces only."""
    forbidden = sum(flag for name, flag in FLAGS.items() if name not in allowed)
    steps = [
        (LOAD, 0, 0, NUMBER),
        (IS_EQUAL, 0, 3, UNSHARE[platform.machine()]),  # another call: to "allow"
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (AND, 0, 0, forbidden),
        (IS_EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, EPERM),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    program = Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0, (
        ctypes.get_errno()
    )


if __name__ == "__main__":
    restrict([name for name in sys.argv[1].split(",") if name])
    os.execv(sys.argv[2], sys.argv[2:])
