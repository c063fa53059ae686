/* Functions of C++ that the library calls: how long they live, and what happens to the exceptions that they throw. */
#include <atomic>
#include <memory>
#include <mutex>

#include "check.hpp"

namespace {

void run(sshpm::manager &manager, std::string_view uuid)
{
    manager.start_process(uuid, test_request("alpha", {"exit", "3"}));
    CHECK(manager.wait_for_process_exit_code(uuid, LONG) == 3);
}

void what_is_thrown_stays_here()
{
    auto manager = test_manager();
    std::atomic<int> thrown = 0, told = 0, quiet = 0, after = 0;
    manager.on_process_exit(
        [&](const sshpm::process_exit &) {
            thrown++;
            throw std::runtime_error("from the callback");
        },
        [&](std::exception_ptr exception) {
            try {
                std::rethrow_exception(exception);
            } catch (const std::runtime_error &error) {
                CHECK(has(error.what(), "from the callback"));
            }
            told++;
            throw 1;
        });
    manager.on_process_exit([&](const sshpm::process_exit &) {
        quiet++;
        throw 2;
    });
    manager.on_process_exit([&](const sshpm::process_exit &end) {
        CHECK(end.status && end.status->get_code() == 3 && end.error == SSHPM_OK && end.error_message.empty());
        after++;
    });
    run(manager, "one");
    run(manager, "two");
    CHECK(reaches([&] { return after == 2; }));
    CHECK(thrown == 2 && told == 2 && quiet == 2);
}

void a_failed_start_is_told()
{
    auto manager = test_manager();
    std::atomic<bool> told = false;
    const sshpm::scoped_callback callback(manager, [&](const sshpm::process_exit &end) {
        CHECK(end.uuid == "missing" && end.start_number == 1 && !end.status && end.error == SSHPM_ERROR_START_PROGRAM_NOT_FOUND);
        CHECK(has(end.error_message, "missing"));
        told = true;
    });
    manager.start_process("missing", sshpm::boot_request("beta", {"/no/such/program"}));
    CHECK(reaches([&] { return told.load(); }));
}

/* What the function has captured lives as long as the function can be called, and no longer. */
void functions_live_as_long_as_they_are_called()
{
    const auto captured = std::make_shared<std::atomic<int>>(0);
    const auto count = [captured](const sshpm::process_exit &) { ++*captured; };
    CHECK(captured.use_count() == 2);
    {
        auto manager = test_manager();
        const std::uint64_t id = manager.on_process_exit(count);
        CHECK(captured.use_count() == 3);
        manager.remove_callback(id);
        CHECK(captured.use_count() == 2);
        manager.on_process_exit(count);
        run(manager, "one");
        CHECK(reaches([&] { return *captured == 1; }));
    }
    CHECK(captured.use_count() == 2);
    /* The function was never handed over. */
    auto moved_from = test_manager();
    auto manager = std::move(moved_from);
    throws(SSHPM_ERROR_NULL_ARGUMENT, "", [&] { moved_from.on_process_exit(count); });
    CHECK(captured.use_count() == 2);
}

/* When the kill has returned an exit, no callback for that exit runs any more. */
void killing_waits()
{
    auto manager = test_manager();
    std::atomic<std::uint64_t> ended = 0;
    const sshpm::scoped_callback slow(manager, [&](const sshpm::process_exit &end) {
        std::this_thread::sleep_for(200ms);
        ended = end.start_number;
    });
    for (std::uint64_t number = 1; number <= 2; number++) {
        CHECK(manager.start_process("one", test_request("alpha", {"heartbeat", "1"})) == number);
        CHECK(manager.kill_process("one", LONG).get_start_number() == number && ended == number);
    }
}

void scoped_callbacks_end_with_their_scope()
{
    auto manager = test_manager();
    std::atomic<int> begun = 0, ended = 0, others = 0;
    {
        const sshpm::scoped_callback slow(manager, [&](const sshpm::process_exit &) {
            begun++;
            std::this_thread::sleep_for(200ms);
            ended++;
        });
        run(manager, "one");
        CHECK(reaches([&] { return begun == 1; }));
    }
    CHECK(ended == 1);
    run(manager, "two");

    std::optional<sshpm::scoped_callback> moved;
    {
        sshpm::scoped_callback inner(manager, [&](const sshpm::process_exit &end) { others += end.uuid == "three"; });
        moved = std::move(inner);
    }
    sshpm::manager elsewhere = std::move(manager);
    run(elsewhere, "three");
    CHECK(reaches([&] { return others == 1; }));
    *moved = sshpm::scoped_callback(elsewhere, [&](const sshpm::process_exit &end) {
        others += 10 * (end.uuid != "three");
    });
    run(elsewhere, "four");
    CHECK(reaches([&] { return others == 11; }));
    moved.reset();
    run(elsewhere, "five");
    CHECK(begun == 1 && others == 11);
}

void calls_inside()
{
    auto manager = test_manager();
    std::atomic<bool> done = false;
    std::optional<sshpm::scoped_callback> callback;
    std::mutex mutex;
    std::unique_lock lock(mutex);
    callback.emplace(manager, [&](const sshpm::process_exit &end) {
        const std::lock_guard inner(mutex);
        throws(SSHPM_ERROR_INSIDE_CALLBACK, "", [&] { manager.kill_process(end.uuid); });
        throws(SSHPM_ERROR_INSIDE_CALLBACK, "", [&] { manager.shutdown(); });
        CHECK(!manager.is_process_alive(end.uuid));
        callback.reset(); /* itself */
        done = true;
    });
    lock.unlock();
    run(manager, "one");
    CHECK(reaches([&] { return done.load(); }));
}

void the_log()
{
    std::atomic<int> messages = 0, others = 0;
    const auto something_is_logged = [] {
        auto manager = test_manager();
        manager.start_process("logged", test_request("alpha", {"heartbeat", "1"}));
        heartbeat(manager, "logged");
        manager.shutdown(LONG);
    };
    const auto captured = std::make_shared<int>(0);
    sshpm::set_log_callback(sshpm::log_level::info, [&, captured](sshpm::log_level level, auto target, auto message) {
        CHECK(level >= sshpm::log_level::error && level <= sshpm::log_level::info);
        CHECK(target.substr(0, 5) == "sshpm" && !message.empty());
        messages++;
        throw std::runtime_error("dropped");
    });
    CHECK(captured.use_count() == 2);
    something_is_logged();
    CHECK(messages > 0);
    const int before = messages;
    /* A refused callback does not replace the callback that is set. */
    throws(SSHPM_ERROR_INVALID, "level",
           [] { sshpm::set_log_callback(sshpm::log_level{99}, [](auto, auto, auto) {}); });
    something_is_logged();
    CHECK(messages > before);
    /* The callback turns itself off from inside, and what it has captured still exists until it returns. */
    sshpm::set_log_callback(sshpm::log_level::debug, [&, kept = std::make_shared<int>(7)](auto, auto, auto) {
        sshpm::set_log_callback(sshpm::log_level::off, {});
        CHECK(*kept == 7);
        others++;
    });
    CHECK(captured.use_count() == 1);
    something_is_logged();
    CHECK(others > 0);
    /* The callback is still on when the program ends, which turns it off. */
    sshpm::set_log_callback(sshpm::log_level::debug, [](auto, auto, auto) {});
}

} // namespace

int main()
{
    return run_checks([] {
        what_is_thrown_stays_here();
        a_failed_start_is_told();
        functions_live_as_long_as_they_are_called();
        killing_waits();
        scoped_callbacks_end_with_their_scope();
        calls_inside();
        the_log();
    });
}
