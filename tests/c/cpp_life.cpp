/* Processes from their requests to their ends, with every part of sshpm.hpp that a session uses. */
#include <csignal>

#include "check.hpp"

namespace {

sshpm::options options_by_setters()
{
    sshpm::options options;
    options.set_ssh_program("ssh")
        .set_ssh_config(std::string(from_environment("SSHPM_TEST_SSH_CONFIG")))
        .set_known_hosts_file(std::nullopt)
        .add_ssh_option("Compression=no")
        .set_connect_timeout(30s)
        .set_lost_timeout({})
        .set_share_connections(true)
        .set_ssh_client_per_process(true)
        .set_lease(30s)
        .set_host_key_policy(sshpm::host_key_policy::ssh_config)
        .set_output_limit(4096)
        .clear_kill_sequence()
        .add_kill_step(SIGTERM, sshpm::kill_scope::leader, LONG)
        .add_kill_step(SIGKILL, sshpm::kill_scope::group)
        .set_shutdown_order({"application", "root-controller"});
    return options;
}

sshpm::boot_request request_by_setters()
{
    auto request = test_request("gamma", {"heartbeat", "1"});
    request.set_user(std::nullopt)
        .set_name("readout")
        .set_session("session-1")
        .set_tree_id("0.1")
        .set_role(sshpm::role_from_tree_id("0.1", false))
        .add_setup_line("echo set up for $PARTITION")
        .set_setup_shell("sh")
        .set_environment("PARTITION", "np'04 $x")
        .set_working_directory("/")
        .set_umask(027)
        .set_limit("core", 0)
        .set_limit("cpu", SSHPM_UNLIMITED)
        .set_log_file(std::nullopt)
        .set_log_mode(sshpm::log_mode::append)
        .set_start_timeout(LONG)
        .set_ready_output("set up for")
        .set_ready_timeout(LONG)
        .set_restart(sshpm::restart::always)
        .set_restart_limit(3, LONG)
        .set_restart_pauses(1ms, 1s)
        .set_link_loss(sshpm::link_loss::terminate)
        .set_grace(1500ms)
        .check();
    CHECK(request.get_host() == "gamma" && !request.get_user() && request.get_name() == "readout");
    CHECK(request.get_session() == "session-1" && request.get_role() == "application");
    return request;
}

/* The process was asked to end, and ended by itself with 0. */
template <class Status>
void it_was_ended(const Status &status)
{
    CHECK(status.get_source() == sshpm::exit_source::manual_kill_through_remote_pid);
    CHECK(status.get_source_name() == "manual_kill_through_remote_pid");
    CHECK(status.get_raw_code() == 0 && status.get_code() == 0 && status.get_application_code() == 0);
    CHECK(status.get_signal() == 0 && !status.core_dumped() && !status.left_over());
    CHECK(!status.link_lost() && !status.is_unknown());
    CHECK(has(status.get_sentence(), "ended by the manager") && has(status.get_message(), "exit code 0"));
}

void a_life()
{
    const sshpm::options options = options_by_setters();
    sshpm::manager manager(options);
    const sshpm::subscription events = manager.subscribe();
    const auto request = request_by_setters();
    CHECK(manager.start_process("readout", request) == 1 && manager.get_start_number("readout") == 1);
    throws(SSHPM_ERROR_UUID_IN_USE, "readout", [&] { manager.start_process("readout", request); });
    auto output = manager.subscribe_output("readout");

    const std::int64_t pid = heartbeat(manager, "readout");
    CHECK(pid > 1 && manager.get_remote_pid("readout") == pid);
    CHECK(manager.get_process_state("readout") == sshpm::process_state::running);
    CHECK(manager.is_process_alive("readout") && manager.is_monitoring_remotely("readout"));
    manager.wait_until_ready("readout", LONG);
    CHECK(manager.is_ready("readout") && !manager.is_ready("nobody"));
    CHECK((manager.get_active_process_keys() == std::vector<std::string>{"readout"}));
    const sshpm::runtime_pids pids = manager.get_runtime_pids("readout");
    CHECK(pids.remote == pid && pids.ssh_client && pids.remote_monitoring && pids.client_monitoring);
    const sshpm::runtime_pids none = manager.get_runtime_pids("nobody");
    CHECK(!none.remote && !none.ssh_client && !none.remote_monitoring && !none.client_monitoring);
    CHECK(!manager.get_exit_status("readout") && !manager.pop_early_exit_status("readout"));
    const sshpm::buffer written = manager.get_process_stdout("readout");
    CHECK(has(written.view(), "set up for np'04 $x\n") && written.dropped() == 0);
    CHECK(written.view().data() == written.data() && written.size() == std::char_traits<char>::length(written.data()));
    CHECK(manager.get_process_stderr("readout").view().empty());

    const sshpm::metadata metadata = manager.read_process_metadata("readout", "gamma");
    CHECK(metadata.get_pid() == pid && metadata.get_hostname() == "gamma" && metadata.get_name() == "readout");
    CHECK(metadata.get_session() == "session-1" && metadata.get_tree_id() == "0.1");
    CHECK(metadata.get_role() == "application");
    CHECK(!metadata.get_start_time().empty() && !metadata.get_boot_id().empty());
    CHECK(!metadata.get_user().empty());
    const auto age = std::chrono::system_clock::now() - metadata.get_started_at();
    CHECK(age > -1s && age < LONG);
    CHECK(has(sshpm::metadata_file_path("readout"), "readout"));

    manager.send_signal("readout", SIGCONT);
    const sshpm::exit_status status = manager.kill_process("readout", LONG);
    it_was_ended(status);
    it_was_ended(sshpm::exit_status_view(status));
    CHECK(status.get_start_number() == 1);
    CHECK(!manager.is_process_alive("readout"));
    throws(SSHPM_ERROR_UNKNOWN_UUID, "readout", [&] { static_cast<void>(manager.get_process_state("readout")); });

    std::string all;
    for (sshpm::output_piece &piece : output) {
        CHECK(piece.from == sshpm::stream::out && piece.bytes.size() > 0);
        all += piece.bytes.view();
    }
    CHECK(has(all, "Heartbeat") && output.dropped() == 0);
    CHECK(output.next(1s).code() == SSHPM_ERROR_END_OF_OUTPUT);

    /* The events that wait are taken. Then there is none. */
    std::vector<sshpm::event> happened;
    for (sshpm::event &event : events.within(0s)) {
        happened.push_back(std::move(event));
    }
    CHECK(happened.size() == 3);
    CHECK(happened[0].get_type() == sshpm::event_type::started && happened[0].get_uuid() == "readout");
    CHECK(happened[0].get_pid() == pid && !happened[0].get_status() && happened[0].get_error() == SSHPM_OK);
    CHECK(happened[1].get_type() == sshpm::event_type::ready && happened[1].get_start_number() == 1);
    CHECK(happened[2].get_type() == sshpm::event_type::exited && !happened[2].get_pid());
    it_was_ended(happened[2].get_status().value());
    CHECK(happened[2].get_message() == status.get_message());
    CHECK(happened[0].get_start_number() == 1 && happened[2].get_start_number() == 1);
    CHECK(events.next(0s).code() == SSHPM_ERROR_NO_EVENT);
}

void events_by_range_for()
{
    std::optional<sshpm::manager> manager(test_manager());
    sshpm::subscription events = manager->subscribe();
    pollfd readable = {events.get_fd(), POLLIN, 0};
    CHECK(poll(&readable, 1, 0) == 0);
    manager->start_process("seven", test_request("alpha", {"exit", "7"}));
    CHECK(poll(&readable, 1, 1000 * static_cast<int>(LONG_S)) == 1);

    int seen = 0;
    for (const sshpm::event &event : events) {
        CHECK(event.get_uuid() == "seven");
        seen++;
        if (event.get_type() == sshpm::event_type::exited) {
            CHECK(event.get_status()->get_code() == 7);
            break;
        }
        CHECK(event.get_type() == sshpm::event_type::started);
    }
    CHECK(seen == 2);
    CHECK(manager->wait_for_process_exit_code("seven") == 7);
    CHECK(manager->get_exit_status("seven")->get_source() == sshpm::exit_source::remote_monitoring);
    CHECK(manager->pop_early_exit_status("seven")->get_code() == 7);

    /* A wake ends a loop that waits. */
    std::thread waker([&] {
        std::this_thread::sleep_for(50ms);
        events.wake();
    });
    for (const sshpm::event &event : events) {
        std::fprintf(stderr, "event of %s\n", event.get_uuid().data());
        CHECK(false);
    }
    waker.join();
    events.wake();
    CHECK(events.next().code() == SSHPM_ERROR_WOKEN);

    sshpm::boot_request missing("beta", {"/no/such/program"});
    manager->start_process("missing", missing);
    throws(SSHPM_ERROR_START_PROGRAM_NOT_FOUND, "missing", [&] { manager->wait_until_started("missing", LONG); });
    sshpm::outcome<sshpm::event> failed = events.next(LONG);
    CHECK(failed && failed.code() == SSHPM_OK && failed->get_type() == sshpm::event_type::start_failed);
    CHECK(failed->get_error() == SSHPM_ERROR_START_PROGRAM_NOT_FOUND && has(failed->get_message(), "missing"));
    throws(SSHPM_ERROR_START_PROGRAM_NOT_FOUND, "", [&] { static_cast<void>(manager->get_exit_status("missing")); });
    manager->forget_process("missing");

    /* The end of the manager ends a loop too, once all events are taken. */
    manager->start_process("last", test_request("alpha", {"exit", "0"}));
    CHECK(manager->wait_for_process_exit_code("last", LONG) == 0);
    CHECK(reaches([&] { return poll(&readable, 1, 0) == 1; }));
    manager.reset();
    seen = 0;
    for (const sshpm::event &event : events) {
        CHECK(event.get_uuid() == "last");
        seen++;
    }
    CHECK(seen == 2 && events.next().code() == SSHPM_ERROR_SHUT_DOWN);
    throws(SSHPM_ERROR_SHUT_DOWN, "", [&] { static_cast<void>(events.next().value()); });
}

void many_are_killed()
{
    auto manager = test_manager();
    const auto list = sshpm::boot_request_list::from_json(
        R"([{"name": "a", "host": "alpha", "role": "application", "argv": ["sleep", "1000"]},
            {"name": "b", "host": "beta", "role": "monitor", "argv": ["sleep", "1000"], "user": "somebody"}])");
    CHECK(list.size() == 2 && list[1].get_user() == "somebody");
    for (const sshpm::boot_request_view request : list) {
        request.check();
    }
    manager.start_process("a", list[0]);
    manager.start_process("b", test_request("beta", {"wait"}).set_role("monitor"));
    manager.start_process("c", test_request("alpha", {"wait"}));
    for (const auto &uuid : manager.get_active_process_keys()) {
        manager.wait_until_started(uuid, LONG);
    }
    const sshpm::kill_results one = manager.kill_processes_by_role("monitor", {"a", "b"}, {LONG, {}});
    CHECK(one.size() == 1 && one[0].get_uuid() == "b" && one[0].get_result() == SSHPM_OK);
    CHECK(one[0].get_status()->get_signal() == SIGQUIT && one[0].get_message() == one[0].get_status()->get_message());
    CHECK(one[1].get_result() == SSHPM_ERROR_INVALID && one[1].get_uuid().empty() && !one[1].get_status());

    const sshpm::kill_results two = manager.kill_processes({"a", "nobody"});
    std::vector<std::string> told;
    for (const sshpm::kill_result &result : two) {
        told.push_back(std::string(result.get_uuid()) + ": " + std::to_string(result.get_result()));
    }
    CHECK((told == std::vector<std::string>{"a: 0", "nobody: " + std::to_string(SSHPM_ERROR_UNKNOWN_UUID)}));

    manager.crash_process("c", SIGSEGV);
    CHECK(manager.wait_for_process_exit_code("c", LONG) == 128 + SIGSEGV);
    CHECK(manager.get_exit_status("c")->get_signal() == SIGSEGV);
    manager.start_process("d", test_request("gamma", {"heartbeat", "1"}));
    heartbeat(manager, "d");
    const sshpm::exit_status lost = manager.kill_process_without_metadata("d", SIGKILL, true, LONG);
    CHECK(lost.get_source() == sshpm::exit_source::manual_kill_through_ssh_client);

    CHECK(manager.kill_all_processes(LONG).size() == 1);
    CHECK(manager.shutdown(LONG).size() == 0);
    manager.detach();
    throws(SSHPM_ERROR_SHUT_DOWN, "shut down", [&] { manager.start_process("late", test_request("alpha", {"wait"})); });
}

void two_managers()
{
    auto first = test_manager(), second = test_manager();
    const auto of_first = first.subscribe(), of_second = second.subscribe();
    first.start_process("one", test_request("alpha", {"exit", "1"}));
    second.start_process("two", test_request("beta", {"exit", "2"}));
    CHECK(first.wait_for_process_exit_code("one", LONG) == 1 && second.wait_for_process_exit_code("two", LONG) == 2);
    throws(SSHPM_ERROR_UNKNOWN_UUID, "two", [&] { static_cast<void>(first.get_process_state("two")); });
    for (const auto *events : {&of_first, &of_second}) {
        CHECK(events->next(LONG).value().get_type() == sshpm::event_type::started);
        CHECK(events->next(LONG).value().get_status()->get_code() == (events == &of_first ? 1 : 2));
    }
    /* The manager that is overwritten is freed, so its events come to their end. */
    first = std::move(second);
    CHECK(of_first.next(LONG).code() == SSHPM_ERROR_SHUT_DOWN && of_second.next(0s).code() == SSHPM_ERROR_NO_EVENT);
    CHECK(first.get_exit_status("two")->get_code() == 2);
}

void moves()
{
    auto manager = test_manager();
    auto request = test_request("alpha", {"exit", "4"});
    sshpm::boot_request moved_request = std::move(request);
    throws(SSHPM_ERROR_NULL_ARGUMENT, "", [&] { manager.start_process("x", request); });
    throws(SSHPM_ERROR_NULL_ARGUMENT, "", [&] { request.set_name("x"); });
    auto events = manager.subscribe();
    sshpm::manager moved(std::move(manager));
    throws(SSHPM_ERROR_NULL_ARGUMENT, "manager", [&] { manager.start_process("x", moved_request); });
    throws(SSHPM_ERROR_NULL_ARGUMENT, "", [&] { static_cast<void>(manager.is_process_alive("x")); });
    moved.start_process("x", moved_request);
    CHECK(moved.wait_for_process_exit_code("x", LONG) == 4);

    auto status = moved.pop_early_exit_status("x").value();
    sshpm::exit_status kept = std::move(status);
    CHECK(kept.get_code() == 4 && status.get_message().empty() && status.get_source_name().empty());
    throws(SSHPM_ERROR_NULL_ARGUMENT, "", [&] { static_cast<void>(status.get_code()); });

    auto moved_events = std::move(events);
    CHECK(events.get_fd() == -1);
    throws(SSHPM_ERROR_NULL_ARGUMENT, "", [&] { static_cast<void>(events.next(0s)); });
    auto event = moved_events.next(LONG).value();
    auto kept_event = std::move(event);
    CHECK(kept_event.get_uuid() == "x" && event.get_uuid().empty() && !event.get_status());
    CHECK(event.get_message().empty());
    sshpm::buffer nothing(nullptr);
    CHECK(nothing.view().empty() && nothing.size() == 0 && nothing.data() == nullptr);
}

/* Handles are freed by any exception that is thrown while they live. Otherwise processes would be left, and the test
 * would see them. */
void exceptions_unwind()
{
    try {
        auto manager = test_manager();
        const auto events = manager.subscribe();
        manager.start_process("left", test_request("alpha", {"heartbeat", "1"}).set_grace(1s));
        const auto output = manager.subscribe_output("left");
        const auto follower = manager.follow_log_file("alpha", std::nullopt, "no-such-file", 1);
        heartbeat(manager, "left");
        for (const sshpm::event &event : events) {
            static_cast<void>(manager.get_remote_pid(std::string(event.get_uuid()) + "-unknown"));
        }
        CHECK(false);
    } catch (const std::runtime_error &error) {
        CHECK(has(error.what(), "left-unknown"));
    }
}

void files_and_hosts()
{
    const auto manager = test_manager();
    throws(SSHPM_ERROR_FILE_MISSING, "no-such-file",
           [&] { static_cast<void>(manager.read_log_file("alpha", std::nullopt, "/no-such-file", 5)); });
    CHECK(has(manager.read_log_file("alpha", std::nullopt, "/etc/passwd", 1000, LONG).view(), "root:"));
    auto follower = manager.follow_log_file("alpha", std::nullopt, "/etc/passwd", 1000);
    bool found = false;
    for (const sshpm::buffer &piece : follower) {
        found = has(piece.view(), ":");
        break;
    }
    CHECK(found);
    for (const sshpm::buffer &piece : follower.within(0s)) {
        CHECK(piece.size() > 0);
    }
    CHECK(follower.next(10ms).code() == SSHPM_ERROR_TIMED_OUT);

    const sshpm::host_info info = manager.validate_host_connection("alpha");
    CHECK(info.get_round_trip() > 0s && info.get_round_trip() < LONG && !info.get_user().empty());
    CHECK(has(info.get_sh(), "/") && !info.get_kernel().empty() && !info.get_login_shell().empty());
    CHECK(info.get_runtime_directory().has_value() == info.get_free_bytes().has_value());
    CHECK(sshpm::host_info_view(info).get_sh() == info.get_sh());

    std::vector<sshpm_result> told(2, -1);
    const auto hosts = manager.validate_hosts({{"beta"}, {"-no", "host"}}, [&](auto index, auto result, auto message) {
        CHECK(message.empty() == (result == SSHPM_OK));
        told.at(index) = result;
    });
    CHECK(told[0] == SSHPM_OK && told[1] == SSHPM_ERROR_INVALID && hosts.size() == 2);
    CHECK(hosts[0].get_info() && hosts[0].get_message().empty());
    for (const sshpm::host_result &host : hosts) {
        CHECK((host.get_result() == SSHPM_OK) == host.get_info().has_value());
    }
    CHECK(!hosts[1].get_info() && !hosts[1].get_message().empty());
    int calls = 0;
    throws(77, "enough", [&] {
        static_cast<void>(manager.validate_hosts({{"alpha"}, {"beta"}}, [&](auto, auto, auto) {
            calls++;
            throw sshpm::error(77, "enough");
        }));
    });
    CHECK(calls == 1);
}

} // namespace

/* A policy restarts a process once, and then a call restarts it. */
void restarts()
{
    sshpm::manager manager = test_manager();
    sshpm::subscription events = manager.subscribe();
    auto request = test_request("alpha", {"exit", "7"});
    request.set_restart(sshpm::restart::on_failure).set_restart_limit(1, LONG).set_restart_pauses(250ms, 500ms);
    const std::uint64_t first = manager.start_process("again", request);
    for (const sshpm::event &event : events) {
        if (event.get_type() == sshpm::event_type::restarting) {
            CHECK(event.get_start_number() == first && event.get_attempt() == 1 && event.get_pause() == 250ms);
        } else {
            CHECK(event.get_attempt() == 0 && event.get_pause() == 0s);
        }
        if (event.get_type() == sshpm::event_type::restart_limit_reached) {
            CHECK(event.get_start_number() > first && has(event.get_message(), "1 restarts within"));
            break;
        }
    }
    const std::uint64_t second = manager.get_start_number("again");
    CHECK(second > first && manager.restart_process("again", LONG) > second);
    CHECK(manager.kill_process("again", LONG).get_start_number() > second);
}

int main()
{
    return run_checks([] {
        a_life();
        events_by_range_for();
        restarts();
        many_are_killed();
        two_managers();
        moves();
        exceptions_unwind();
        files_and_hosts();
    });
}
