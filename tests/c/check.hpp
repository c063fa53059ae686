/* What the C++ test programs share in addition to check.h. */
#ifndef CHECK_HPP
#define CHECK_HPP

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "check.h"
#include "sshpm.hpp"

using namespace std::chrono_literals;

constexpr auto LONG = std::chrono::seconds(60);

/* Checks that the call throws an error of this code, with this text in its message. */
inline void throws(sshpm_result code, std::string_view text, const std::function<void()> &call)
{
    try {
        call();
    } catch (const sshpm::error &error) {
        if (error.code() == code && std::string_view(error.what()).find(text) != std::string_view::npos) {
            CHECK(std::string_view(error.short_text()) == sshpm_strerror(code));
            return;
        }
        std::fprintf(stderr, "threw %d, %s; not %d with \"%.*s\"\n", static_cast<int>(error.code()), error.what(),
                     static_cast<int>(code), static_cast<int>(text.size()), text.data());
        std::exit(1);
    }
    std::fprintf(stderr, "did not throw %d\n", static_cast<int>(code));
    std::exit(1);
}

inline bool has(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

/* Returns a manager that knows the hosts of the test: alpha, beta and gamma. */
inline sshpm::manager test_manager()
{
    return sshpm::manager(sshpm::options().set_ssh_config(from_environment("SSHPM_TEST_SSH_CONFIG")));
}

/* Returns a request to run test-app with these arguments. */
inline sshpm::boot_request test_request(std::string_view host, std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), from_environment("SSHPM_TEST_APP"));
    return sshpm::boot_request(host, arguments);
}

/* Waits until the condition holds. */
inline bool reaches(const std::function<bool()> &condition)
{
    const auto deadline = std::chrono::steady_clock::now() + LONG;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

/* Waits until heartbeat has begun: before that, a signal would end it like any program. Returns its pid. */
inline std::int64_t heartbeat(const sshpm::manager &manager, std::string_view uuid)
{
    const std::int64_t pid = manager.wait_until_started(uuid, LONG);
    CHECK(reaches([&] { return has(manager.get_process_stdout(uuid).view(), "Heartbeat"); }));
    return pid;
}

/* Runs a test program: its checks, none of which may let an exception escape. */
inline int run_checks(const std::function<void()> &checks)
{
    alarm(WATCHDOG_S);
    try {
        checks();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "thrown: %s\n", error.what());
        return 1;
    }
    return 0;
}

#endif
