"""The life of processes as the suite of the seed's class tests it, through libsshpm.so with nothing but ctypes; and one
call of every other member of the seed. tests/parity/python.rs runs it:
python3 python.py LIBRARY SSH_CONFIG TEST_APP SCRATCH LOCAL
SCRATCH is a directory of the remote, and LOCAL is the path by which this program sees that directory."""

import ctypes
import json
import os
import signal
import sys
import threading
import time

LONG = 60.0
DEFAULT = -1.0
LIBRARY, SSH_CONFIG, APP, SCRATCH, LOCAL = sys.argv[1:]
SSHPM = ctypes.CDLL(LIBRARY)

OK, NULL_ARGUMENT, INVALID, JSON, UNKNOWN_UUID, NO_REMOTE_PID = 0, 1, 2, 4, 5, 8
TIMED_OUT, NO_EXIT_CODE, FILE_MISSING, FILE_IS_DIRECTORY, BAD_METADATA, END_OF_OUTPUT = 14, 18, 21, 22, 24, 25
SSH_NAME_NOT_RESOLVED, SSH_REFUSED, SSH_AUTHENTICATION_FAILED = 100, 101, 104
STDOUT, STDERR = 1, 2


def argument(value):
    if value is None:
        return ctypes.c_void_p()
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return ctypes.c_bool(value)
    if isinstance(value, int):
        return ctypes.c_int64(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    return value


def value(restype, name, *arguments):
    """Calls a function that returns no result code, and returns its value."""
    function = getattr(SSHPM, "sshpm_" + name)
    function.restype = restype
    result = function(*map(argument, arguments))
    return result.decode() if restype is ctypes.c_char_p and result is not None else result


def result(name, *arguments):
    return value(ctypes.c_int32, name, *arguments)


def message():
    return value(ctypes.c_char_p, "last_error_message")


def call(name, *arguments):
    code = result(name, *arguments)
    assert code == OK, f"{name}: {code}: {message()}"


def get(name, *arguments, kind=ctypes.c_void_p):
    """Calls a function, and returns its last output."""
    out = kind()
    call(name, *arguments, ctypes.byref(out))
    return out if kind is ctypes.c_void_p else out.value


def refuses(code, words, name, *arguments):
    got = result(name, *arguments)
    assert got == code, f"{name}{arguments}: {got}, not {code}: {message()}"
    for word in words:
        assert word in message(), f"{name}: {word!r} is not in {message()!r}"


def wait_until(what, ask):
    until = time.monotonic() + LONG
    while not ask():
        assert time.monotonic() < until, f"not in time: {what}"
        time.sleep(0.01)


def free_string(pointer):
    text = ctypes.cast(pointer, ctypes.c_char_p).value.decode()
    value(None, "string_free", pointer)
    return text


def strings(items):
    encoded = [None if item is None else item.encode() for item in items]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def buffer(pointer):
    size = value(ctypes.c_size_t, "buffer_size", pointer)
    data = ctypes.string_at(value(ctypes.c_void_p, "buffer_data", pointer), size)
    value(None, "buffer_free", pointer)
    return data


def optional_code(status, which):
    out = ctypes.c_int32()
    code = result(f"exit_status_get_{which}", status, ctypes.byref(out))
    assert code in (OK, NO_EXIT_CODE), code
    return out.value if code == OK else None


def read_status(status):
    """Returns the source, the sentence, the reported code and the application's own code."""
    return (
        value(ctypes.c_char_p, "exit_status_get_source_name", status),
        value(ctypes.c_char_p, "exit_status_get_sentence", status),
        optional_code(status, "code"),
        optional_code(status, "application_code"),
    )


def take_status(status):
    read = read_status(status)
    value(None, "exit_status_free", status)
    return read


class Manager:
    CALLBACK = ctypes.CFUNCTYPE(
        None, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p
    )

    def __init__(self):
        options = get("options_new")
        call("options_set_ssh_config", options, SSH_CONFIG)
        self.manager = get("manager_new", options)
        value(None, "options_free", options)
        self.ends = []
        self.start_numbers = {}
        self.callback = self.CALLBACK(self.on_exit)
        get("manager_on_process_exit", self.manager, self.callback, None, None, kind=ctypes.c_uint64)

    def on_exit(self, uuid, start_number, status, error, error_message, _):
        assert start_number == self.start_numbers[uuid.decode()], (uuid, start_number, self.start_numbers)
        self.ends.append((uuid.decode(), read_status(ctypes.c_void_p(status)) if status else (error, error_message)))

    def close(self):
        assert self.keys() == [], self.keys()
        value(None, "manager_free", self.manager)

    def start(self, uuid, log=True, tree_id="", **more):
        request = {"host": "alpha", "argv": [APP, "heartbeat", "0.2"], "name": uuid, "session": "np04"}
        request.update(tree_id=tree_id, **more)
        if tree_id:
            request["role"] = free_string(get("role_from_tree_id", tree_id, False))
        if log:
            request["log_file"] = f"{SCRATCH}/{uuid}.log"
        boot_request = get("boot_request_from_json", json.dumps(request))
        number = get("manager_start_process", self.manager, uuid, boot_request, kind=ctypes.c_uint64)
        assert number > max(self.start_numbers.values(), default=0), (number, self.start_numbers)
        self.start_numbers[uuid] = number
        value(None, "boot_request_free", boot_request)

    def log(self, uuid):
        return buffer(get("manager_read_log_file", self.manager, "alpha", None, f"{SCRATCH}/{uuid}.log", 100, LONG))

    def pid(self, uuid):
        return get("manager_get_remote_pid", self.manager, uuid, kind=ctypes.c_int64)

    def is_alive(self, uuid):
        return get("manager_is_process_alive", self.manager, uuid, kind=ctypes.c_bool)

    def wait_for_heartbeat(self, uuid):
        get("manager_wait_until_started", self.manager, uuid, LONG, kind=ctypes.c_int64)
        path = f"{LOCAL}/{uuid}.log"
        # Before that, a signal would end the application like any program.
        wait_until(f"a heartbeat of {uuid}", lambda: os.path.exists(path) and b"Heartbeat" in open(path, "rb").read())

    def boot(self, uuids, **more):
        for uuid in uuids:
            self.start(uuid, **more)
        for uuid in uuids:
            self.wait_for_heartbeat(uuid)
            assert self.is_alive(uuid), uuid

    def keys(self):
        keys = get("manager_get_active_process_keys", self.manager)
        count = value(ctypes.c_size_t, "string_list_count", keys)
        uuids = [value(ctypes.c_char_p, "string_list_get", keys, at) for at in range(count)]
        value(None, "string_list_free", keys)
        return uuids

    def results(self, results):
        found = {}
        for at in range(value(ctypes.c_size_t, "kill_results_count", results)):
            code = result("kill_results_get_result", results, at)
            status = ctypes.c_void_p(value(ctypes.c_void_p, "kill_results_get_status", results, at))
            uuid = value(ctypes.c_char_p, "kill_results_get_uuid", results, at)
            found[uuid] = read_status(status) if code == OK else code
        value(None, "kill_results_free", results)
        return found

    def kill_all(self):
        return self.results(get("manager_kill_all_processes", self.manager, LONG))

    def kill(self, uuid):
        return take_status(get("manager_kill_process", self.manager, uuid, LONG))


BY_MANAGER = ("manual_kill_through_remote_pid", "ended by the manager through the remote pid", 0, 0)


def three_lives_one_by_one():
    manager = Manager()
    uuids = ["first", "second", "third"]
    manager.boot(uuids)
    assert manager.keys() == uuids
    for uuid in uuids:
        lines = manager.log(uuid).decode().splitlines()
        assert lines[:3] == ["Process started", str(manager.pid(uuid)), "Heartbeat"], lines
    for at, uuid in enumerate(uuids):
        assert manager.kill(uuid) == BY_MANAGER
        assert not manager.is_alive(uuid)
        assert all(manager.is_alive(other) for other in uuids[at + 1:])
        assert manager.keys() == uuids[at + 1:]
    wait_until("three callbacks", lambda: len(manager.ends) == 3)
    assert manager.ends == [(uuid, BY_MANAGER) for uuid in uuids], manager.ends
    manager.close()


def three_of_one_role_together():
    manager = Manager()
    uuids = ["a", "b", "c"]
    manager.boot(uuids, role="application")
    out = get("manager_kill_processes", manager.manager, strings(uuids), 3, None)
    assert manager.results(out) == {uuid: BY_MANAGER for uuid in uuids}
    manager.close()


def roles_end_in_their_order():
    manager = Manager()
    trees = {"server": "1", "app-1": "0.1.2", "app-2": "0.1.2.3", "app-3": "0.2.3.4"}
    for uuid, tree_id in trees.items():
        manager.start(uuid, tree_id=tree_id)
    for uuid in trees:
        manager.wait_for_heartbeat(uuid)
    # Only the processes of this role are killed.
    out = get("manager_kill_processes_by_role", manager.manager, "application", strings(["app-3", "server"]), 2, None)
    assert list(manager.results(out)) == ["app-3"]
    out = get("manager_kill_processes", manager.manager, strings(["server", "app-1", "app-2"]), 3, None)
    assert manager.results(out) == {uuid: BY_MANAGER for uuid in ["app-1", "app-2", "server"]}
    wait_until("four callbacks", lambda: len(manager.ends) == 4)
    order = [uuid for uuid, _ in manager.ends]
    assert order[0] == "app-3" and sorted(order[1:3]) == ["app-1", "app-2"] and order[3] == "server", order
    manager.close()


def five_ways_to_die_at_the_same_time():
    manager = Manager()
    ways = {
        "quit-client": (
            "client_monitoring",
            "ended unexpectedly by SIGQUIT to the ssh client (hang-up on the remote side)",
            None,
            0,
        ),
        "kill-client": ("client_monitoring", "ended unexpectedly by SIGKILL to the ssh client", None, 0),
        "kill-remote": (
            "remote_monitoring",
            "ended unexpectedly through the remote pid (by itself, or killed there)",
            137,
            137,
        ),
        "manager": BY_MANAGER,
        "manager-client": (
            "manual_kill_through_ssh_client",
            "ended by the manager through the ssh client",
            None,
            0,
        ),
    }
    manager.boot(ways)

    def client(uuid):
        pid = ctypes.c_int64()
        call("manager_get_runtime_pids", manager.manager, uuid, ctypes.byref(pid), None, None, None)
        return pid.value

    def through_client():
        return get(
            "manager_kill_process_without_metadata", manager.manager, "manager-client", signal.SIGQUIT, True, LONG
        )

    answers = {}
    deaths = {
        "quit-client": lambda: os.kill(client("quit-client"), signal.SIGQUIT),
        "kill-client": lambda: os.kill(client("kill-client"), signal.SIGKILL),
        "kill-remote": lambda: os.kill(manager.pid("kill-remote"), signal.SIGKILL),
        "manager": lambda: manager.kill("manager"),
        "manager-client": lambda: take_status(through_client()),
    }
    together = threading.Barrier(len(deaths))

    def die(uuid):
        together.wait()
        answers[uuid] = deaths[uuid]()

    threads = [threading.Thread(target=die, args=[uuid]) for uuid in deaths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(deaths), answers
    assert answers["manager"] == ways["manager"] and answers["manager-client"] == ways["manager-client"], answers
    wait_until("five callbacks", lambda: len(manager.ends) >= 5)
    assert len(manager.ends) == 5 and dict(manager.ends) == ways, manager.ends
    # Exits that nobody has taken from the table yet are returned again.
    left = {uuid: ways[uuid] for uuid in ["quit-client", "kill-client", "kill-remote"]}
    assert manager.kill_all() == left
    assert len(manager.ends) == 5, "each exit is reported once"
    manager.close()


def ends_that_are_popped_and_made():
    manager = Manager()
    manager.boot(["crashed", "cut"])

    def pop(uuid):
        return get("manager_pop_early_exit_status", manager.manager, uuid)

    assert not pop("crashed").value and not pop("nobody").value
    monitoring = lambda uuid: get("manager_is_monitoring_remotely", manager.manager, uuid, kind=ctypes.c_bool)
    assert monitoring("crashed") and not monitoring("nobody")
    number = get("signal_from_name", "SIGSEGV", kind=ctypes.c_int32)
    call("manager_crash_process", manager.manager, "crashed", number)
    code = get("manager_wait_for_process_exit_code", manager.manager, "crashed", LONG, kind=ctypes.c_int32)
    assert code == 128 + signal.SIGSEGV and not monitoring("crashed")
    assert take_status(pop("crashed"))[0] == "remote_monitoring"
    assert not pop("crashed").value and manager.keys() == ["cut"]
    out = get("manager_kill_process_without_metadata", manager.manager, "cut", signal.SIGKILL, False, LONG)
    status = take_status(out)
    assert status[0] == "client_monitoring" and "SIGKILL to the ssh client" in status[1], status
    refuses(UNKNOWN_UUID, ["cut"], "manager_crash_process", manager.manager, "cut", 9)
    manager.close()


def metadata_and_output():
    manager = Manager()
    manager.start("live", log=False, tree_id="0.3", argv=[APP, "stderr", "oops", "heartbeat", "0.1"])
    output = get("manager_subscribe_output", manager.manager, "live")
    seen = {STDOUT: b"", STDERR: b""}

    def piece():
        stream, out = ctypes.c_int32(), ctypes.c_void_p()
        call("output_subscription_next", output, LONG, ctypes.byref(stream), ctypes.byref(out))
        seen[stream.value] += buffer(out)
        return seen[STDOUT].count(b"Heartbeat\n") > 1 and seen[STDERR] == b"oops"

    wait_until("heartbeats", piece)
    pid = manager.pid("live")
    metadata = get("manager_read_process_metadata", manager.manager, "live", "beta", None, LONG)
    text = {
        key: value(ctypes.c_char_p, "metadata_get_" + key, metadata)
        for key in ["hostname", "user", "tree_id", "role", "name", "session", "start_time", "boot_id"]
    }
    assert value(ctypes.c_int64, "metadata_get_pid", metadata) == pid
    assert abs(value(ctypes.c_double, "metadata_get_started_at", metadata) - time.time()) < 3600
    with open(f"/proc/{pid}/stat") as stat:
        started = stat.read().rsplit(")", 1)[1].split()[19]
    assert text.pop("user") and len(text.pop("boot_id")) == 36
    expected = {"hostname": "alpha", "tree_id": "0.3", "role": "application", "name": "live", "session": "np04"}
    assert text == {**expected, "start_time": started}, text
    value(None, "metadata_free", metadata)
    path = free_string(get("metadata_file_path", "live"))
    assert path == "${XDG_RUNTIME_DIR:-/tmp}/drunc/metadata_live.json", path

    assert manager.kill("live") == BY_MANAGER
    stream, out = ctypes.c_int32(), ctypes.c_void_p()
    while (code := result("output_subscription_next", output, LONG, ctypes.byref(stream), ctypes.byref(out))) == OK:
        buffer(out)
    assert code == END_OF_OUTPUT, message()
    assert value(ctypes.c_uint64, "output_subscription_dropped", output) == 0
    value(None, "output_subscription_free", output)
    none = ctypes.byref(ctypes.c_void_p())
    refuses(UNKNOWN_UUID, ["live"], "manager_subscribe_output", manager.manager, "live", none)
    refuses(FILE_MISSING, [], "manager_read_process_metadata", manager.manager, "live", "alpha", None, 0.0, none)
    manager.close()


def log_files():
    manager = Manager()
    path, local = f"{SCRATCH}/some log", f"{LOCAL}/some log"
    with open(local, "w") as file:
        file.write("one\ntwo\nthree\n")
    read = lambda *arguments: get("manager_read_log_file", manager.manager, "alpha", None, *arguments)
    assert buffer(read(path, 2, DEFAULT)) == b"two\nthree\n"
    none = ctypes.byref(ctypes.c_void_p())
    for code, bad in [(FILE_MISSING, path + "x"), (FILE_IS_DIRECTORY, SCRATCH)]:
        refuses(code, [bad], "manager_read_log_file", manager.manager, "alpha", None, bad, 1, LONG, none)
    follower = get("manager_follow_log_file", manager.manager, "alpha", None, path, 1)

    def expect(text):
        seen = b""
        while len(seen) < len(text):
            seen += buffer(get("log_follower_next", follower, LONG))
        assert seen == text, seen

    expect(b"three\n")
    refuses(TIMED_OUT, [], "log_follower_next", follower, 0.0, none)
    with open(local, "a") as file:
        file.write("four\n")
    expect(b"four\n")
    os.rename(local, local + ".1")
    with open(local, "w") as file:
        file.write("five\n")
    expect(b"five\n")
    value(None, "log_follower_free", follower)
    manager.close()


def hosts():
    manager = Manager()
    info = get("manager_validate_host_connection", manager.manager, "alpha", None, "publickey")
    text = {
        key: value(ctypes.c_char_p, "host_info_get_" + key, info)
        for key in ["user", "login_shell", "sh", "kernel", "runtime_directory"]
    }
    assert all(text.values()) and text["kernel"].startswith("Linux "), text
    assert value(ctypes.c_double, "host_info_get_round_trip", info) > 0
    assert value(ctypes.c_int64, "host_info_get_free_bytes", info) > 0
    value(None, "host_info_free", info)
    validate = "manager_validate_host_connection"
    call(validate, manager.manager, "alpha", None, None, None)
    refuses(SSH_AUTHENTICATION_FAILED, ["alpha"], validate, manager.manager, "alpha", None, "password", None)
    refuses(INVALID, ["auth_method", "a b"], validate, manager.manager, "alpha", None, "a b", None)

    told = {}
    progress_type = ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
    progress = progress_type(lambda at, code, text, _: told.update({at: (code, bool(text))}))
    names = ["beta", "refused", "unresolved", "gamma", "no host", "alpha"]
    users = strings([None, None, None, text["user"], None, "no user"])
    codes = [OK, SSH_REFUSED, SSH_NAME_NOT_RESOLVED, OK, INVALID, INVALID]
    results = get("manager_validate_hosts", manager.manager, strings(names), users, len(names), progress, None)
    assert told == {at: (code, code != OK) for at, code in enumerate(codes)}, told
    assert value(ctypes.c_size_t, "host_results_count", results) == len(names)
    for at, code in enumerate(codes):
        assert result("host_results_get_result", results, at) == code
        info = value(ctypes.c_void_p, "host_results_get_info", results, at)
        assert bool(info) == (code == OK)
        if info:
            assert value(ctypes.c_char_p, "host_info_get_user", ctypes.c_void_p(info)) == text["user"]
        assert (value(ctypes.c_char_p, "host_results_get_message", results, at) == "") == (code == OK)
    refuses(INVALID, ["index", str(len(names))], "host_results_get_result", results, len(names))
    value(None, "host_results_free", results)
    results = get("manager_validate_hosts", manager.manager, None, None, 0, None, None)
    assert value(ctypes.c_size_t, "host_results_count", results) == 0
    value(None, "host_results_free", results)
    manager.close()


def bad_input_starts_nothing():
    manager = Manager()
    this = manager.manager
    out = ctypes.byref(ctypes.c_void_p(7))
    for timeout in [float("nan"), -0.5, float("-inf")]:
        words = ["timeout", "NaN" if timeout != timeout else f"{timeout:g}"]
        refuses(INVALID, words, "manager_kill_process", this, "u", timeout, out)
        refuses(INVALID, words, "manager_kill_process_without_metadata", this, "u", 9, True, timeout, out)
        refuses(INVALID, words, "manager_kill_all_processes", this, timeout, out)
        refuses(INVALID, words, "manager_read_log_file", this, "alpha", None, "/x", 1, timeout, out)
        refuses(INVALID, words, "manager_read_process_metadata", this, "u", "alpha", None, timeout, out)
    refuses(INVALID, ["signal", "QUITE"], "signal_from_name", "QUITE", out)
    for number in [0, -9, 65]:
        refuses(INVALID, ["signal", str(number)], "manager_crash_process", this, "u", number)
        refuses(INVALID, ["signal"], "manager_kill_process_without_metadata", this, "u", number, True, LONG, out)
    refuses(INVALID, ["signal", "TERM"], "manager_kill_process_without_metadata", this, "u", 15, True, LONG, out)
    refuses(INVALID, ["host", "a b"], "manager_read_log_file", this, "a b", None, "/x", 1, LONG, out)
    refuses(INVALID, ["host", "-o"], "manager_validate_host_connection", this, "-o", None, None, None)
    refuses(INVALID, ["uuid", "a/b"], "manager_read_process_metadata", this, "a/b", "alpha", None, LONG, out)
    for name, arguments in [
        ("manager_crash_process", [None, "u", 9]),
        ("manager_is_monitoring_remotely", [this, None, out]),
        ("manager_kill_process_without_metadata", [this, "u", 9, True, LONG, None]),
        ("manager_read_log_file", [this, None, None, "/x", 1, LONG, out]),
        ("manager_follow_log_file", [this, "alpha", None, None, 1, out]),
        ("log_follower_next", [None, LONG, out]),
        ("manager_subscribe_output", [this, "u", None]),
        ("output_subscription_next", [None, LONG, out, out]),
        ("manager_read_process_metadata", [this, "u", None, None, LONG, out]),
        ("metadata_file_path", [None, out]),
        ("manager_validate_host_connection", [this, None, None, None, None]),
        ("manager_validate_hosts", [this, None, None, 1, None, None, out]),
        ("host_results_get_result", [None, 0]),
    ]:
        refuses(NULL_ARGUMENT, ["is NULL"], name, *arguments)
    for kind in ["metadata", "log_follower", "output_subscription", "host_info", "host_results"]:
        value(None, kind + "_free", None)
    assert value(ctypes.c_int64, "metadata_get_pid", None) == -1
    assert value(ctypes.c_char_p, "host_info_get_user", None) is None
    assert value(ctypes.c_void_p, "host_results_get_info", None, 0) is None
    refuses(JSON, ["EOF"], "boot_request_from_json", '{"host": "alpha", "argv": ["a"', out)
    refuses(INVALID, ["json", "104857600"], "boot_request_from_json", " " * (100 << 20), out)
    assert manager.ends == []
    manager.close()


for test in [
    three_lives_one_by_one,
    three_of_one_role_together,
    roles_end_in_their_order,
    five_ways_to_die_at_the_same_time,
    ends_that_are_popped_and_made,
    metadata_and_output,
    log_files,
    hosts,
    bad_input_starts_nothing,
]:
    test()
    print(f"{test.__name__}: passed")
