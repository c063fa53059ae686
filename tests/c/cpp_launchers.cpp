/* Processes without ssh, with what sshpm.hpp has for them. */
#include <csignal>

#include "check.hpp"
#include "launchers.h"

namespace {

sshpm::manager manager_of(const sshpm::launcher &launcher)
{
    return sshpm::manager(sshpm::options().set_launcher(launcher));
}

/* One process is signalled, one is killed, and one is ended with its manager. */
void lives(sshpm::manager manager, std::string_view host)
{
    const sshpm::subscription events = manager.subscribe();
    for (const std::string uuid : {"signalled", "killed", "left"}) {
        manager.start_process(uuid, sshpm::boot_request(host, {"/bin/sh", "-c", COUNTS}));
        const std::int64_t pid = manager.wait_until_started(uuid, LONG);
        CHECK(events.next(LONG).value().get_pid() == pid);
        CHECK(reaches([&] { return has(manager.get_process_stdout(uuid).view(), "out 1\nout 2\n"); }));
        CHECK(has(manager.get_process_stderr(uuid).view(), "ready in /"));
    }
    manager.send_signal("signalled", SIGUSR1);
    CHECK(manager.wait_for_process_exit_code("signalled", LONG) == 7);
    CHECK(events.next(LONG).value().get_type() == sshpm::event_type::exited);
    CHECK(manager.kill_process("killed", LONG).get_code() == 17);
    CHECK(!manager.is_process_alive("killed") && manager.is_process_alive("left"));
}

void hosts_have_launchers_of_their_own()
{
    sshpm::manager manager(sshpm::options()
                               .set_launcher(sshpm::launcher::command({"env", "ASKED=3"}))
                               .set_host_launcher("beta", sshpm::launcher::command({"env", "ASKED=4"})));
    const auto code = [&](std::string_view host, const std::optional<sshpm::launcher> &launcher) {
        sshpm::boot_request request(host, {"/bin/sh", "-c", "exit $ASKED"});
        if (launcher) {
            request.set_launcher(*launcher);
        }
        manager.start_process(host, request);
        return manager.wait_for_process_exit_code(host, LONG);
    };
    CHECK(code("alpha", std::nullopt) == 3 && code("beta", std::nullopt) == 4);
    manager.forget_process("beta");
    CHECK(code("beta", sshpm::launcher::command({"env", "ASKED=5"})) == 5);
}

void jobs_have_hosts()
{
    const auto job = [](const char *number) {
        auto launcher = sshpm::launcher::slurm(number);
        launcher.set_srun_program(own_path("srun")).add_srun_option("--exclusive");
        return launcher;
    };
    CHECK((job("1").get_hosts() == std::vector<std::string>{"good", "n-1", "n-2"}));
    throws(SSHPM_ERROR_LAUNCHER_NO_JOB, "job 2", [&] { static_cast<void>(job("2").get_hosts()); });
    throws(SSHPM_ERROR_INVALID, "launcher.job", [&] { manager_of(job("x")); });
    lives(manager_of(job("1")), "good");
}

void refused()
{
    auto local = sshpm::launcher::local();
    throws(SSHPM_ERROR_INVALID, "\"local\"", [&] { static_cast<void>(local.get_hosts()); });
    throws(SSHPM_ERROR_INVALID, "\"local\"", [&] { local.set_srun_program("srun"); });
    throws(SSHPM_ERROR_INVALID, "\"ssh\"", [] { sshpm::launcher::ssh().add_srun_option("--exclusive"); });
    throws(SSHPM_ERROR_INVALID, "launcher.command[0]", [] { manager_of(sshpm::launcher::command({})); });
    /* A launcher that was moved from is like NULL. */
    const sshpm::launcher taken = std::move(local);
    throws(SSHPM_ERROR_NULL_ARGUMENT, "launcher", [&] { manager_of(local); });
    manager_of(taken);
    throws(SSHPM_ERROR_LAUNCHER_ENDED, "false on alpha", [] {
        static_cast<void>(manager_of(sshpm::launcher::command({"false"})).validate_host_connection("alpha"));
    });
}

} // namespace

int main()
{
    return run_checks([] {
        live_in_own_directory();
        write_fake_slurm();
        lives(manager_of(sshpm::launcher::local()), "here");
        lives(manager_of(sshpm::launcher::command({"env"})), "alpha");
        hosts_have_launchers_of_their_own();
        jobs_have_hosts();
        refused();
        remove_fake_slurm();
        leave_nothing();
    });
}
