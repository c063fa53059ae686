/* Values that are refused without a host, and what the types of sshpm.hpp promise. */
#include <csignal>
#include <iterator>
#include <type_traits>

#include "check.hpp"

namespace {

template <class T>
constexpr bool handle = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                        !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;

static_assert(handle<sshpm::manager> && handle<sshpm::options> && handle<sshpm::boot_request>);
static_assert(handle<sshpm::boot_request_list> && handle<sshpm::exit_status> && handle<sshpm::kill_results>);
static_assert(handle<sshpm::event> && handle<sshpm::subscription> && handle<sshpm::output_subscription>);
static_assert(handle<sshpm::buffer> && handle<sshpm::metadata> && handle<sshpm::log_follower>);
static_assert(handle<sshpm::launcher> && handle<sshpm::host_info> && handle<sshpm::host_results> && handle<sshpm::scoped_callback>);
static_assert(std::is_base_of_v<std::runtime_error, sshpm::error>);
static_assert(std::is_nothrow_copy_constructible_v<sshpm::error>);
static_assert(std::is_same_v<std::iterator_traits<sshpm::subscription::iterator>::reference, sshpm::event &>);
#if __cplusplus >= 202002L
static_assert(std::input_iterator<sshpm::subscription::iterator>);
static_assert(std::input_iterator<sshpm::kill_results::const_iterator>);
#endif

/* What is taken out of an outcome that goes away lives as long as the reference to it. */
static_assert(std::is_same_v<decltype(*std::declval<sshpm::outcome<sshpm::event>>()), sshpm::event>);
static_assert(std::is_same_v<decltype(std::declval<sshpm::outcome<sshpm::event>>().value()), sshpm::event>);

/* A const handle gives a const handle of C. */
static_assert(std::is_same_v<decltype(std::declval<const sshpm::manager &>().get()), const sshpm_manager *>);
static_assert(std::is_same_v<decltype(std::declval<sshpm::manager &>().get()), sshpm_manager *>);

static_assert(sshpm::timeout().seconds() == SSHPM_TIMEOUT_DEFAULT);
static_assert(sshpm::timeout(1500ms).seconds() == 1.5 && sshpm::timeout(2min).seconds() == 120.0);

/* A string that has no NUL behind its last byte. */
void views_need_no_nul()
{
    const std::string_view text("hostile", 4);
    CHECK(sshpm::boot_request(text, {"true"}).get_host() == "host");
}

/* A null pointer is refused as a string. Where the string is optional, it means that there is none. */
void null_pointers_are_refused_or_nothing()
{
    const char *const null = nullptr;
    throws(SSHPM_ERROR_NULL_ARGUMENT, "NULL", [=] { sshpm::boot_request(null, {"true"}); });
    throws(SSHPM_ERROR_NULL_ARGUMENT, "NULL", [] { sshpm::options().set_ssh_program(nullptr); });
    throws(SSHPM_ERROR_NULL_ARGUMENT, "NULL", [=] { static_cast<void>(sshpm::boot_request::from_json(null)); });
    throws(SSHPM_ERROR_NULL_ARGUMENT, "NULL", [=] { static_cast<void>(sshpm::signal_from_name(null)); });
    throws(SSHPM_ERROR_NULL_ARGUMENT, "NULL", [=] { sshpm::manager().kill_process(null); });
    sshpm::options().set_ssh_config(nullptr).set_known_hosts_file(null).set_ssh_config({}).set_ssh_config(std::nullopt);
    static_cast<void>(sshpm::launcher::slurm(nullptr));
    sshpm::boot_request request("host", {"true"});
    request.set_user("me").set_user(null);
    CHECK(!request.get_user());
    request.set_user(std::optional<std::string>("me")).set_setup_shell(nullptr).set_log_file(nullptr).check();
    CHECK(request.get_user() == "me");
    CHECK(!request.set_user(std::optional<std::string_view>()).get_user());
}

void a_nul_inside_is_refused()
{
    using std::string_literals::operator""s;
    throws(SSHPM_ERROR_INVALID, "at index 1", [] { sshpm::boot_request("a\0b"s, {"true"}); });
    throws(SSHPM_ERROR_INVALID, "at index 1", [] { sshpm::boot_request("a", {"true", "-\0"s}); });
    throws(SSHPM_ERROR_INVALID, "at index 1", [] { static_cast<void>(sshpm::launcher::command({"a", "b\0"s})); });
    throws(SSHPM_ERROR_INVALID, "NUL", [] { sshpm::options().set_ssh_config("\0"s); });
    throws(SSHPM_ERROR_INVALID, "NUL", [] { static_cast<void>(sshpm::manager().validate_hosts({{"a", "b\0"s}})); });
}

/* A message can end up in a log. */
void messages_do_not_quote_secrets()
{
    using std::string_literals::operator""s;
    try {
        sshpm::boot_request("host", {"true"}).set_environment("TOKEN", "secret\0"s);
        CHECK(false);
    } catch (const sshpm::error &error) {
        CHECK(error.code() == SSHPM_ERROR_INVALID && !has(error.what(), "secret"));
    }
}

/* In C, NULL stands for the default options. */
void options_that_were_moved_from_are_no_defaults()
{
    sshpm::options options;
    const sshpm::options taken = std::move(options);
    throws(SSHPM_ERROR_NULL_ARGUMENT, "options", [&] { sshpm::manager manager(options); });
    sshpm::manager manager(taken);
}

/* Any number can be in a metadata file. */
void times_that_the_clock_does_not_have_are_its_last_and_first()
{
    using time = std::chrono::system_clock::time_point;
    const auto started_at = [](const std::string &number) {
        return sshpm::metadata::from_json("u", R"({"pid":42,"hostname":"h","user":"u","started_at":)" + number + "}")
            .get_started_at();
    };
    CHECK(started_at("1.5") == time(1500ms));
    CHECK(started_at("1e300") == time::max() && started_at("-1e300") == time::min());
}

void timeouts_are_checked()
{
    CHECK(sshpm::timeout::infinite().seconds() > 1e300);
    /* One of these is SSHPM_TIMEOUT_DEFAULT, but nobody who writes -1 s means the default. */
    throws(SSHPM_ERROR_INVALID, "-1.0", [] { static_cast<void>(sshpm::timeout(-1s)); });
    throws(SSHPM_ERROR_INVALID, "", [] {
        static_cast<void>(sshpm::timeout(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())));
    });
    sshpm::manager manager;
    throws(SSHPM_ERROR_INVALID, "1 timeouts for 2", [&] { static_cast<void>(manager.kill_processes({"a", "b"}, {1s})); });
    CHECK(manager.kill_processes({}).size() == 0);
}

void errors_have_codes_and_messages()
{
    throws(SSHPM_ERROR_JSON, "line 1", [] { static_cast<void>(sshpm::boot_request::from_json("{")); });
    throws(SSHPM_ERROR_JSON, "", [] { static_cast<void>(sshpm::boot_request_list::from_json("{}")); });
    throws(SSHPM_ERROR_INVALID, "", [] { sshpm::boot_request("-x", {"true"}).check(); });
    throws(SSHPM_ERROR_UTF8, "", [] { sshpm::boot_request("\xff", {"true"}); });
    throws(SSHPM_ERROR_INVALID, "", [] { static_cast<void>(sshpm::signal_from_name("SIGNONE")); });
    throws(SSHPM_ERROR_INVALID, "", [] { sshpm::manager(sshpm::options().clear_kill_sequence()); });
    throws(SSHPM_ERROR_INVALID, "", [] { sshpm::options().set_host_key_policy(sshpm::host_key_policy{99}); });
    sshpm::manager manager;
    throws(SSHPM_ERROR_UNKNOWN_UUID, "nobody", [&] { manager.kill_process("nobody"); });
    throws(SSHPM_ERROR_UNKNOWN_UUID, "nobody", [&] { static_cast<void>(manager.get_remote_pid("nobody")); });
    throws(SSHPM_ERROR_NULL_ARGUMENT, "empty", [&] { manager.on_process_exit({}); });
    CHECK(sshpm::signal_from_name("hup") == 1 && sshpm::version() == SSHPM_VERSION);
    CHECK(sshpm::role_from_tree_id("0", true) == "root-controller");
    CHECK(sshpm::signal_to_name(SIGHUP) == "HUP" && sshpm::signal_to_name(40) == "40");
    throws(SSHPM_ERROR_INVALID, "65", [] { static_cast<void>(sshpm::signal_to_name(65)); });
    const auto metadata = sshpm::metadata::from_json("u", R"({"pid":42,"hostname":"h","user":"u","started_at":1.5})");
    CHECK(metadata.get_pid() == 42 && metadata.get_hostname() == "h" && metadata.get_boot_id().empty());
    throws(SSHPM_ERROR_BAD_METADATA, "its pid is 1;", [] {
        static_cast<void>(sshpm::metadata::from_json("u", R"({"pid":1,"hostname":"h","user":"u","started_at":1})"));
    });
}

} // namespace

int main()
{
    return run_checks([] {
        views_need_no_nul();
        null_pointers_are_refused_or_nothing();
        a_nul_inside_is_refused();
        messages_do_not_quote_secrets();
        options_that_were_moved_from_are_no_defaults();
        times_that_the_clock_does_not_have_are_its_last_and_first();
        timeouts_are_checked();
        errors_have_codes_and_messages();
    });
}
