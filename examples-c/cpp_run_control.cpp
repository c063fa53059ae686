/*
 * cpp_run_control: a small run control in C++17. It boots a session, starts again what crashes, and shuts down.
 * A process whose request has a restart policy is left to its policy.
 *
 *   cpp_run_control [--ssh-config FILE | --local] [--seconds N] [--crash NAME] SESSION.json
 *
 *       --ssh-config FILE   the file for `ssh -F`, instead of the user's and the system's ssh_config
 *       --local             every host is this machine: the shells are started here, without ssh
 *       --seconds N         shut down N seconds after the boot, when all run; default: on Ctrl-C
 *       --crash NAME        crash this application after the boot, to show the restart
 *
 * SESSION.json has the processes, their defaults, and how they boot (see sshpm_session_from_json).
 *
 * Exit code: 0 when each application ran, and in the end ended as asked; 1 when not; 2 when a call failed.
 *
 * How it works: one loop waits for the next event, with a timeout until the next thing to do. Another thread waits for
 * Ctrl-C and wakes the loop. When an exception leaves the loop, the handles end the processes.
 */
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <pthread.h>

#include "sshpm.hpp"
#include "streams.h"

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

/// Waits for SIGINT and SIGTERM in a thread, which may do what a signal handler may not. The program's later threads
/// inherit that the signals are blocked. The library's threads block all signals; its children begin with none blocked.
class stop_signals {
public:
    explicit stop_signals(std::function<void()> on_stop) : on_stop_(std::move(on_stop)) {
        sigemptyset(&set_);
        sigaddset(&set_, SIGINT);
        sigaddset(&set_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set_, nullptr);
        thread_ = std::thread([this] { wait(); });
    }
    ~stop_signals() {
        over_ = true;
        pthread_kill(thread_.native_handle(), SIGTERM);
        thread_.join();
    }
    stop_signals(const stop_signals &) = delete;
    stop_signals &operator=(const stop_signals &) = delete;

private:
    void wait() {
        int number = 0;
        while (!over_ && sigwait(&set_, &number) == 0) {
            if (!over_) {
                on_stop_();
            }
        }
    }

    sigset_t set_{};
    std::function<void()> on_stop_;
    std::atomic<bool> over_ = false;
    std::thread thread_;
};

/// One session: boots its applications, restarts them, and shuts them down.
class run_control {
public:
    run_control(const sshpm::options &options, sshpm::session session)
        : session_(std::move(session)), manager_(options), events_(manager_.subscribe()) {
        for (std::size_t i = 0; i < session_.size(); i++) {
            applications_.emplace(session_.get_uuid(i), member{});
        }
    }

    /// Ends `boot` or `watch`, so that the session is shut down. May be called from any thread.
    void stop() {
        stopped_ = true;
        events_.wake();
    }

    /// Boots all applications in stages. Returns whether the boot is complete.
    bool boot() {
        const auto begun = clock_type::now();
        const sshpm::session_results results =
            manager_.start_session(session_, [this](const sshpm::session_progress &) { return !stopped_; });
        const std::chrono::duration<double> took = clock_type::now() - begun;
        const bool complete = results.get_outcome() == sshpm::session_outcome::complete;
        for (const sshpm::session_result result : results) {
            member &application = applications_.at(std::string(result.get_uuid()));
            const sshpm::boot_state state = result.get_state();
            if (state == sshpm::boot_state::failed) {
                std::cout << result.get_message() << '\n';
            }
            // A boot that is rolled back has ended its processes: they are no longer in the manager's table.
            if (complete && state != sshpm::boot_state::not_started) {
                application.running = state == sshpm::boot_state::started || state == sshpm::boot_state::ready ||
                                      state == sshpm::boot_state::not_ready;
                application.failed_at_boot = state == sshpm::boot_state::failed;
                application.start_number = manager_.get_start_number(result.get_uuid());
            }
        }
        std::cout << count(&member::running) << " of " << applications_.size() << " run after " << took.count()
                  << " s: " << results.get_outcome_message() << '\n';
        return complete;
    }

    /// Makes an application crash, unless `stop` was called. `watch` handles its exit.
    void crash(const std::string &name) {
        if (stopped_) {
            return;
        }
        std::cout << "crashing " << name << '\n';
        manager_.crash_process(name, SIGSEGV);
    }

    /// Watches the session and starts again what exits, until `stop` is called, or until this time is over and all run.
    /// Returns false when it gave up.
    bool watch(std::optional<std::chrono::duration<double>> time) {
        const auto deadline = clock_type::now() + time.value_or(0s);
        while (!stopped_ && !failed_) {
            const auto left = deadline - clock_type::now();
            const bool time_is_over = time && left <= 0s;
            if (time_is_over && count(&member::running) == applications_.size()) {
                break;
            }
            take_event(time && !time_is_over ? sshpm::timeout(left) : sshpm::timeout());
        }
        return !failed_;
    }

    /// Ends all applications in order, and prints how many ended as asked. Returns whether all did.
    bool shut_down() {
        std::size_t good = 0;
        const sshpm::kill_results results = manager_.shutdown(60s);
        for (const sshpm::kill_result result : results) {
            const auto status = result.get_status();
            good += status && status->get_source() == sshpm::exit_source::manual_kill_through_remote_pid;
            std::cout << result.get_message() << '\n';
        }
        std::cout << good << " of " << applications_.size() << " ended as asked; restarts: " << restarts_ << '\n';
        return good == applications_.size();
    }

private:
    struct member {
        std::uint64_t start_number = 0; ///< events of earlier starts are ignored
        bool running = false;
        bool has_policy = false;     ///< its restart policy has started it again
        bool failed_at_boot = false; ///< the boot has told of the failed start, and did not need it
        int crashes = 0;
    };

    /// How often one application may crash before the session is given up.
    static constexpr int crash_limit = 3;

    [[nodiscard]] std::size_t count(bool member::*which) const {
        std::size_t found = 0;
        for (const auto &[name, application] : applications_) {
            found += application.*which;
        }
        return found;
    }

    void take_event(sshpm::timeout wait) {
        // No event means that the time is over or that stop() was called; the caller checks both.
        if (const auto event = events_.next(wait)) {
            take(*event);
        }
    }

    void take(const sshpm::event &event) {
        const std::string name(event.get_uuid());
        member &application = applications_.at(name);
        application.has_policy |= event.get_type() == sshpm::event_type::restarting;
        if (event.get_start_number() < application.start_number) {
            // The process was started again since; this late event is about an earlier start.
            return;
        }
        // The number is higher when the restart policy has started the process again.
        application.start_number = event.get_start_number();
        switch (event.get_type()) {
        case sshpm::event_type::started:
            application.running = true;
            std::cout << name << " runs with pid " << event.get_pid().value_or(-1) << '\n';
            break;
        case sshpm::event_type::ready:
            std::cout << name << " is ready\n";
            break;
        case sshpm::event_type::not_ready:
            std::cout << name << " is " << event.get_message() << '\n';
            break;
        case sshpm::event_type::link_lost:
            std::cout << name << " lost its link; its exit will be reported\n";
            break;
        case sshpm::event_type::link_restored:
        case sshpm::event_type::link_not_restored:
            // These are events of kept processes; this session has none unless its file says so.
            std::cout << name << ": " << event.get_message() << '\n';
            break;
        case sshpm::event_type::restarting:
            restarts_++;
            std::cout << name << " is started again in " << event.get_pause().count() << " s by its restart policy\n";
            break;
        case sshpm::event_type::restart_limit_reached:
            std::cout << name << ": " << event.get_message() << '\n';
            failed_ = true;
            break;
        case sshpm::event_type::start_failed:
            if (!std::exchange(application.failed_at_boot, false)) {
                std::cout << event.get_message() << '\n';
                failed_ = failed_ || is_over(name);
            }
            break;
        case sshpm::event_type::exited:
            application.running = false;
            std::cout << event.get_message() << '\n';
            if (is_over(name)) {
                restart(name, application);
            }
            break;
        }
    }

    /// Returns whether a process stays as it ended: its restart policy, if it has one, does not start it again.
    [[nodiscard]] bool is_over(const std::string &name) const {
        const sshpm::process_state state = manager_.get_process_state(name);
        return state == sshpm::process_state::ended || state == sshpm::process_state::failed;
    }

    /// Called only for exits that nobody asked for, because no event is taken after the shutdown begins.
    void restart(const std::string &name, member &application) {
        if (application.has_policy) {
            std::cout << name << " is not started again by its restart policy: giving up\n";
            failed_ = true;
            return;
        }
        if (++application.crashes > crash_limit) {
            std::cout << name << " exited " << application.crashes << " times: giving up\n";
            failed_ = true;
            return;
        }
        // The process has ended, so this only starts it, with the request that the session has.
        application.start_number = manager_.restart_process(name);
        restarts_++;
        std::cout << name << " is started again\n";
    }

    sshpm::session session_;
    sshpm::manager manager_;
    sshpm::subscription events_;
    std::map<std::string, member> applications_;
    std::atomic<bool> stopped_ = false;
    bool failed_ = false;
    int restarts_ = 0;
};

struct arguments {
    std::optional<std::string> ssh_config, crash;
    std::optional<std::chrono::duration<double>> seconds;
    std::string file;
    bool local = false;
};

arguments parse(int argc, char **argv) {
    arguments parsed;
    for (int at = 1; at < argc; at++) {
        const std::string_view argument = argv[at];
        const bool has_value = at + 1 < argc;
        if (argument == "--ssh-config" && has_value) {
            parsed.ssh_config = argv[++at];
        } else if (argument == "--local") {
            parsed.local = true;
        } else if (argument == "--crash" && has_value) {
            parsed.crash = argv[++at];
        } else if (argument == "--seconds" && has_value) {
            parsed.seconds = std::chrono::duration<double>(std::stod(argv[++at]));
        } else if (parsed.file.empty() && argument.substr(0, 1) != "-") {
            parsed.file = argument;
        } else {
            parsed.file.clear();
            break;
        }
    }
    if (parsed.file.empty()) {
        throw std::runtime_error(
            "usage: cpp_run_control [--ssh-config FILE | --local] [--seconds N] [--crash NAME] SESSION.json");
    }
    return parsed;
}

sshpm::session read_session(const std::string &path) {
    std::ifstream file(path);
    if (!file) {
        throw std::runtime_error(path + ": cannot be read");
    }
    return sshpm::session::from_json(std::string(std::istreambuf_iterator<char>(file), {}));
}

int run(const arguments &arguments) {
    sshpm::options options;
    options.set_ssh_config(arguments.ssh_config);
    if (arguments.local) {
        options.set_launcher(sshpm::launcher::local());
    }
    run_control control(options, read_session(arguments.file));
    const stop_signals signals([&] { control.stop(); });

    bool good = control.boot();
    if (good && arguments.crash) {
        control.crash(*arguments.crash);
    }
    good = good && control.watch(arguments.seconds);
    return control.shut_down() && good ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
    try {
        fill_standard_streams();
        const int code = run(parse(argc, argv));
        std::cout.flush();
        if (!std::cout) {
            throw std::runtime_error("not all output could be written to stdout");
        }
        return code;
    } catch (const sshpm::error &error) {
        std::cerr << "cpp_run_control: " << error.what() << " (" << error.short_text() << ")\n";
    } catch (const std::exception &error) {
        std::cerr << "cpp_run_control: " << error.what() << '\n';
    }
    return 2;
}
