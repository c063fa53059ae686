/* The boot of sessions, with what sshpm.hpp has for it. */
#include <stdexcept>

#include "check.hpp"

namespace {

sshpm::boot_request sleeper(std::string_view role)
{
    sshpm::boot_request request("alpha", {"/bin/sh", "-c", "echo up; exec sleep 1000"});
    request.set_role(role);
    return request;
}

sshpm::session two_stages()
{
    sshpm::session session;
    session.set_order({"first", "second"}).add_process("a", sleeper("first")).add_process("b", sleeper("second"));
    return session;
}

void complete(sshpm::manager &manager)
{
    sshpm::boot_request late = sleeper("first");
    late.set_critical(false).set_ready_output("never").set_ready_timeout(1ms);
    sshpm::boot_request ready = sleeper("first");
    ready.set_ready_output("up");
    sshpm::session session = two_stages();
    session.add_process("late", late).add_process("ready", ready).set_minimum("second", 1).set_timeout(LONG);
    session.check();
    CHECK(session.size() == 4 && session.get_uuid(2) == "late" && session.get_request(3).get_host() == "alpha");
    std::size_t stages = 0, started = 0;
    const sshpm::session_results results = manager.start_session(session, [&](const sshpm::session_progress &progress) {
        CHECK(progress.stages == 2 && progress.state.has_value() == !progress.uuid.empty());
        stages = progress.stage;
        started += progress.state == sshpm::boot_state::started || progress.state == sshpm::boot_state::ready;
        return true;
    });
    CHECK(results.get_outcome() == sshpm::session_outcome::complete && results.get_outcome_stage() == 0);
    CHECK(results.get_outcome_uuid().empty() && has(results.get_outcome_message(), "complete"));
    CHECK(stages == 2 && started >= 3 && results.size() == 4 && results.get_ended().empty());
    for (const sshpm::session_result &result : results) {
        const std::string_view uuid = result.get_uuid();
        if (uuid == "ready") {
            CHECK(result.get_state() == sshpm::boot_state::ready && result.get_result() == SSHPM_OK);
            CHECK(result.get_message().empty() && !result.get_status());
        } else if (uuid != "late") {
            CHECK(result.get_state() == sshpm::boot_state::started);
        }
    }
    CHECK(manager.kill_all_processes(LONG).size() == 4);
}

void failed(sshpm::manager &manager)
{
    sshpm::session session = two_stages();
    session.set_on_failure(sshpm::on_failure::roll_back);
    sshpm::boot_request bad = sleeper("second");
    bad.add_setup_line("exit 3");
    session.add_process("bad", bad);
    const sshpm::session_results results = manager.start_session(session);
    CHECK(results.get_outcome() == sshpm::session_outcome::failed && results.get_outcome_stage() == 2);
    CHECK(results.get_outcome_uuid() == "bad" && results[1].get_uuid() == "b" && results[2].get_uuid() == "bad");
    CHECK(results[2].get_state() == sshpm::boot_state::failed && results[2].get_result() == SSHPM_ERROR_START_SETUP);
    CHECK(results[3].get_result() == SSHPM_ERROR_INVALID && has(results[2].get_message(), "exit 3"));
    const std::vector<sshpm::kill_result> ended = results.get_ended();
    CHECK(ended.size() == 3 && ended[0].get_uuid() == "a" && ended[0].get_status());
    CHECK(manager.get_active_process_keys().empty());
}

/* An exception of the callback cancels the boot, and comes out of it. */
void thrown(sshpm::manager &manager)
{
    bool came_out = false;
    try {
        static_cast<void>(manager.start_session(two_stages(), [](const sshpm::session_progress &progress) -> bool {
            if (progress.stage == 2) {
                throw std::runtime_error("second");
            }
            return true;
        }));
    } catch (const std::runtime_error &error) {
        came_out = std::string_view(error.what()) == "second";
    }
    CHECK(came_out && manager.get_active_process_keys() == std::vector<std::string>{"a"});
    CHECK(manager.kill_all_processes(LONG).size() == 1);
}

void of_json(sshpm::manager &manager)
{
    const sshpm::session session = sshpm::session::from_json(
        R"({"defaults": {"host": "alpha", "argv": ["sleep", "1000"]}, "processes": [{"name": "x"}, {"uuid": "y"}]})");
    CHECK(session.size() == 2 && session.get_uuid(1) == "y");
    CHECK(manager.start_session(session).get_outcome() == sshpm::session_outcome::complete);
    CHECK(manager.kill_all_processes(LONG).size() == 2);
    throws(SSHPM_ERROR_JSON, "processes", [] { static_cast<void>(sshpm::session::from_json("{}")); });
    throws(SSHPM_ERROR_INVALID, "order", [] { sshpm::session().set_order({"a", "a"}).check(); });
    sshpm::session moved = two_stages();
    const sshpm::session taken = std::move(moved);
    throws(SSHPM_ERROR_NULL_ARGUMENT, "session", [&] { static_cast<void>(manager.start_session(moved)); });
}

} // namespace

int main()
{
    alarm(WATCHDOG_S);
    sshpm::manager manager = test_manager();
    complete(manager);
    failed(manager);
    thrown(manager);
    of_json(manager);
    return 0;
}
