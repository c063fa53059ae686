"""A program that ends while its processes end, with callbacks registered. It does what the header says under "Ending
the program". tests/c_api/python_exit.rs runs it: python3 python_exit.py LIBRARY SSH_CONFIG WAY
WAY is "remove" (it removes the callback), "free" (it frees the manager) or "nothing" (it does not do what it should)."""

import atexit
import ctypes
import sys
import threading

LIBRARY, SSH_CONFIG, WAY = sys.argv[1:]
PROCESSES = 12
OK, LOG_OFF, LOG_DEBUG, EVENT_STARTED = 0, 0, 4, 1
SSHPM = ctypes.CDLL(LIBRARY)
SSHPM.sshpm_last_error_message.restype = ctypes.c_char_p

EXIT_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p
)
LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)


def call(name, *arguments):
    code = getattr(SSHPM, "sshpm_" + name)(*arguments)
    assert code == OK, f"{name}: {SSHPM.sshpm_last_error_message().decode()}"


def get(name, *arguments, kind=ctypes.c_void_p):
    out = kind()
    call(name, *arguments, ctypes.byref(out))
    return out


def work():
    """Takes long enough for the interpreter to switch threads in the middle of it."""
    sum(range(20_000))


in_callback, at_exit = threading.Event(), threading.Event()


def wait_for_the_end(*_):
    """Is a callback that still runs when the program ends."""
    in_callback.set()
    at_exit.wait()
    work()
    while WAY == "nothing":
        work()


on_exit, on_log = EXIT_CALLBACK(wait_for_the_end), LOG_CALLBACK(lambda *_: work())
call("set_log_callback", LOG_DEBUG, on_log, None)
options = get("options_new")
call("options_set_ssh_config", options, SSH_CONFIG.encode())
manager = get("manager_new", options)
callback = get("manager_on_process_exit", manager, on_exit, None, None, kind=ctypes.c_uint64)
subscription = get("manager_subscribe", manager)


def end_callbacks():
    at_exit.set()
    if WAY == "nothing":
        return
    if WAY == "remove":
        call("manager_remove_callback", manager, callback)
    else:
        SSHPM.sshpm_manager_free(manager)
    call("set_log_callback", LOG_OFF, None, None)


atexit.register(end_callbacks)

for number in range(PROCESSES):
    argv = f'["sh", "-c", "sleep 0.{number:02}"]'
    request = get("boot_request_from_json", f'{{"host": "alpha", "argv": {argv}}}'.encode())
    call("manager_start_process", manager, f"p-{number}".encode(), request, None)
started = 0
while started < PROCESSES:
    event = get("subscription_next", subscription, ctypes.c_double(60.0))
    started += SSHPM.sshpm_event_get_type(event) == EVENT_STARTED
    SSHPM.sshpm_event_free(event)
in_callback.wait()
print("started")
