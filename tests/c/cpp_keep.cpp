/* Kept processes, with what sshpm.hpp has for them. */
#include <csignal>

#include "check.hpp"

namespace {

sshpm::boot_request kept_request()
{
    sshpm::boot_request request("alpha", {"/bin/sh", "-c",
                                          "trap 'exit 17' QUIT; i=0; while :; do i=$((i+1)); echo out $i; sleep 0.05; done"});
    request.set_name("readout").set_link_loss(sshpm::link_loss::keep).set_grace(3s).set_kill_tree(true);
    return request;
}

bool has_state(const sshpm::manager &manager, sshpm::found_state state)
{
    for (const sshpm::found_process &found : manager.find_processes("alpha")) {
        if (found.get_uuid() == "u" && found.get_state() == state) {
            const sshpm::metadata_view metadata = found.get_metadata();
            CHECK(metadata.get_name() == "readout" && metadata.get_link_loss() == sshpm::link_loss::keep);
            CHECK(metadata.get_grace() == 3s && !metadata.get_log_file());
            CHECK(found.get_status().has_value() == (state == sshpm::found_state::ended));
            return true;
        }
    }
    return false;
}

/* Starts a process with a manager that is gone afterwards. Returns its pid. */
std::int64_t leave_one(const sshpm::manager &next)
{
    std::int64_t pid = 0;
    {
        sshpm::manager manager = test_manager();
        manager.start_process("u", kept_request());
        pid = manager.wait_until_started("u", LONG);
        CHECK(reaches([&] { return has(manager.get_process_stdout("u").view(), "out 3\n"); }));
        throws(SSHPM_ERROR_TAKEN_OVER, "u", [&] { sshpm::manager(test_manager()).adopt_process("u", "alpha"); });
    }
    CHECK(reaches([&] { return has_state(next, sshpm::found_state::unmanaged); }));
    return pid;
}

void adopted()
{
    sshpm::options options;
    options.set_ssh_config(from_environment("SSHPM_TEST_SSH_CONFIG")).set_restore_timeout(sshpm::timeout::infinite());
    sshpm::manager manager(options);
    const sshpm::subscription events = manager.subscribe();
    const std::int64_t pid = leave_one(manager);
    CHECK(manager.adopt_process("u", "alpha") == 1 && manager.get_start_number("u") == 1);
    CHECK(manager.get_remote_pid("u") == pid);
    CHECK(events.next(LONG).value().get_type() == sshpm::event_type::link_restored);
    CHECK(reaches([&] { return has(manager.get_process_stdout("u").view(), "out 3\n"); }));
    CHECK(manager.get_process_stdout("u").view().substr(0, 6) == "out 1\n");
    const sshpm::exit_status status = manager.kill_process("u", LONG);
    CHECK(status.get_code() == 17 && status.get_ended_at() && status.get_strays().empty());
    CHECK(manager.find_processes("alpha").size() == 0);
    throws(SSHPM_ERROR_NOT_ADOPTABLE, "u", [&] { manager.adopt_process("u", "alpha", std::nullopt); });
}

void cleaned_up()
{
    const sshpm::manager manager = test_manager();
    leave_one(manager);
    const sshpm::clean_up_results results = manager.clean_up_host("alpha", std::nullopt, LONG, true);
    CHECK(results.size() == 1 && results[0].get_uuid() == "u" && results[0].get_left().empty());
    CHECK(results[0].get_outcome() == sshpm::clean_up_outcome::ended);
    CHECK(results[1].get_uuid().empty() && results[1].get_left().empty());
    for (const sshpm::clean_up_result &result : results) {
        CHECK(result.get_outcome() == sshpm::clean_up_outcome::ended);
    }
    CHECK(manager.clean_up_host("alpha").size() == 0);
    /* The answer depends on the test machine. */
    static_cast<void>(manager.validate_host_connection("alpha").ends_user_processes());
}

} // namespace

int main()
{
    return run_checks([] {
        adopted();
        cleaned_up();
    });
}
