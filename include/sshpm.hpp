/**
 * @file sshpm.hpp
 * sshpm.h for C++17: handles that free themselves, exceptions, std::chrono, std::string_view, range-for over events.
 *
 * It is a header only, and does nothing that the C functions do not do. Each member function has the name of the C
 * function that it calls, without the prefix: sshpm_manager_kill_process is sshpm::manager::kill_process. The
 * documentation of the C function in sshpm.h says what it does, which threads can call it and how long it blocks. All
 * of this applies to the member function, too. The differences are these:
 *
 * Names: constructors and static functions take the place of the C functions with `_new` in their names, and
 * destructors that of the `_free` functions. Lists have size(), operator[] and iterators. Functions of C that have no
 * handle are functions of the namespace: sshpm::signal_from_name.
 *
 * Errors: when the C function fails, the member function throws sshpm::error, with the code and the full message. The
 * `next` functions, whose waits can end without a value although nothing has failed, return an sshpm::outcome instead.
 *
 * Handles can be moved, not copied, and free what they own when they are destroyed. A handle that was moved from is
 * like NULL in C: its functions throw SSHPM_ERROR_NULL_ARGUMENT, or return an empty value.
 *
 * Strings that a function receives are copied: see sshpm::input_text and sshpm::optional_input_text. A std::string_view
 * that a function returns belongs to the C handle, and is valid until the handle is freed. Views, such as
 * sshpm::exit_status_view and sshpm::kill_result, own nothing: they and their strings are valid as long as the C handle
 * that they view. So do not keep a string or a view of a temporary object. This one dangles:
 * `std::string_view text = manager.kill_process("uuid").get_message();`
 *
 * Callbacks may throw. No exception crosses the C functions: each callback type says what happens to its exceptions.
 */

#ifndef SSHPM_HPP
#define SSHPM_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "sshpm.h"

/// Everything in this header.
namespace sshpm {

/// The failure of a call: `code()` is its SSHPM_ERROR_..., `what()` the full message.
class error : public std::runtime_error {
public:
    /// Makes an error with a code and a full message.
    error(sshpm_result code, const std::string &message) : std::runtime_error(message), code_(code) {}

    /// Returns the code, SSHPM_ERROR_...
    [[nodiscard]] sshpm_result code() const noexcept { return code_; }

    /// Returns the short text for the code, which is static.
    [[nodiscard]] const char *short_text() const noexcept { return sshpm_strerror(code_); }

private:
    sshpm_result code_;
};

/// How long something may take: any duration of std::chrono from 0 on. A timeout that is made without a duration is
/// SSHPM_TIMEOUT_DEFAULT, the default of the C function.
class timeout {
public:
    /// Makes the default of the function that receives this timeout.
    constexpr timeout() noexcept = default;

    /// Makes a timeout of this duration. An infinite duration, which must be of a floating-point type, is no limit.
    /// Throws SSHPM_ERROR_INVALID for a duration that is negative or not a number.
    template <class Rep, class Period>
    constexpr timeout(std::chrono::duration<Rep, Period> time)
        : seconds_(std::chrono::duration<double>(time).count()) {
        if (!(seconds_ >= 0)) {
            throw error(SSHPM_ERROR_INVALID,
                        "invalid timeout \"" + std::to_string(seconds_) + "\": must be 0 s or more");
        }
    }

    /// Makes a timeout without a limit.
    [[nodiscard]] static constexpr timeout infinite() {
        return std::chrono::duration<double>(std::numeric_limits<double>::infinity());
    }

    /// Returns the seconds, in the form that the C functions accept.
    [[nodiscard]] constexpr double seconds() const noexcept { return seconds_; }

private:
    double seconds_ = SSHPM_TIMEOUT_DEFAULT;
};

/// The result of a wait: a value, or the code that says why there is no value. This is not a failure; failures throw.
template <class T>
class outcome {
public:
    /// Makes an outcome with a value.
    outcome(T value) : value_(std::move(value)) {}
    /// Makes an outcome without a value, for this reason.
    explicit outcome(sshpm_result code) noexcept : code_(code) {}

    /// Returns whether there is a value.
    [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
    /// Returns whether there is a value.
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    /// Returns SSHPM_OK if there is a value, or else the code that says why there is none.
    [[nodiscard]] sshpm_result code() const noexcept { return code_; }

    /// Returns the value, which must exist.
    [[nodiscard]] T &operator*() & noexcept { return *value_; }
    /// Returns the value, which must exist.
    [[nodiscard]] const T &operator*() const & noexcept { return *value_; }
    /// Returns the value, which must exist: not as a reference, because that could outlive the outcome.
    [[nodiscard]] T operator*() && noexcept(std::is_nothrow_move_constructible_v<T>) { return *std::move(value_); }
    /// Returns the value, which must exist.
    [[nodiscard]] T *operator->() noexcept { return &*value_; }
    /// Returns the value, which must exist.
    [[nodiscard]] const T *operator->() const noexcept { return &*value_; }

    /// Returns the value. Throws the code when there is no value.
    [[nodiscard]] T &value() & { return demand(), *value_; }
    /// Returns the value. Throws the code when there is no value.
    [[nodiscard]] const T &value() const & { return demand(), *value_; }
    /// Returns the value, not as a reference, because that could outlive the outcome. Throws the code when there is no
    /// value.
    [[nodiscard]] T value() && { return demand(), *std::move(value_); }

private:
    void demand() const {
        if (!value_) {
            throw error(code_, sshpm_strerror(code_));
        }
    }

    std::optional<T> value_;
    sshpm_result code_ = SSHPM_OK;
};

/// SSHPM_LOG_...
enum class log_level : std::int32_t {
    off = SSHPM_LOG_OFF,     ///< SSHPM_LOG_OFF
    error = SSHPM_LOG_ERROR, ///< SSHPM_LOG_ERROR
    warn = SSHPM_LOG_WARN,   ///< SSHPM_LOG_WARN
    info = SSHPM_LOG_INFO,   ///< SSHPM_LOG_INFO
    debug = SSHPM_LOG_DEBUG, ///< SSHPM_LOG_DEBUG
};

/// SSHPM_HOST_KEY_...
enum class host_key_policy : std::int32_t {
    ssh_config = SSHPM_HOST_KEY_SSH_CONFIG,                         ///< SSHPM_HOST_KEY_SSH_CONFIG
    strict = SSHPM_HOST_KEY_STRICT,                                 ///< SSHPM_HOST_KEY_STRICT
    accept_new = SSHPM_HOST_KEY_ACCEPT_NEW,                         ///< SSHPM_HOST_KEY_ACCEPT_NEW
    disabled_for_localhost = SSHPM_HOST_KEY_DISABLED_FOR_LOCALHOST, ///< SSHPM_HOST_KEY_DISABLED_FOR_LOCALHOST
    disabled = SSHPM_HOST_KEY_DISABLED,                             ///< SSHPM_HOST_KEY_DISABLED
};

/// SSHPM_KILL_SCOPE_...
enum class kill_scope : std::int32_t {
    leader = SSHPM_KILL_SCOPE_LEADER, ///< SSHPM_KILL_SCOPE_LEADER
    group = SSHPM_KILL_SCOPE_GROUP,   ///< SSHPM_KILL_SCOPE_GROUP
};

/// SSHPM_LOG_MODE_...
enum class log_mode : std::int32_t {
    fresh = SSHPM_LOG_MODE_FRESH,       ///< SSHPM_LOG_MODE_FRESH
    append = SSHPM_LOG_MODE_APPEND,     ///< SSHPM_LOG_MODE_APPEND
    truncate = SSHPM_LOG_MODE_TRUNCATE, ///< SSHPM_LOG_MODE_TRUNCATE
};

/// SSHPM_RESTART_...
enum class restart : std::int32_t {
    never = SSHPM_RESTART_NEVER,           ///< SSHPM_RESTART_NEVER
    on_failure = SSHPM_RESTART_ON_FAILURE, ///< SSHPM_RESTART_ON_FAILURE
    always = SSHPM_RESTART_ALWAYS,         ///< SSHPM_RESTART_ALWAYS
};

/// SSHPM_LINK_LOSS_...
enum class link_loss : std::int32_t {
    terminate = SSHPM_LINK_LOSS_TERMINATE, ///< SSHPM_LINK_LOSS_TERMINATE
    keep = SSHPM_LINK_LOSS_KEEP,           ///< SSHPM_LINK_LOSS_KEEP
};

/// SSHPM_EXIT_SOURCE_...
enum class exit_source : std::int32_t {
    client_monitoring = SSHPM_EXIT_SOURCE_CLIENT_MONITORING, ///< SSHPM_EXIT_SOURCE_CLIENT_MONITORING
    remote_monitoring = SSHPM_EXIT_SOURCE_REMOTE_MONITORING, ///< SSHPM_EXIT_SOURCE_REMOTE_MONITORING
    /// SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_SSH_CLIENT
    manual_kill_through_ssh_client = SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_SSH_CLIENT,
    /// SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID
    manual_kill_through_remote_pid = SSHPM_EXIT_SOURCE_MANUAL_KILL_THROUGH_REMOTE_PID,
};

/// SSHPM_STATE_... Later versions of the library can return other values.
enum class process_state : std::int32_t {
    connecting = SSHPM_STATE_CONNECTING, ///< SSHPM_STATE_CONNECTING
    starting = SSHPM_STATE_STARTING,     ///< SSHPM_STATE_STARTING
    running = SSHPM_STATE_RUNNING,       ///< SSHPM_STATE_RUNNING
    ending = SSHPM_STATE_ENDING,         ///< SSHPM_STATE_ENDING
    link_lost = SSHPM_STATE_LINK_LOST,   ///< SSHPM_STATE_LINK_LOST
    ended = SSHPM_STATE_ENDED,           ///< SSHPM_STATE_ENDED
    failed = SSHPM_STATE_FAILED,         ///< SSHPM_STATE_FAILED
    restarting = SSHPM_STATE_RESTARTING, ///< SSHPM_STATE_RESTARTING
};

/// SSHPM_EVENT_... Later versions of the library can return other values.
enum class event_type : std::int32_t {
    started = SSHPM_EVENT_STARTED,                     ///< SSHPM_EVENT_STARTED
    exited = SSHPM_EVENT_EXITED,                       ///< SSHPM_EVENT_EXITED
    link_lost = SSHPM_EVENT_LINK_LOST,                 ///< SSHPM_EVENT_LINK_LOST
    start_failed = SSHPM_EVENT_START_FAILED,           ///< SSHPM_EVENT_START_FAILED
    link_restored = SSHPM_EVENT_LINK_RESTORED,         ///< SSHPM_EVENT_LINK_RESTORED
    link_not_restored = SSHPM_EVENT_LINK_NOT_RESTORED, ///< SSHPM_EVENT_LINK_NOT_RESTORED
    ready = SSHPM_EVENT_READY,                         ///< SSHPM_EVENT_READY
    not_ready = SSHPM_EVENT_NOT_READY,                 ///< SSHPM_EVENT_NOT_READY
    restarting = SSHPM_EVENT_RESTARTING,               ///< SSHPM_EVENT_RESTARTING
    /// SSHPM_EVENT_RESTART_LIMIT_REACHED
    restart_limit_reached = SSHPM_EVENT_RESTART_LIMIT_REACHED,
};

/// SSHPM_ON_FAILURE_...
enum class on_failure : std::int32_t {
    stop = SSHPM_ON_FAILURE_STOP,              ///< SSHPM_ON_FAILURE_STOP
    roll_back = SSHPM_ON_FAILURE_ROLL_BACK,    ///< SSHPM_ON_FAILURE_ROLL_BACK
    continue_boot = SSHPM_ON_FAILURE_CONTINUE, ///< SSHPM_ON_FAILURE_CONTINUE
};

/// SSHPM_BOOT_... Later versions of the library can return other values.
enum class boot_state : std::int32_t {
    not_started = SSHPM_BOOT_NOT_STARTED, ///< SSHPM_BOOT_NOT_STARTED
    starting = SSHPM_BOOT_STARTING,       ///< SSHPM_BOOT_STARTING
    started = SSHPM_BOOT_STARTED,         ///< SSHPM_BOOT_STARTED
    ready = SSHPM_BOOT_READY,             ///< SSHPM_BOOT_READY
    not_ready = SSHPM_BOOT_NOT_READY,     ///< SSHPM_BOOT_NOT_READY
    failed = SSHPM_BOOT_FAILED,           ///< SSHPM_BOOT_FAILED
    ended = SSHPM_BOOT_ENDED,             ///< SSHPM_BOOT_ENDED
};

/// SSHPM_SESSION_... Later versions of the library can return other values.
enum class session_outcome : std::int32_t {
    complete = SSHPM_SESSION_COMPLETE,   ///< SSHPM_SESSION_COMPLETE
    failed = SSHPM_SESSION_FAILED,       ///< SSHPM_SESSION_FAILED
    cancelled = SSHPM_SESSION_CANCELLED, ///< SSHPM_SESSION_CANCELLED
    timed_out = SSHPM_SESSION_TIMED_OUT, ///< SSHPM_SESSION_TIMED_OUT
    shut_down = SSHPM_SESSION_SHUT_DOWN, ///< SSHPM_SESSION_SHUT_DOWN
};

/// SSHPM_FOUND_... Later versions of the library can return other values.
enum class found_state : std::int32_t {
    managed = SSHPM_FOUND_MANAGED,     ///< SSHPM_FOUND_MANAGED
    unmanaged = SSHPM_FOUND_UNMANAGED, ///< SSHPM_FOUND_UNMANAGED
    orphaned = SSHPM_FOUND_ORPHANED,   ///< SSHPM_FOUND_ORPHANED
    ended = SSHPM_FOUND_ENDED,         ///< SSHPM_FOUND_ENDED
    gone = SSHPM_FOUND_GONE,           ///< SSHPM_FOUND_GONE
};

/// SSHPM_CLEAN_UP_... Later versions of the library can return other values.
enum class clean_up_outcome : std::int32_t {
    managed = SSHPM_CLEAN_UP_MANAGED,             ///< SSHPM_CLEAN_UP_MANAGED
    ended = SSHPM_CLEAN_UP_ENDED,                 ///< SSHPM_CLEAN_UP_ENDED
    removed = SSHPM_CLEAN_UP_REMOVED,             ///< SSHPM_CLEAN_UP_REMOVED
    still_running = SSHPM_CLEAN_UP_STILL_RUNNING, ///< SSHPM_CLEAN_UP_STILL_RUNNING
};

/// SSHPM_STREAM_...
enum class stream : std::int32_t {
    out = SSHPM_STREAM_STDOUT, ///< SSHPM_STREAM_STDOUT
    err = SSHPM_STREAM_STDERR, ///< SSHPM_STREAM_STDERR
};

/// Not for users of this header.
namespace detail {

inline void check_text(std::string_view text) {
    const auto nul = text.find('\0');
    if (nul != std::string_view::npos) {
        // The message does not quote the string, which may be secret: the value of a variable, or an argument.
        throw error(SSHPM_ERROR_INVALID, "a string contains a NUL byte, at index " + std::to_string(nul));
    }
}

} // namespace detail

/// A string that a function receives: a copy of anything that converts to std::string_view. Making it throws
/// SSHPM_ERROR_NULL_ARGUMENT for a null pointer, and SSHPM_ERROR_INVALID for a string that contains a NUL byte.
class input_text {
public:
    /// Copies a string.
    template <class T, std::enable_if_t<std::is_convertible_v<const T &, std::string_view>, int> = 0>
    input_text(const T &from) {
        if constexpr (std::is_pointer_v<T>) {
            if (from == nullptr) {
                throw error(SSHPM_ERROR_NULL_ARGUMENT, "a string is NULL");
            }
        }
        copy_ = std::string_view(from);
        detail::check_text(copy_);
    }
    /// Throws SSHPM_ERROR_NULL_ARGUMENT.
    input_text(std::nullptr_t) : input_text(static_cast<const char *>(nullptr)) {}

    /// Returns the string, in the form that the C functions accept.
    [[nodiscard]] const char *c_str() const noexcept { return copy_.c_str(); }

private:
    std::string copy_;
};

/// A string that a function receives and that can be left out: std::nullopt and null pointers become NULL in C. Making
/// it throws SSHPM_ERROR_INVALID for a string that contains a NUL byte.
class optional_input_text {
public:
    /// Makes no string.
    optional_input_text() noexcept = default;
    /// Makes no string.
    optional_input_text(std::nullopt_t) noexcept {}
    /// Makes no string.
    optional_input_text(std::nullptr_t) noexcept {}
    /// Copies a string, unless it is a null pointer.
    template <class T, std::enable_if_t<std::is_convertible_v<const T &, std::string_view>, int> = 0>
    optional_input_text(const T &from) {
        if constexpr (std::is_pointer_v<T>) {
            if (from == nullptr) {
                return;
            }
        }
        copy_.emplace(from);
    }
    /// Copies a string, if there is one.
    template <class T, std::enable_if_t<std::is_convertible_v<const T &, std::string_view>, int> = 0>
    optional_input_text(const std::optional<T> &from) {
        if (from) {
            *this = optional_input_text(*from);
        }
    }

    /// Returns the string, in the form that the C functions accept.
    [[nodiscard]] const char *c_str() const noexcept { return copy_ ? copy_->c_str() : nullptr; }

private:
    std::optional<input_text> copy_;
};

namespace detail {

inline void check(sshpm_result result) {
    if (result != SSHPM_OK) {
        throw error(result, sshpm_last_error_message());
    }
}

[[nodiscard]] inline std::string_view view(const char *text) noexcept {
    return text != nullptr ? std::string_view(text) : std::string_view();
}

/// Converts a time of C, which is in seconds since 1970. Metadata files can contain any number, also one that the clock
/// does not have, whose conversion would be undefined. Such a time becomes the clock's first or last one.
[[nodiscard]] inline std::chrono::system_clock::time_point time_of(double seconds) noexcept {
    using clock = std::chrono::system_clock;
    using real_seconds = std::chrono::duration<double>;
    const real_seconds since_1970(seconds);
    if (since_1970 <= real_seconds(clock::duration::min())) {
        return clock::time_point::min();
    }
    if (!(since_1970 < real_seconds(clock::duration::max()))) {
        return clock::time_point::max();
    }
    return clock::time_point(std::chrono::duration_cast<clock::duration>(since_1970));
}

/// Converts a number of C, which is -1 when there is no number.
[[nodiscard]] inline std::optional<std::int64_t> known(std::int64_t number) noexcept {
    return number >= 0 ? std::optional(number) : std::nullopt;
}

template <auto Free>
struct freer {
    template <class T>
    void operator()(T *handle) const noexcept {
        Free(handle);
    }
};

/// What all handles have in common: they own a handle of C and free it.
template <class T, auto Free>
class owner {
public:
    /// Returns the C handle, for functions of sshpm.h. It still belongs to this object.
    [[nodiscard]] T *get() noexcept { return handle_.get(); }
    /// Returns the C handle, for functions of sshpm.h. It still belongs to this object.
    [[nodiscard]] const T *get() const noexcept { return handle_.get(); }

    owner(owner &&) noexcept = default;
    owner &operator=(owner &&) noexcept = default;

protected:
    explicit owner(T *handle) noexcept : handle_(handle) {}
    ~owner() = default;

private:
    std::unique_ptr<T, freer<Free>> handle_;
};

/// Calls a C function that returns a handle through its last parameter.
template <class T, class Call>
[[nodiscard]] T *receive(Call call) {
    T *handle = nullptr;
    check(call(&handle));
    return handle;
}

/// Calls a C function that returns a string through its last parameter, and frees that string. std::nullopt for NULL.
template <class Call>
[[nodiscard]] std::optional<std::string> receive_text(Call call) {
    const std::unique_ptr<char, freer<sshpm_string_free>> text(receive<char>(std::move(call)));
    return text ? std::optional<std::string>(text.get()) : std::nullopt;
}

/// Calls a C function that returns a list of strings through its last parameter, and frees that list.
template <class Call>
[[nodiscard]] std::vector<std::string> receive_texts(Call call) {
    const std::unique_ptr<sshpm_string_list, freer<sshpm_string_list_free>> list(
        receive<sshpm_string_list>(std::move(call)));
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < sshpm_string_list_count(list.get()); i++) {
        texts.emplace_back(sshpm_string_list_get(list.get(), i));
    }
    return texts;
}

/// Calls a C function that returns a plain value through its last parameter.
template <class T, class Call>
[[nodiscard]] T receive_value(Call call) {
    T value{};
    check(call(&value));
    return value;
}

/// Strings in the form that the C functions accept. They must live as long as this object.
class c_texts {
public:
    explicit c_texts(const std::vector<std::string> &texts) {
        pointers_.reserve(texts.size());
        for (const std::string &text : texts) {
            check_text(text);
            pointers_.push_back(text.c_str());
        }
    }
    explicit c_texts(std::vector<std::string> &&) = delete;
    [[nodiscard]] const char *const *data() const noexcept { return pointers_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return pointers_.size(); }

private:
    std::vector<const char *> pointers_;
};

/// Timeouts in the form that the C functions accept: one for each process, or NULL when there are none.
class c_timeouts {
public:
    c_timeouts(const std::vector<timeout> &timeouts, std::size_t count) {
        if (!timeouts.empty() && timeouts.size() != count) {
            throw error(SSHPM_ERROR_INVALID, std::to_string(timeouts.size()) + " timeouts for " +
                                                 std::to_string(count) +
                                                 " processes: must be one for each process, or none");
        }
        for (const timeout &one : timeouts) {
            seconds_.push_back(one.seconds());
        }
    }
    [[nodiscard]] const double *data() const noexcept { return seconds_.empty() ? nullptr : seconds_.data(); }

private:
    std::vector<double> seconds_;
};

/// Iterates over the elements of a list by their indices.
template <class List>
class index_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = typename List::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = value_type;

    index_iterator() = default;
    index_iterator(const List &list, std::size_t index) noexcept : list_(&list), index_(index) {}
    [[nodiscard]] value_type operator*() const { return (*list_)[index_]; }
    index_iterator &operator++() noexcept {
        ++index_;
        return *this;
    }
    index_iterator operator++(int) noexcept {
        index_iterator former = *this;
        ++index_;
        return former;
    }
    [[nodiscard]] friend bool operator==(const index_iterator &a, const index_iterator &b) noexcept {
        return a.list_ == b.list_ && a.index_ == b.index_;
    }
    [[nodiscard]] friend bool operator!=(const index_iterator &a, const index_iterator &b) noexcept {
        return !(a == b);
    }

private:
    const List *list_ = nullptr;
    std::size_t index_ = 0;
};

/// Takes values from a queue until an outcome has none. Copies of an iterator share its current value.
template <class Queue>
class queue_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = typename Queue::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = value_type *;
    using reference = value_type &;

    queue_iterator() = default;
    queue_iterator(const typename Queue::handle_type *queue, timeout wait)
        : place_(std::make_shared<place>(place{queue, wait, Queue::take(queue, wait)})) {
        end_without_value();
    }
    [[nodiscard]] reference operator*() const noexcept { return *place_->current; }
    [[nodiscard]] pointer operator->() const noexcept { return &*place_->current; }
    queue_iterator &operator++() {
        place_->current = Queue::take(place_->queue, place_->wait);
        end_without_value();
        return *this;
    }
    void operator++(int) { ++*this; }
    [[nodiscard]] friend bool operator==(const queue_iterator &a, const queue_iterator &b) noexcept {
        return a.place_ == b.place_;
    }
    [[nodiscard]] friend bool operator!=(const queue_iterator &a, const queue_iterator &b) noexcept {
        return !(a == b);
    }

private:
    struct place {
        const typename Queue::handle_type *queue;
        timeout wait;
        outcome<value_type> current;
    };

    void end_without_value() noexcept {
        if (!place_->current) {
            place_.reset();
        }
    }

    std::shared_ptr<place> place_;
};

/// A range over a queue with a timeout.
template <class Queue>
class queue_range {
public:
    queue_range(const typename Queue::handle_type *queue, timeout wait) noexcept : queue_(queue), wait_(wait) {}
    [[nodiscard]] queue_iterator<Queue> begin() const { return {queue_, wait_}; }
    [[nodiscard]] queue_iterator<Queue> end() const noexcept { return {}; }

private:
    const typename Queue::handle_type *queue_;
    timeout wait_;
};

/// The functions of sshpm_exit_status, for the class that owns one and the class that does not.
template <class Self>
class exit_status_functions {
public:
    /// Returns the start number of the process; 0 for a found process, which belongs to no start of this manager.
    [[nodiscard]] std::uint64_t get_start_number() const noexcept { return sshpm_exit_status_get_start_number(self()); }
    /// Returns who ended the process, or who observed that it ended.
    [[nodiscard]] exit_source get_source() const noexcept { return exit_source{sshpm_exit_status_get_source(self())}; }
    /// Returns the name of the exit source, for logs.
    [[nodiscard]] std::string_view get_source_name() const noexcept {
        return view(sshpm_exit_status_get_source_name(self()));
    }
    /// Returns the code as it was observed; std::nullopt when no code was observed.
    [[nodiscard]] std::optional<std::int32_t> get_raw_code() const { return code(sshpm_exit_status_get_raw_code); }
    /// Returns the code to show and to judge by; std::nullopt when there is no such code.
    [[nodiscard]] std::optional<std::int32_t> get_code() const { return code(sshpm_exit_status_get_code); }
    /// Returns the application's own code, whatever the exit source is; std::nullopt when it is not known.
    [[nodiscard]] std::optional<std::int32_t> get_application_code() const {
        return code(sshpm_exit_status_get_application_code);
    }
    /// Returns the number of the signal that ended the application; 0 when no signal ended it.
    [[nodiscard]] std::int32_t get_signal() const noexcept { return sshpm_exit_status_get_signal(self()); }
    /// Returns whether the application dumped core because of the signal.
    [[nodiscard]] bool core_dumped() const noexcept { return sshpm_exit_status_core_dumped(self()); }
    /// Returns whether the application left members of its process group behind.
    [[nodiscard]] bool left_over() const noexcept { return sshpm_exit_status_left_over(self()); }
    /// Returns the time at which the application ended; std::nullopt when it is not known.
    [[nodiscard]] std::optional<std::chrono::system_clock::time_point> get_ended_at() const {
        double seconds = 0;
        const sshpm_result result = sshpm_exit_status_get_ended_at(self(), &seconds);
        if (result == SSHPM_ERROR_NO_END_TIME) {
            return std::nullopt;
        }
        check(result);
        return time_of(seconds);
    }
    /// Returns the pids, on the host, of processes that the application started and that could not be ended with it.
    [[nodiscard]] std::vector<std::int64_t> get_strays() const {
        std::vector<std::int64_t> pids;
        for (std::size_t i = 0; i < sshpm_exit_status_strays_count(self()); i++) {
            pids.push_back(sshpm_exit_status_get_stray(self(), i));
        }
        return pids;
    }
    /// Returns whether the link was lost before the exit was known.
    [[nodiscard]] bool link_lost() const noexcept { return sshpm_exit_status_link_lost(self()); }
    /// Returns whether the exit could not be determined.
    [[nodiscard]] bool is_unknown() const noexcept { return sshpm_exit_status_is_unknown(self()); }
    /// Returns the line for the log.
    [[nodiscard]] std::string_view get_message() const noexcept { return view(sshpm_exit_status_get_message(self())); }
    /// Returns what the exit means, as a clause.
    [[nodiscard]] std::string_view get_sentence() const noexcept {
        return view(sshpm_exit_status_get_sentence(self()));
    }

private:
    [[nodiscard]] const sshpm_exit_status *self() const noexcept { return static_cast<const Self &>(*this).get(); }

    template <class Function>
    [[nodiscard]] std::optional<std::int32_t> code(Function function) const {
        std::int32_t value = 0;
        const sshpm_result result = function(self(), &value);
        if (result == SSHPM_ERROR_NO_EXIT_CODE) {
            return std::nullopt;
        }
        check(result);
        return value;
    }
};

/// The functions of sshpm_boot_request that change nothing, for the class that owns one and the class that does not.
template <class Self>
class boot_request_functions {
public:
    /// Checks all values, as sshpm::manager::start_process does. Throws if a value is not valid.
    void check() const { detail::check(sshpm_boot_request_check(self())); }
    /// Returns the host, as the caller set it.
    [[nodiscard]] std::string get_host() const { return text(sshpm_boot_request_get_host).value_or(""); }
    /// Returns the remote user, as the caller set it; std::nullopt when none was set.
    [[nodiscard]] std::optional<std::string> get_user() const { return text(sshpm_boot_request_get_user); }
    /// Returns the name of the process, as the caller set it.
    [[nodiscard]] std::string get_name() const { return text(sshpm_boot_request_get_name).value_or(""); }
    /// Returns the session, as the caller set it.
    [[nodiscard]] std::string get_session() const { return text(sshpm_boot_request_get_session).value_or(""); }
    /// Returns the name of the role.
    [[nodiscard]] std::string get_role() const { return text(sshpm_boot_request_get_role).value_or(""); }

private:
    [[nodiscard]] const sshpm_boot_request *self() const noexcept { return static_cast<const Self &>(*this).get(); }

    template <class Function>
    [[nodiscard]] std::optional<std::string> text(Function function) const {
        return receive_text([&](char **out) { return function(self(), out); });
    }
};

/// The functions of sshpm_host_info, for the class that owns one and the class that does not.
template <class Self>
class host_info_functions {
public:
    /// Returns the time between sending a line over the open connection and reading the answer.
    [[nodiscard]] std::chrono::duration<double> get_round_trip() const noexcept {
        return std::chrono::duration<double>(sshpm_host_info_get_round_trip(self()));
    }
    /// Returns the name of the user on the host.
    [[nodiscard]] std::string_view get_user() const noexcept { return view(sshpm_host_info_get_user(self())); }
    /// Returns the user's login shell; "" when the host does not report it.
    [[nodiscard]] std::string_view get_login_shell() const noexcept {
        return view(sshpm_host_info_get_login_shell(self()));
    }
    /// Returns which shell the host's /bin/sh is.
    [[nodiscard]] std::string_view get_sh() const noexcept { return view(sshpm_host_info_get_sh(self())); }
    /// Returns the name and the release of the kernel.
    [[nodiscard]] std::string_view get_kernel() const noexcept { return view(sshpm_host_info_get_kernel(self())); }
    /// Returns the directory where runtime directories are made; std::nullopt when the user can write none.
    [[nodiscard]] std::optional<std::string_view> get_runtime_directory() const noexcept {
        const char *path = sshpm_host_info_get_runtime_directory(self());
        return path != nullptr ? std::optional<std::string_view>(path) : std::nullopt;
    }
    /// Returns the free space of the runtime directory in bytes; std::nullopt when it is not known.
    [[nodiscard]] std::optional<std::int64_t> get_free_bytes() const noexcept {
        return known(sshpm_host_info_get_free_bytes(self()));
    }
    /// Returns whether the host ends a user's processes at logout, also kept processes.
    [[nodiscard]] bool ends_user_processes() const noexcept { return sshpm_host_info_ends_user_processes(self()); }

private:
    [[nodiscard]] const sshpm_host_info *self() const noexcept { return static_cast<const Self &>(*this).get(); }
};

/// The functions of sshpm_metadata, for the class that owns them and the class that does not.
template <class Self>
class metadata_functions {
public:
    /// Returns the application's pid on its host.
    [[nodiscard]] std::int64_t get_pid() const noexcept { return sshpm_metadata_get_pid(self()); }
    /// Returns when the process was started, by the clock of its manager.
    [[nodiscard]] std::chrono::system_clock::time_point get_started_at() const noexcept {
        return time_of(sshpm_metadata_get_started_at(self()));
    }
    /// Returns the host, as the boot request named it.
    [[nodiscard]] std::string_view get_hostname() const noexcept {
        return view(sshpm_metadata_get_hostname(self()));
    }
    /// Returns the user.
    [[nodiscard]] std::string_view get_user() const noexcept { return view(sshpm_metadata_get_user(self())); }
    /// Returns the place of the process in its session's tree.
    [[nodiscard]] std::string_view get_tree_id() const noexcept {
        return view(sshpm_metadata_get_tree_id(self()));
    }
    /// Returns the role of the process.
    [[nodiscard]] std::string_view get_role() const noexcept { return view(sshpm_metadata_get_role(self())); }
    /// Returns the name of the process.
    [[nodiscard]] std::string_view get_name() const noexcept { return view(sshpm_metadata_get_name(self())); }
    /// Returns the session that the process belongs to.
    [[nodiscard]] std::string_view get_session() const noexcept {
        return view(sshpm_metadata_get_session(self()));
    }
    /// Returns the start time of the process in the form that the host's kernel uses.
    [[nodiscard]] std::string_view get_start_time() const noexcept {
        return view(sshpm_metadata_get_start_time(self()));
    }
    /// Returns the id of the boot of the host during which the process was started.
    [[nodiscard]] std::string_view get_boot_id() const noexcept {
        return view(sshpm_metadata_get_boot_id(self()));
    }
    /// Returns what happens to the process when its link or its manager has gone.
    [[nodiscard]] link_loss get_link_loss() const noexcept { return link_loss{sshpm_metadata_get_link_loss(self())}; }
    /// Returns the log file; std::nullopt when the process has none.
    [[nodiscard]] std::optional<std::string_view> get_log_file() const noexcept {
        const char *file = sshpm_metadata_get_log_file(self());
        return file != nullptr ? std::optional<std::string_view>(file) : std::nullopt;
    }
    /// Returns how long the process may live after the SIGHUP that a lost link causes.
    [[nodiscard]] std::chrono::duration<double> get_grace() const noexcept {
        return std::chrono::duration<double>(sshpm_metadata_get_grace(self()));
    }

private:
    [[nodiscard]] const sshpm_metadata *self() const noexcept { return static_cast<const Self &>(*this).get(); }
};

} // namespace detail

/// Returns the version of the library that the program runs with. SSHPM_VERSION is the version of the header.
[[nodiscard]] inline std::string_view version() noexcept {
    return sshpm_version();
}

/// Returns the role that follows from the place of a process in its session's tree.
[[nodiscard]] inline std::string role_from_tree_id(const input_text &tree_id, bool controller) {
    return detail::receive_text([&](char **out) { return sshpm_role_from_tree_id(tree_id.c_str(), controller, out); })
        .value_or("");
}

/// Returns the number of a signal on this machine.
[[nodiscard]] inline std::int32_t signal_from_name(const input_text &name) {
    return detail::receive_value<std::int32_t>(
        [&](std::int32_t *out) { return sshpm_signal_from_name(name.c_str(), out); });
}

/// Returns the name of a signal, without SIG, or its number when POSIX has no name for it.
[[nodiscard]] inline std::string signal_to_name(std::int32_t signal) {
    return detail::receive_text([&](char **out) { return sshpm_signal_to_name(signal, out); }).value_or("");
}

/// Returns the path of a process' metadata file, in the form that a shell on its host would read.
[[nodiscard]] inline std::string metadata_file_path(const input_text &uuid) {
    return detail::receive_text([&](char **out) { return sshpm_metadata_file_path(uuid.c_str(), out); }).value_or("");
}

/// Receives one message of the log: its level, the part of the library that wrote it, and its text. The texts are valid
/// until the function returns. It is called on any thread, also on several at the same time, and must not call
/// functions that block. What it throws is dropped.
using log_function = std::function<void(log_level level, std::string_view target, std::string_view message)>;

namespace detail {

/// Holds the function that receives the log. Each call that runs shares it, because the function can set another one.
class log_slot {
public:
    [[nodiscard]] static log_slot &instance() {
        static log_slot slot;
        return slot;
    }

    log_slot(const log_slot &) = delete;
    log_slot &operator=(const log_slot &) = delete;

    [[nodiscard]] std::shared_ptr<const log_function> exchange(std::shared_ptr<const log_function> function) {
        const std::lock_guard lock(mutex_);
        return std::exchange(function_, std::move(function));
    }

    static void call(std::int32_t level, const char *target, const char *message, void *slot) noexcept {
        try {
            if (const auto function = static_cast<log_slot *>(slot)->current()) {
                (*function)(log_level{level}, view(target), view(message));
            }
        } catch (...) {
            // Nobody is left to report this to.
        }
    }

private:
    log_slot() = default;
    // Runs at the end of the program, before the destruction of objects that were made before the function was set.
    ~log_slot() { static_cast<void>(sshpm_set_log_callback(SSHPM_LOG_OFF, nullptr, nullptr)); }

    [[nodiscard]] std::shared_ptr<const log_function> current() {
        const std::lock_guard lock(mutex_);
        return function_;
    }

    std::mutex mutex_;
    std::shared_ptr<const log_function> function_;
};

} // namespace detail

/// Sets the function that receives the library's log. An empty function turns the log off, and so does the end of the
/// program. One thread at a time may call this; destructors of static objects must not. The log function may replace
/// itself by this call: it then runs to its end, and is not called again.
inline void set_log_callback(log_level level, log_function function) {
    auto &slot = detail::log_slot::instance();
    const bool on = static_cast<bool>(function);
    auto former = slot.exchange(on ? std::make_shared<const log_function>(std::move(function)) : nullptr);
    const sshpm_result result =
        sshpm_set_log_callback(static_cast<std::int32_t>(level), on ? detail::log_slot::call : nullptr, &slot);
    if (result != SSHPM_OK) {
        const error failure(result, sshpm_last_error_message());
        former = slot.exchange(std::move(former));
        throw failure;
    }
}

/// A copy of some bytes, such as the last part of what an application wrote.
class buffer : public detail::owner<sshpm_buffer, sshpm_buffer_free> {
public:
    /// Takes ownership of a handle of C.
    explicit buffer(sshpm_buffer *handle) noexcept : owner(handle) {}

    /// Returns the bytes, which belong to this buffer. A NUL byte follows them.
    [[nodiscard]] const char *data() const noexcept { return sshpm_buffer_data(get()); }
    /// Returns the number of bytes, without the NUL byte that follows them.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_buffer_size(get()); }
    /// Returns how many bytes the application wrote before these. The library dropped them.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return sshpm_buffer_dropped(get()); }
    /// Returns the bytes, which belong to this buffer.
    [[nodiscard]] std::string_view view() const noexcept {
        return size() > 0 ? std::string_view(data(), size()) : std::string_view();
    }
};

/// How a process ended: a view of a status that belongs to another object, which must live longer.
class exit_status_view : public detail::exit_status_functions<exit_status_view> {
public:
    /// Makes a view of a handle of C.
    explicit exit_status_view(const sshpm_exit_status *handle) noexcept : handle_(handle) {}
    /// Returns the C handle.
    [[nodiscard]] const sshpm_exit_status *get() const noexcept { return handle_; }

private:
    const sshpm_exit_status *handle_;
};

/// How a process ended.
class exit_status : public detail::owner<sshpm_exit_status, sshpm_exit_status_free>,
                    public detail::exit_status_functions<exit_status> {
public:
    /// Takes ownership of a handle of C.
    explicit exit_status(sshpm_exit_status *handle) noexcept : owner(handle) {}
    /// Returns a view, which is valid as long as this object lives.
    operator exit_status_view() const noexcept { return exit_status_view(get()); }
};

/// How sshpm obtains the shell that starts and supervises a process. Options and requests copy it.
class launcher : public detail::owner<sshpm_launcher, sshpm_launcher_free> {
public:
    /// Takes ownership of a handle of C.
    explicit launcher(sshpm_launcher *handle) noexcept : owner(handle) {}

    /// Makes a launcher that uses the system's ssh.
    [[nodiscard]] static launcher ssh() { return launcher(detail::receive<sshpm_launcher>(sshpm_launcher_new_ssh)); }
    /// Makes a launcher that runs a shell on this machine.
    [[nodiscard]] static launcher local() {
        return launcher(detail::receive<sshpm_launcher>(sshpm_launcher_new_local));
    }
    /// Makes a launcher that runs a command, which executes what is appended to it: `docker exec -i {host}`.
    [[nodiscard]] static launcher command(const std::vector<std::string> &argv) {
        const detail::c_texts c_argv(argv);
        return launcher(detail::receive<sshpm_launcher>([&](sshpm_launcher **out) {
            return sshpm_launcher_new_command(c_argv.data(), c_argv.size(), out);
        }));
    }
    /// Makes a launcher that starts steps of a Slurm job. std::nullopt: the job that this program runs in.
    [[nodiscard]] static launcher slurm(const optional_input_text &job = {}) {
        return launcher(detail::receive<sshpm_launcher>(
            [&](sshpm_launcher **out) { return sshpm_launcher_new_slurm(job.c_str(), out); }));
    }

    /// Sets the srun program. Only for a launcher of slurm().
    launcher &set_srun_program(const input_text &program) {
        return set(sshpm_launcher_set_srun_program(get(), program.c_str()));
    }
    /// Adds an option of srun(1), "--name=value" or "--name". Only for a launcher of slurm().
    launcher &add_srun_option(const input_text &option) {
        return set(sshpm_launcher_add_srun_option(get(), option.c_str()));
    }

    /// Returns the nodes of the job, which are the hosts for its processes. Only for a launcher of slurm().
    [[nodiscard]] std::vector<std::string> get_hosts() const {
        return detail::receive_texts([&](sshpm_string_list **out) { return sshpm_launcher_get_hosts(get(), out); });
    }

private:
    launcher &set(sshpm_result result) {
        detail::check(result);
        return *this;
    }
};

/// The options of a manager.
class options : public detail::owner<sshpm_options, sshpm_options_free> {
public:
    /// Makes options that have the defaults.
    options() : owner(detail::receive<sshpm_options>(sshpm_options_new)) {}
    /// Takes ownership of a handle of C.
    explicit options(sshpm_options *handle) noexcept : owner(handle) {}

    /// Sets the launcher for all processes and calls that have no launcher of their own.
    options &set_launcher(const launcher &launcher) { return set(sshpm_options_set_launcher(get(), launcher.get())); }
    /// Sets the launcher of one host.
    options &set_host_launcher(const input_text &host, const launcher &launcher) {
        return set(sshpm_options_set_host_launcher(get(), host.c_str(), launcher.get()));
    }
    /// Sets the ssh program.
    options &set_ssh_program(const input_text &program) {
        return set(sshpm_options_set_ssh_program(get(), program.c_str()));
    }
    /// Sets the file for `ssh -F`. std::nullopt: ssh's own two files.
    options &set_ssh_config(const optional_input_text &file) {
        return set(sshpm_options_set_ssh_config(get(), file.c_str()));
    }
    /// Adds an option of ssh_config(5): "Keyword=value".
    options &add_ssh_option(const input_text &option) {
        return set(sshpm_options_add_ssh_option(get(), option.c_str()));
    }
    /// Sets how long a host may take to answer.
    options &set_connect_timeout(timeout time) { return set(sshpm_options_set_connect_timeout(get(), time.seconds())); }
    /// Sets how long to query the host about a lost process before its exit is reported as unknown.
    options &set_lost_timeout(timeout time) { return set(sshpm_options_set_lost_timeout(get(), time.seconds())); }
    /// Sets how long the manager tries to restore the link to a kept process.
    options &set_restore_timeout(timeout time) { return set(sshpm_options_set_restore_timeout(get(), time.seconds())); }
    /// Sets whether processes of the same user and host share connections.
    options &set_share_connections(bool share) { return set(sshpm_options_set_share_connections(get(), share)); }
    /// Sets whether each process on a shared connection has an ssh client of its own.
    options &set_ssh_client_per_process(bool client) {
        return set(sshpm_options_set_ssh_client_per_process(get(), client));
    }
    /// Sets whether the manager raises the soft limit of open files to the hard limit.
    options &set_raise_descriptor_limit(bool raise) {
        return set(sshpm_options_set_raise_descriptor_limit(get(), raise));
    }
    /// Sets how long the remote side of a connection goes on when it hears nothing from the manager.
    options &set_lease(timeout time) { return set(sshpm_options_set_lease(get(), time.seconds())); }
    /// Sets how strictly ssh checks the keys of hosts.
    options &set_host_key_policy(host_key_policy policy) {
        return set(sshpm_options_set_host_key_policy(get(), static_cast<std::int32_t>(policy)));
    }
    /// Sets a known_hosts file. std::nullopt: the user's file.
    options &set_known_hosts_file(const optional_input_text &file) {
        return set(sshpm_options_set_known_hosts_file(get(), file.c_str()));
    }
    /// Sets how many of the last bytes of each stream the manager keeps for a process that has no log file.
    options &set_output_limit(std::size_t bytes) { return set(sshpm_options_set_output_limit(get(), bytes)); }
    /// Removes all steps from the kill sequence.
    options &clear_kill_sequence() { return set(sshpm_options_clear_kill_sequence(get())); }
    /// Adds a step to the kill sequence.
    options &add_kill_step(std::int32_t signal, kill_scope scope, timeout wait = {}) {
        return set(sshpm_options_add_kill_step(get(), signal, static_cast<std::int32_t>(scope), wait.seconds()));
    }
    /// Sets the order in which roles are ended.
    options &set_shutdown_order(const std::vector<std::string> &roles) {
        const detail::c_texts c_roles(roles);
        return set(sshpm_options_set_shutdown_order(get(), c_roles.data(), c_roles.size()));
    }

private:
    options &set(sshpm_result result) {
        detail::check(result);
        return *this;
    }
};

/// What to run, where, and as which user: a view of a request that belongs to another object, which must live longer.
class boot_request_view : public detail::boot_request_functions<boot_request_view> {
public:
    /// Makes a view of a handle of C.
    explicit boot_request_view(const sshpm_boot_request *handle) noexcept : handle_(handle) {}
    /// Returns the C handle.
    [[nodiscard]] const sshpm_boot_request *get() const noexcept { return handle_; }

private:
    const sshpm_boot_request *handle_;
};

/// What to run, where, and as which user. Everything is taken literally: only the setup lines are shell code.
class boot_request : public detail::owner<sshpm_boot_request, sshpm_boot_request_free>,
                     public detail::boot_request_functions<boot_request> {
public:
    /// Makes a request to run a program, which is the first of `argv`, with its arguments on a host.
    boot_request(const input_text &host, const std::vector<std::string> &argv) : owner(make(host, argv)) {}
    /// Takes ownership of a handle of C.
    explicit boot_request(sshpm_boot_request *handle) noexcept : owner(handle) {}

    /// Reads a request from a JSON object.
    [[nodiscard]] static boot_request from_json(const input_text &json) {
        return boot_request(detail::receive<sshpm_boot_request>(
            [&](sshpm_boot_request **out) { return sshpm_boot_request_from_json(json.c_str(), out); }));
    }

    /// Returns a view, which is valid as long as this object lives.
    operator boot_request_view() const noexcept { return boot_request_view(get()); }

    /// Sets how sshpm obtains the shell of the process.
    boot_request &set_launcher(const launcher &launcher) {
        return set(sshpm_boot_request_set_launcher(get(), launcher.get()));
    }
    /// Sets the remote user. std::nullopt: ssh's choice.
    boot_request &set_user(const optional_input_text &user) {
        return set(sshpm_boot_request_set_user(get(), user.c_str()));
    }
    /// Sets the name by which people know the process.
    boot_request &set_name(const input_text &name) {
        return set(sshpm_boot_request_set_name(get(), name.c_str()));
    }
    /// Sets the session that the process belongs to.
    boot_request &set_session(const input_text &session) {
        return set(sshpm_boot_request_set_session(get(), session.c_str()));
    }
    /// Sets the place of the process in the session's tree.
    boot_request &set_tree_id(const input_text &tree_id) {
        return set(sshpm_boot_request_set_tree_id(get(), tree_id.c_str()));
    }
    /// Sets the role, which decides when a shutdown ends the process, and when the boot of a session starts it.
    boot_request &set_role(const input_text &role) {
        return set(sshpm_boot_request_set_role(get(), role.c_str()));
    }
    /// Sets whether the boot of a session needs the process.
    boot_request &set_critical(bool critical) { return set(sshpm_boot_request_set_critical(get(), critical)); }
    /// Adds a line of shell code that runs before the program.
    boot_request &add_setup_line(const input_text &line) {
        return set(sshpm_boot_request_add_setup_line(get(), line.c_str()));
    }
    /// Sets the shell for the setup lines. std::nullopt: bash if the host has it, or else sh.
    boot_request &set_setup_shell(const optional_input_text &shell) {
        return set(sshpm_boot_request_set_setup_shell(get(), shell.c_str()));
    }
    /// Sets a variable of the application's environment.
    boot_request &set_environment(const input_text &name, const input_text &value) {
        return set(sshpm_boot_request_set_environment(get(), name.c_str(), value.c_str()));
    }
    /// Sets the working directory. std::nullopt: the login directory, or the one that the setup lines change to.
    boot_request &set_working_directory(const optional_input_text &directory) {
        return set(sshpm_boot_request_set_working_directory(get(), directory.c_str()));
    }
    /// Sets the file mode creation mask.
    boot_request &set_umask(std::uint32_t mask) { return set(sshpm_boot_request_set_umask(get(), mask)); }
    /// Sets a resource limit of the application, which can be SSHPM_UNLIMITED.
    boot_request &set_limit(const input_text &name, std::uint64_t value) {
        return set(sshpm_boot_request_set_limit(get(), name.c_str(), value));
    }
    /// Sets the remote file for stdout and stderr. std::nullopt: no file.
    boot_request &set_log_file(const optional_input_text &file) {
        return set(sshpm_boot_request_set_log_file(get(), file.c_str()));
    }
    /// Sets what a start does with an existing log file.
    boot_request &set_log_mode(log_mode mode) {
        return set(sshpm_boot_request_set_log_mode(get(), static_cast<std::int32_t>(mode)));
    }
    /// Sets the limit for each of two parts of a start: the wait for a connection, and the time from then until the
    /// program runs.
    boot_request &set_start_timeout(timeout time) {
        return set(sshpm_boot_request_set_start_timeout(get(), time.seconds()));
    }
    /// Makes the process count as ready when it writes a line to the descriptor that SSHPM_NOTIFY_FD names.
    boot_request &set_ready_notify() { return set(sshpm_boot_request_set_ready_notify(get())); }
    /// Makes the process count as ready when something listens on this TCP port of its host.
    boot_request &set_ready_port(std::uint16_t port) { return set(sshpm_boot_request_set_ready_port(get(), port)); }
    /// Makes the process count as ready when this text stands in a line of its output. std::nullopt: when it runs.
    boot_request &set_ready_output(const optional_input_text &text) {
        return set(sshpm_boot_request_set_ready_output(get(), text.c_str()));
    }
    /// Sets how long the application may take from the execution of its program until it is ready. The default is the
    /// start timeout.
    boot_request &set_ready_timeout(timeout time) {
        return set(sshpm_boot_request_set_ready_timeout(get(), time.seconds()));
    }
    /// Sets after which ends the manager starts the process again. The default is restart::never.
    boot_request &set_restart(restart policy) {
        return set(sshpm_boot_request_set_restart(get(), static_cast<std::int32_t>(policy)));
    }
    /// Sets how many restarts by the policy there are at most within some time. The default is 5 within 30 minutes.
    boot_request &set_restart_limit(std::uint32_t limit, timeout within = {}) {
        return set(sshpm_boot_request_set_restart_limit(get(), limit, within.seconds()));
    }
    /// Sets the pause before the first restart, which each restart doubles, and the longest pause. The defaults are 1 s
    /// and 30 s.
    boot_request &set_restart_pauses(timeout first, timeout longest = {}) {
        return set(sshpm_boot_request_set_restart_pauses(get(), first.seconds(), longest.seconds()));
    }
    /// Sets what happens to the process when the link or the manager has gone.
    boot_request &set_link_loss(link_loss policy) {
        return set(sshpm_boot_request_set_link_loss(get(), static_cast<std::int32_t>(policy)));
    }
    /// Sets how long the process may live after the SIGHUP that it gets when its link or its manager has gone, or when
    /// its start is cancelled.
    boot_request &set_grace(timeout time) { return set(sshpm_boot_request_set_grace(get(), time.seconds())); }
    /// Sets whether processes that the application started and that left its process group are ended with it.
    boot_request &set_kill_tree(bool kill_tree) { return set(sshpm_boot_request_set_kill_tree(get(), kill_tree)); }

private:
    [[nodiscard]] static sshpm_boot_request *make(const input_text &host, const std::vector<std::string> &argv) {
        const detail::c_texts c_argv(argv);
        return detail::receive<sshpm_boot_request>([&](sshpm_boot_request **out) {
            return sshpm_boot_request_new(host.c_str(), c_argv.data(), c_argv.size(), out);
        });
    }

    boot_request &set(sshpm_result result) {
        detail::check(result);
        return *this;
    }
};

/// Boot requests that were read from one JSON array.
class boot_request_list : public detail::owner<sshpm_boot_request_list, sshpm_boot_request_list_free> {
public:
    using value_type = boot_request_view;                             ///< An element.
    using const_iterator = detail::index_iterator<boot_request_list>; ///< Iterates over the elements.

    /// Takes ownership of a handle of C.
    explicit boot_request_list(sshpm_boot_request_list *handle) noexcept : owner(handle) {}

    /// Reads a JSON array of requests. sshpm::session::from_json also reads defaults, uuids and the options of a boot.
    [[nodiscard]] static boot_request_list from_json(const input_text &json) {
        return boot_request_list(detail::receive<sshpm_boot_request_list>(
            [&](sshpm_boot_request_list **out) { return sshpm_boot_request_list_from_json(json.c_str(), out); }));
    }

    /// Returns the number of requests.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_boot_request_list_count(get()); }
    /// Returns one request, which belongs to the list. When the index is not below the size, there is no such request,
    /// and the functions of the view throw.
    [[nodiscard]] boot_request_view operator[](std::size_t index) const noexcept {
        return boot_request_view(sshpm_boot_request_list_get(get(), index));
    }
    /// Returns an iterator to the first request.
    [[nodiscard]] const_iterator begin() const noexcept { return {*this, 0}; }
    /// Returns the iterator behind the last request.
    [[nodiscard]] const_iterator end() const noexcept { return {*this, size()}; }
};

/// The processes that boot together, and how they boot. sshpm::manager::start_session boots them.
class session : public detail::owner<sshpm_session, sshpm_session_free> {
public:
    /// Makes a session without processes.
    session()
        : owner(detail::receive<sshpm_session>([](sshpm_session **out) { return sshpm_session_new(out); })) {}
    /// Takes ownership of a handle of C.
    explicit session(sshpm_session *handle) noexcept : owner(handle) {}

    /// Reads a session from JSON: an object with processes, defaults and options, or an array of requests.
    [[nodiscard]] static session from_json(const input_text &json) {
        return session(detail::receive<sshpm_session>(
            [&](sshpm_session **out) { return sshpm_session_from_json(json.c_str(), out); }));
    }

    /// Adds a process.
    session &add_process(const input_text &uuid, boot_request_view request) {
        return set(sshpm_session_add_process(get(), uuid.c_str(), request.get()));
    }
    /// Sets the order in which the boot starts roles, one stage for each role.
    session &set_order(const std::vector<std::string> &roles) {
        const detail::c_texts c_roles(roles);
        return set(sshpm_session_set_order(get(), c_roles.data(), c_roles.size()));
    }
    /// Sets how many processes of a role are enough.
    session &set_minimum(const input_text &role, std::size_t processes) {
        return set(sshpm_session_set_minimum(get(), role.c_str(), processes));
    }
    /// Sets what the boot does when a stage has failed.
    session &set_on_failure(on_failure action) {
        return set(sshpm_session_set_on_failure(get(), static_cast<std::int32_t>(action)));
    }
    /// Sets how long all stages together may take.
    session &set_timeout(timeout time) { return set(sshpm_session_set_timeout(get(), time.seconds())); }

    /// Checks all values. Throws SSHPM_ERROR_INVALID.
    void check() const { detail::check(sshpm_session_check(get())); }

    /// Returns the number of processes.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_session_count(get()); }
    /// Returns the uuid of one process; empty when the index is not below the size.
    [[nodiscard]] std::string_view get_uuid(std::size_t index) const noexcept {
        return detail::view(sshpm_session_get_uuid(get(), index));
    }
    /// Returns the request of one process, which belongs to the session. When the index is not below the size, there is
    /// no such request, and the functions of the view throw.
    [[nodiscard]] boot_request_view get_request(std::size_t index) const noexcept {
        return boot_request_view(sshpm_session_get_request(get(), index));
    }

private:
    session &set(sshpm_result result) {
        detail::check(result);
        return *this;
    }
};

/// The result of a kill for one process: a view of the results, which must live longer.
class kill_result {
public:
    /// Makes a view of one element of results of C.
    kill_result(const sshpm_kill_results *results, std::size_t index) noexcept : results_(results), index_(index) {}

    /// Returns the uuid of the process.
    [[nodiscard]] std::string_view get_uuid() const noexcept {
        return detail::view(sshpm_kill_results_get_uuid(results_, index_));
    }
    /// Returns SSHPM_OK if the process has ended and there is a status, or else the code that says why not.
    [[nodiscard]] sshpm_result get_result() const noexcept { return sshpm_kill_results_get_result(results_, index_); }
    /// Returns how the process ended; std::nullopt when there is no status.
    [[nodiscard]] std::optional<exit_status_view> get_status() const noexcept {
        const sshpm_exit_status *status = sshpm_kill_results_get_status(results_, index_);
        return status != nullptr ? std::optional<exit_status_view>(status) : std::nullopt;
    }
    /// Returns the line for the log.
    [[nodiscard]] std::string_view get_message() const noexcept {
        return detail::view(sshpm_kill_results_get_message(results_, index_));
    }

private:
    const sshpm_kill_results *results_;
    std::size_t index_;
};

/// The results of a kill: one for each process, sorted by uuid, whatever the order in the call was.
class kill_results : public detail::owner<sshpm_kill_results, sshpm_kill_results_free> {
public:
    using value_type = kill_result;                              ///< An element.
    using const_iterator = detail::index_iterator<kill_results>; ///< Iterates over the elements.

    /// Takes ownership of a handle of C.
    explicit kill_results(sshpm_kill_results *handle) noexcept : owner(handle) {}

    /// Returns the number of processes.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_kill_results_count(get()); }
    /// Returns one result. When the index is not below the size, its code is SSHPM_ERROR_INVALID and the rest is empty.
    [[nodiscard]] kill_result operator[](std::size_t index) const noexcept { return {get(), index}; }
    /// Returns an iterator to the first element.
    [[nodiscard]] const_iterator begin() const noexcept { return {*this, 0}; }
    /// Returns the iterator behind the last element.
    [[nodiscard]] const_iterator end() const noexcept { return {*this, size()}; }
};

/// How far a boot brought one process: a view of the results, which must live longer.
class session_result {
public:
    /// Makes a view of one element of results of C.
    session_result(const sshpm_session_results *results, std::size_t index) noexcept
        : results_(results), index_(index) {}

    /// Returns the uuid of the process.
    [[nodiscard]] std::string_view get_uuid() const noexcept {
        return detail::view(sshpm_session_results_get_uuid(results_, index_));
    }
    /// Returns how far the boot brought the process.
    [[nodiscard]] boot_state get_state() const noexcept {
        return static_cast<boot_state>(sshpm_session_results_get_state(results_, index_));
    }
    /// Returns why the process failed or is not ready; SSHPM_OK if neither.
    [[nodiscard]] sshpm_result get_result() const noexcept {
        return sshpm_session_results_get_result(results_, index_);
    }
    /// Returns how the process ended; std::nullopt if it did not.
    [[nodiscard]] std::optional<exit_status_view> get_status() const noexcept {
        const sshpm_exit_status *status = sshpm_session_results_get_status(results_, index_);
        return status != nullptr ? std::optional<exit_status_view>(status) : std::nullopt;
    }
    /// Returns why the process failed or is not ready, or how it ended, as text; empty otherwise.
    [[nodiscard]] std::string_view get_message() const noexcept {
        return detail::view(sshpm_session_results_get_message(results_, index_));
    }

private:
    const sshpm_session_results *results_;
    std::size_t index_;
};

/// The results of the boot of a session: one for each process, sorted by uuid.
class session_results : public detail::owner<sshpm_session_results, sshpm_session_results_free> {
public:
    using value_type = session_result;                              ///< An element.
    using const_iterator = detail::index_iterator<session_results>; ///< Iterates over the elements.

    /// Takes ownership of a handle of C.
    explicit session_results(sshpm_session_results *handle) noexcept : owner(handle) {}

    /// Returns how the boot went.
    [[nodiscard]] session_outcome get_outcome() const noexcept {
        return static_cast<session_outcome>(sshpm_session_results_get_outcome(get()));
    }
    /// Returns the number of the stage, from 1, that was not complete; 0 when the boot is complete.
    [[nodiscard]] std::size_t get_outcome_stage() const noexcept {
        return sshpm_session_results_get_outcome_stage(get());
    }
    /// Returns the process that failed its stage; empty unless the outcome is failed.
    [[nodiscard]] std::string_view get_outcome_uuid() const noexcept {
        return detail::view(sshpm_session_results_get_outcome_uuid(get()));
    }
    /// Returns the line for the log about the outcome.
    [[nodiscard]] std::string_view get_outcome_message() const noexcept {
        return detail::view(sshpm_session_results_get_outcome_message(get()));
    }
    /// Returns how the processes ended that the boot has ended: views of these results.
    [[nodiscard]] std::vector<kill_result> get_ended() const & {
        const sshpm_kill_results *ended = sshpm_session_results_get_ended(get());
        std::vector<kill_result> results;
        for (std::size_t at = 0; at < sshpm_kill_results_count(ended); ++at) {
            results.emplace_back(ended, at);
        }
        return results;
    }
    /// Temporary results would be destroyed before the first view is used.
    std::vector<kill_result> get_ended() const && = delete;

    /// Returns the number of processes.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_session_results_count(get()); }
    /// Returns one result. When the index is not below the size, its code is SSHPM_ERROR_INVALID and the rest is empty.
    [[nodiscard]] session_result operator[](std::size_t index) const noexcept { return {get(), index}; }
    /// Returns an iterator to the first element.
    [[nodiscard]] const_iterator begin() const noexcept { return {*this, 0}; }
    /// Returns the iterator behind the last element.
    [[nodiscard]] const_iterator end() const noexcept { return {*this, size()}; }
};

/// What happened to a process.
class event : public detail::owner<sshpm_event, sshpm_event_free> {
public:
    /// Takes ownership of a handle of C.
    explicit event(sshpm_event *handle) noexcept : owner(handle) {}

    /// Returns what happened.
    [[nodiscard]] event_type get_type() const noexcept { return event_type{sshpm_event_get_type(get())}; }
    /// Returns the uuid of the process.
    [[nodiscard]] std::string_view get_uuid() const noexcept { return detail::view(sshpm_event_get_uuid(get())); }
    /// Returns the start number of the process.
    [[nodiscard]] std::uint64_t get_start_number() const noexcept { return sshpm_event_get_start_number(get()); }
    /// Returns the application's pid on its host, for event_type::started.
    [[nodiscard]] std::optional<std::int64_t> get_pid() const noexcept {
        return detail::known(sshpm_event_get_pid(get()));
    }
    /// Returns how the process ended, for event_type::exited. The status belongs to the event.
    [[nodiscard]] std::optional<exit_status_view> get_status() const noexcept {
        const sshpm_exit_status *status = sshpm_event_get_status(get());
        return status != nullptr ? std::optional<exit_status_view>(status) : std::nullopt;
    }
    /// Returns why the start failed, for event_type::start_failed, or why the link was not restored, for
    /// event_type::link_not_restored; SSHPM_OK for all other events.
    [[nodiscard]] sshpm_result get_error() const noexcept { return sshpm_event_get_error(get()); }
    /// Returns which restart follows, for event_type::restarting; 0 for all other events.
    [[nodiscard]] std::uint32_t get_attempt() const noexcept { return sshpm_event_get_attempt(get()); }
    /// Returns the pause before the restart, for event_type::restarting; 0 for all other events.
    [[nodiscard]] std::chrono::duration<double> get_pause() const noexcept {
        return std::chrono::duration<double>(sshpm_event_get_pause(get()));
    }
    /// Returns the text of the event.
    [[nodiscard]] std::string_view get_message() const noexcept { return detail::view(sshpm_event_get_message(get())); }
};

/// A queue of a manager's events. `for (sshpm::event &event : subscription)` waits for each event, and ends when `wake`
/// ends a wait, or when the manager was freed and no event is left.
class subscription : public detail::owner<sshpm_subscription, sshpm_subscription_free> {
public:
    using handle_type = sshpm_subscription;                ///< The handle of C.
    using value_type = event;                              ///< An element.
    using iterator = detail::queue_iterator<subscription>; ///< Takes the events, one after another.
    using range = detail::queue_range<subscription>;       ///< The events that come within a timeout.

    /// Takes ownership of a handle of C.
    explicit subscription(sshpm_subscription *handle) noexcept : owner(handle) {}

    /// Returns a descriptor for poll(2) and the like, readable while events wait. Do not read from it or close it.
    [[nodiscard]] int get_fd() const noexcept { return sshpm_subscription_get_fd(get()); }
    /// Returns the next event. Blocks at most for the timeout, which is unlimited by default. Without an event the code
    /// is SSHPM_ERROR_NO_EVENT, SSHPM_ERROR_WOKEN or SSHPM_ERROR_SHUT_DOWN.
    [[nodiscard]] outcome<event> next(timeout wait = {}) const { return take(get(), wait); }
    /// Ends the wait of one thread in `next`.
    void wake() const { detail::check(sshpm_subscription_wake(get())); }

    /// Returns an iterator to the next event, for which it waits as `next` does.
    [[nodiscard]] iterator begin() const { return {get(), timeout()}; }
    /// Returns the iterator that stands for no event.
    [[nodiscard]] iterator end() const noexcept { return {}; }
    /// Returns a range of the events, which ends when no event comes within this time. With a time of 0 it contains the
    /// events that already wait, and does not block.
    [[nodiscard]] range within(timeout wait) const & noexcept { return {get(), wait}; }
    /// A temporary subscription would be destroyed before the first event.
    range within(timeout wait) const && = delete;

private:
    friend iterator;

    [[nodiscard]] static outcome<event> take(const sshpm_subscription *handle, timeout wait) {
        sshpm_event *taken = nullptr;
        const sshpm_result result = sshpm_subscription_next(handle, wait.seconds(), &taken);
        if (result == SSHPM_ERROR_NO_EVENT || result == SSHPM_ERROR_WOKEN || result == SSHPM_ERROR_SHUT_DOWN) {
            return outcome<event>(result);
        }
        detail::check(result);
        return event(taken);
    }
};

/// A piece of an application's output.
struct output_piece {
    stream from;  ///< The stream that it was written to.
    buffer bytes; ///< At least one byte; a piece can end in the middle of a line.
};

/// A queue of what an application writes. `for (sshpm::output_piece &piece : output)` waits for each piece, and ends
/// when the process has ended, or when the manager no longer controls it.
class output_subscription : public detail::owner<sshpm_output_subscription, sshpm_output_subscription_free> {
public:
    using handle_type = sshpm_output_subscription;                ///< The handle of C.
    using value_type = output_piece;                              ///< An element.
    using iterator = detail::queue_iterator<output_subscription>; ///< Takes the pieces, one after another.
    using range = detail::queue_range<output_subscription>;       ///< The pieces that come within a timeout.

    /// Takes ownership of a handle of C.
    explicit output_subscription(sshpm_output_subscription *handle) noexcept : owner(handle) {}

    /// Returns the next piece. Blocks at most for the timeout, which is unlimited by default. Without a piece the code
    /// is SSHPM_ERROR_TIMED_OUT or SSHPM_ERROR_END_OF_OUTPUT.
    [[nodiscard]] outcome<output_piece> next(timeout wait = {}) const { return take(get(), wait); }
    /// Returns how many bytes were dropped until now, because the reader was too far behind.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return sshpm_output_subscription_dropped(get()); }

    /// Returns an iterator to the next piece, for which it waits as `next` does.
    [[nodiscard]] iterator begin() const { return {get(), timeout()}; }
    /// Returns the iterator that stands for no piece.
    [[nodiscard]] iterator end() const noexcept { return {}; }
    /// Returns a range of the pieces, which ends when no piece comes within this time. With a time of 0 it contains the
    /// pieces that already wait, and does not block.
    [[nodiscard]] range within(timeout wait) const & noexcept { return {get(), wait}; }
    /// A temporary subscription would be destroyed before the first piece.
    range within(timeout wait) const && = delete;

private:
    friend iterator;

    [[nodiscard]] static outcome<output_piece> take(const sshpm_output_subscription *handle, timeout wait) {
        std::int32_t from = 0;
        sshpm_buffer *piece = nullptr;
        const sshpm_result result = sshpm_output_subscription_next(handle, wait.seconds(), &from, &piece);
        if (result == SSHPM_ERROR_TIMED_OUT || result == SSHPM_ERROR_END_OF_OUTPUT) {
            return outcome<output_piece>(result);
        }
        detail::check(result);
        return output_piece{stream{from}, buffer(piece)};
    }
};

/// A reader that follows a log file on a host as it grows. `for (sshpm::buffer &piece : follower)` goes on until the
/// reading fails, which throws.
class log_follower : public detail::owner<sshpm_log_follower, sshpm_log_follower_free> {
public:
    using handle_type = sshpm_log_follower;                ///< The handle of C.
    using value_type = buffer;                             ///< An element.
    using iterator = detail::queue_iterator<log_follower>; ///< Takes the pieces, one after another.
    using range = detail::queue_range<log_follower>;       ///< The pieces that come within a timeout.

    /// Takes ownership of a handle of C.
    explicit log_follower(sshpm_log_follower *handle) noexcept : owner(handle) {}

    /// Returns the next piece. Blocks at most for the timeout, which is unlimited by default. Without a piece the code
    /// is SSHPM_ERROR_TIMED_OUT.
    [[nodiscard]] outcome<buffer> next(timeout wait = {}) const { return take(get(), wait); }

    /// Returns an iterator to the next piece, for which it waits as `next` does.
    [[nodiscard]] iterator begin() const { return {get(), timeout()}; }
    /// Returns the iterator that stands for no piece.
    [[nodiscard]] iterator end() const noexcept { return {}; }
    /// Returns a range of the pieces, which ends when no piece comes within this time. With a time of 0 it contains the
    /// pieces that already wait, and does not block.
    [[nodiscard]] range within(timeout wait) const & noexcept { return {get(), wait}; }
    /// A temporary follower would be destroyed before the first piece.
    range within(timeout wait) const && = delete;

private:
    friend iterator;

    [[nodiscard]] static outcome<buffer> take(const sshpm_log_follower *handle, timeout wait) {
        sshpm_buffer *piece = nullptr;
        const sshpm_result result = sshpm_log_follower_next(handle, wait.seconds(), &piece);
        if (result == SSHPM_ERROR_TIMED_OUT) {
            return outcome<buffer>(result);
        }
        detail::check(result);
        return buffer(piece);
    }
};

/// The content of a metadata file: a view of metadata that belong to another object, which must live longer.
class metadata_view : public detail::metadata_functions<metadata_view> {
public:
    /// Makes a view of a handle of C.
    explicit metadata_view(const sshpm_metadata *handle) noexcept : handle_(handle) {}
    /// Returns the C handle.
    [[nodiscard]] const sshpm_metadata *get() const noexcept { return handle_; }

private:
    const sshpm_metadata *handle_;
};

/// The content of a metadata file.
class metadata : public detail::owner<sshpm_metadata, sshpm_metadata_free>,
                 public detail::metadata_functions<metadata> {
public:
    /// Takes ownership of a handle of C.
    explicit metadata(sshpm_metadata *handle) noexcept : owner(handle) {}
    /// Reads the content of a metadata file.
    [[nodiscard]] static metadata from_json(const input_text &uuid, const input_text &json) {
        return metadata(detail::receive<sshpm_metadata>(
            [&](sshpm_metadata **out) { return sshpm_metadata_from_json(uuid.c_str(), json.c_str(), out); }));
    }
    /// Returns a view, which is valid as long as this object lives.
    operator metadata_view() const noexcept { return metadata_view(get()); }
};

/// A process that was found on a host: a view of the found processes, which must live longer.
class found_process {
public:
    /// Makes a view of one element of found processes of C.
    found_process(const sshpm_found_processes *found, std::size_t index) noexcept : found_(found), index_(index) {}

    /// Returns the uuid of the process.
    [[nodiscard]] std::string_view get_uuid() const noexcept {
        return detail::view(sshpm_found_processes_get_uuid(found_, index_));
    }
    /// Returns the content of its metadata file.
    [[nodiscard]] metadata_view get_metadata() const noexcept {
        return metadata_view(sshpm_found_processes_get_metadata(found_, index_));
    }
    /// Returns the state in which the process was found.
    [[nodiscard]] found_state get_state() const noexcept {
        return found_state{sshpm_found_processes_get_state(found_, index_)};
    }
    /// Returns how the process ended, for found_state::ended.
    [[nodiscard]] std::optional<exit_status_view> get_status() const noexcept {
        const sshpm_exit_status *status = sshpm_found_processes_get_status(found_, index_);
        return status != nullptr ? std::optional<exit_status_view>(status) : std::nullopt;
    }

private:
    const sshpm_found_processes *found_;
    std::size_t index_;
};

/// The processes that were found on a host.
class found_processes : public detail::owner<sshpm_found_processes, sshpm_found_processes_free> {
public:
    using value_type = found_process;                               ///< An element.
    using const_iterator = detail::index_iterator<found_processes>; ///< Iterates over the elements.

    /// Takes ownership of a handle of C.
    explicit found_processes(sshpm_found_processes *handle) noexcept : owner(handle) {}

    /// Returns the number of processes.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_found_processes_count(get()); }
    /// Returns one process. When the index is not below the size, its state is 0 and the rest is empty.
    [[nodiscard]] found_process operator[](std::size_t index) const noexcept { return {get(), index}; }
    /// Returns an iterator to the first element.
    [[nodiscard]] const_iterator begin() const noexcept { return {*this, 0}; }
    /// Returns the iterator behind the last element.
    [[nodiscard]] const_iterator end() const noexcept { return {*this, size()}; }
};

/// The result of cleaning up a host, for one process: a view of the results, which must live longer.
class clean_up_result {
public:
    /// Makes a view of one element of results of C.
    clean_up_result(const sshpm_clean_up_results *results, std::size_t index) noexcept
        : results_(results), index_(index) {}

    /// Returns the uuid of the process.
    [[nodiscard]] std::string_view get_uuid() const noexcept {
        return detail::view(sshpm_clean_up_results_get_uuid(results_, index_));
    }
    /// Returns what the clean-up did with the process.
    [[nodiscard]] clean_up_outcome get_outcome() const noexcept {
        return clean_up_outcome{sshpm_clean_up_results_get_outcome(results_, index_)};
    }
    /// Returns the pids of the processes that could not be ended: the process itself, and processes that it started.
    [[nodiscard]] std::vector<std::int64_t> get_left() const {
        std::vector<std::int64_t> pids;
        for (std::size_t i = 0; i < sshpm_clean_up_results_left_count(results_, index_); i++) {
            pids.push_back(sshpm_clean_up_results_get_left(results_, index_, i));
        }
        return pids;
    }

private:
    const sshpm_clean_up_results *results_;
    std::size_t index_;
};

/// The result of cleaning up a host, for each process there.
class clean_up_results : public detail::owner<sshpm_clean_up_results, sshpm_clean_up_results_free> {
public:
    using value_type = clean_up_result;                              ///< An element.
    using const_iterator = detail::index_iterator<clean_up_results>; ///< Iterates over the elements.

    /// Takes ownership of a handle of C.
    explicit clean_up_results(sshpm_clean_up_results *handle) noexcept : owner(handle) {}

    /// Returns the number of processes.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_clean_up_results_count(get()); }
    /// Returns one result. When the index is not below the size, its outcome is 0 and the rest is empty.
    [[nodiscard]] clean_up_result operator[](std::size_t index) const noexcept { return {get(), index}; }
    /// Returns an iterator to the first element.
    [[nodiscard]] const_iterator begin() const noexcept { return {*this, 0}; }
    /// Returns the iterator behind the last element.
    [[nodiscard]] const_iterator end() const noexcept { return {*this, size()}; }
};

/// What a login to a host has learned: a view of information that belongs to another object, which must live longer.
class host_info_view : public detail::host_info_functions<host_info_view> {
public:
    /// Makes a view of a handle of C.
    explicit host_info_view(const sshpm_host_info *handle) noexcept : handle_(handle) {}
    /// Returns the C handle.
    [[nodiscard]] const sshpm_host_info *get() const noexcept { return handle_; }

private:
    const sshpm_host_info *handle_;
};

/// What a login to a host has learned.
class host_info : public detail::owner<sshpm_host_info, sshpm_host_info_free>,
                  public detail::host_info_functions<host_info> {
public:
    /// Takes ownership of a handle of C.
    explicit host_info(sshpm_host_info *handle) noexcept : owner(handle) {}
    /// Returns a view, which is valid as long as this object lives.
    operator host_info_view() const noexcept { return host_info_view(get()); }
};

/// The result for one host: a view of the results, which must live longer.
class host_result {
public:
    /// Makes a view of one element of results of C.
    host_result(const sshpm_host_results *results, std::size_t index) noexcept : results_(results), index_(index) {}

    /// Returns SSHPM_OK if the login succeeded and there is information, or else the code of what went wrong.
    [[nodiscard]] sshpm_result get_result() const noexcept { return sshpm_host_results_get_result(results_, index_); }
    /// Returns what went wrong; "" when the login succeeded.
    [[nodiscard]] std::string_view get_message() const noexcept {
        return detail::view(sshpm_host_results_get_message(results_, index_));
    }
    /// Returns the information; std::nullopt when the login failed.
    [[nodiscard]] std::optional<host_info_view> get_info() const noexcept {
        const sshpm_host_info *info = sshpm_host_results_get_info(results_, index_);
        return info != nullptr ? std::optional<host_info_view>(info) : std::nullopt;
    }

private:
    const sshpm_host_results *results_;
    std::size_t index_;
};

/// The result for each host, in the order of the list that the caller gave.
class host_results : public detail::owner<sshpm_host_results, sshpm_host_results_free> {
public:
    using value_type = host_result;                              ///< An element.
    using const_iterator = detail::index_iterator<host_results>; ///< Iterates over the elements.

    /// Takes ownership of a handle of C.
    explicit host_results(sshpm_host_results *handle) noexcept : owner(handle) {}

    /// Returns the number of hosts.
    [[nodiscard]] std::size_t size() const noexcept { return sshpm_host_results_count(get()); }
    /// Returns one result. When the index is not below the size, its code is SSHPM_ERROR_INVALID and the rest is empty.
    [[nodiscard]] host_result operator[](std::size_t index) const noexcept { return {get(), index}; }
    /// Returns an iterator to the first element.
    [[nodiscard]] const_iterator begin() const noexcept { return {*this, 0}; }
    /// Returns the iterator behind the last element.
    [[nodiscard]] const_iterator end() const noexcept { return {*this, size()}; }
};

/// A host, and the user that logs in there.
struct destination {
    std::string host;                               ///< The host.
    std::optional<std::string> user = std::nullopt; ///< The user on the host. std::nullopt: ssh's choice.
};

/// The pids of a process; std::nullopt for a pid that is not known.
struct runtime_pids {
    std::optional<std::int64_t> ssh_client;        ///< The client (ssh, or that of another launcher) on this machine.
    std::optional<std::int64_t> remote;            ///< The application on its host.
    std::optional<std::int64_t> remote_monitoring; ///< The shell that watches the application on its host.
    std::optional<std::int64_t> client_monitoring; ///< The thread that watches the client on this machine.
};

/// What an exit callback receives. It is valid until the callback returns.
struct process_exit {
    std::string_view uuid;                  ///< The uuid of the process.
    std::uint64_t start_number;             ///< The start number of the process.
    std::optional<exit_status_view> status; ///< How the process ended; std::nullopt when its start failed.
    sshpm_result error;                     ///< Why the start failed; SSHPM_OK when there is a status.
    std::string_view error_message;         ///< Why the start failed, as text.
};

/// Is called once for each start that ends or fails. sshpm::manager::on_process_exit says what happens to what it
/// throws.
using exit_function = std::function<void(const process_exit &)>;

/// Receives what a callback has thrown. What this function itself throws is dropped.
using exception_function = std::function<void(std::exception_ptr)>;

/// Is called for each host when its result is known, with the index of the host in the list, and the result: SSHPM_OK
/// and "", or the code and the text of what went wrong. The text is valid until the function returns.
/// sshpm::manager::validate_hosts says what happens to what it throws.
using host_progress_function = std::function<void(std::size_t index, sshpm_result result, std::string_view message)>;

/// What a boot reports. It is valid until the callback returns.
struct session_progress {
    std::size_t stage;                       ///< The number of the stage that boots, from 1.
    std::size_t stages;                      ///< How many stages the session has.
    std::string_view uuid;                   ///< The process; empty when a stage begins, or a second has passed.
    std::optional<boot_state> state;         ///< The state of the process; std::nullopt without a process.
    std::optional<exit_status_view> status;  ///< How the process ended; std::nullopt if it did not.
    sshpm_result error;                      ///< Why the process failed or is not ready; SSHPM_OK if neither.
    std::string_view message;                ///< That as text, or how the process ended; empty otherwise.
};

/// Is called while a session boots. Returns whether the boot goes on: false cancels it.
/// sshpm::manager::start_session says what happens to what it throws.
using session_progress_function = std::function<bool(const session_progress &)>;

/// The table of processes, and every call that blocks. A program usually has one manager. Any thread can call its
/// functions, also at the same time as others; only moving and destroying a manager need it for themselves. Destroying
/// it frees it as sshpm_manager_free does, which detaches from all processes and blocks at most 5 s, and while an exit
/// callback runs. Call `shutdown` first to end the processes in order.
class manager : public detail::owner<sshpm_manager, sshpm_manager_free> {
public:
    /// Makes a manager without processes, with the default options.
    manager() : owner(make(nullptr)) {}
    /// Makes a manager without processes.
    explicit manager(const options &with) : owner(make(with)) {}
    /// Takes ownership of a handle of C.
    explicit manager(sshpm_manager *handle) noexcept : owner(handle) {}

    /// Enters a process in the table, and returns its start number. A thread of the library then starts the process.
    std::uint64_t start_process(const input_text &uuid, boot_request_view request) {
        return detail::receive_value<std::uint64_t>([&](std::uint64_t *out) {
            return sshpm_manager_start_process(get(), uuid.c_str(), request.get(), out);
        });
    }
    /// Boots a session in stages. Does not throw when the boot did not become complete: the results say so. `progress`
    /// is called on the thread that calls this function. When it throws, the boot is cancelled, and this function
    /// throws that exception then.
    [[nodiscard]] session_results start_session(const session &with, const session_progress_function &progress = {}) {
        session_slot slot{progress, nullptr};
        session_results results(detail::receive<sshpm_session_results>([&](sshpm_session_results **out) {
            return sshpm_manager_start_session(get(), with.get(), progress ? session_slot::call : nullptr, &slot, out);
        }));
        if (slot.thrown) {
            std::rethrow_exception(slot.thrown);
        }
        return results;
    }
    /// Detaches the manager from all processes. It starts nothing any more.
    void detach() { detail::check(sshpm_manager_detach(get())); }
    /// Removes a process that has ended from the table.
    void forget_process(const input_text &uuid) {
        detail::check(sshpm_manager_forget_process(get(), uuid.c_str()));
    }

    /// Registers a function that is called once for each start that ends or fails from now on, and returns its number
    /// for `remove_callback`. `on_exception` receives what `function` throws, on the thread that called it; without
    /// `on_exception`, the exception is dropped. Both functions live until `function` can never be called again. An
    /// sshpm::scoped_callback removes itself.
    std::uint64_t on_process_exit(exit_function function, exception_function on_exception = {}) {
        if (!function) {
            throw error(SSHPM_ERROR_NULL_ARGUMENT, "the callback is empty");
        }
        auto slot = std::make_unique<exit_slot>(exit_slot{std::move(function), std::move(on_exception)});
        // From here on the finalizer owns the slot. It can be called before the id is written.
        exit_slot *const handed_over = slot.release();
        std::uint64_t id = 0;
        const sshpm_result result =
            sshpm_manager_on_process_exit(get(), exit_slot::call, handed_over, exit_slot::finalize, &id);
        if (result != SSHPM_OK) {
            slot.reset(handed_over);
        }
        detail::check(result);
        return id;
    }
    /// Removes a callback. When this function returns, the callback is not running and is never called again. Inside
    /// the callback itself it returns at once.
    void remove_callback(std::uint64_t id) { detail::check(sshpm_manager_remove_callback(get(), id)); }

    /// Returns the number of the start that the table has for this uuid.
    [[nodiscard]] std::uint64_t get_start_number(const input_text &uuid) const {
        return value<std::uint64_t>(sshpm_manager_get_start_number, uuid);
    }
    /// Returns the state of a process.
    [[nodiscard]] process_state get_process_state(const input_text &uuid) const {
        return process_state{value<std::int32_t>(sshpm_manager_get_process_state, uuid)};
    }
    /// Returns whether a process is starting, running or ending; false for an unknown uuid.
    [[nodiscard]] bool is_process_alive(const input_text &uuid) const {
        return value<bool>(sshpm_manager_is_process_alive, uuid);
    }
    /// Returns whether a process is alive and ready, as its request says; false for an unknown uuid.
    [[nodiscard]] bool is_ready(const input_text &uuid) const { return value<bool>(sshpm_manager_is_ready, uuid); }
    /// Returns whether the remote side itself watches a process; false for an unknown uuid.
    [[nodiscard]] bool is_monitoring_remotely(const input_text &uuid) const {
        return value<bool>(sshpm_manager_is_monitoring_remotely, uuid);
    }
    /// Returns the uuids in the table, in the order of their starts.
    [[nodiscard]] std::vector<std::string> get_active_process_keys() const {
        return detail::receive_texts(
            [&](sshpm_string_list **out) { return sshpm_manager_get_active_process_keys(get(), out); });
    }
    /// Returns the application's pid on its host. Throws SSHPM_ERROR_NO_REMOTE_PID while it is not known.
    [[nodiscard]] std::int64_t get_remote_pid(const input_text &uuid) const {
        return value<std::int64_t>(sshpm_manager_get_remote_pid, uuid);
    }
    /// Returns the pids that are known of a process.
    [[nodiscard]] runtime_pids get_runtime_pids(const input_text &uuid) const {
        std::int64_t ssh_client = -1, remote = -1, remote_monitoring = -1, client_monitoring = -1;
        detail::check(sshpm_manager_get_runtime_pids(get(), uuid.c_str(), &ssh_client, &remote,
                                                     &remote_monitoring, &client_monitoring));
        return {detail::known(ssh_client), detail::known(remote), detail::known(remote_monitoring),
                detail::known(client_monitoring)};
    }
    /// Returns the last part of what the application wrote to stdout, if it has no log file.
    [[nodiscard]] buffer get_process_stdout(const input_text &uuid) const {
        return buffer(handle<sshpm_buffer>(sshpm_manager_get_process_stdout, uuid));
    }
    /// Returns the last part of what the application wrote to stderr, if it has no log file.
    [[nodiscard]] buffer get_process_stderr(const input_text &uuid) const {
        return buffer(handle<sshpm_buffer>(sshpm_manager_get_process_stderr, uuid));
    }
    /// Returns how a process that is still in the table ended; std::nullopt while it has not ended, and for an unknown
    /// uuid. Throws why its start failed. A call that returns or throws this acknowledges the exit: the host of a kept
    /// process then removes the exit status and the output, and no other manager can get them.
    [[nodiscard]] std::optional<exit_status> get_exit_status(const input_text &uuid) const {
        return status_or_nothing(handle<sshpm_exit_status>(sshpm_manager_get_exit_status, uuid));
    }
    /// Returns how a process ended that this manager did not kill, and removes it from the table; std::nullopt while it
    /// has not ended, for an unknown uuid, and for a process that this manager killed. Throws why its start failed.
    [[nodiscard]] std::optional<exit_status> pop_early_exit_status(const input_text &uuid) {
        return status_or_nothing(detail::receive<sshpm_exit_status>([&](sshpm_exit_status **out) {
            return sshpm_manager_pop_early_exit_status(get(), uuid.c_str(), out);
        }));
    }

    /// Waits until the application runs, and returns its pid. Throws SSHPM_ERROR_TIMED_OUT, or why the start failed.
    std::int64_t wait_until_started(const input_text &uuid, timeout wait = {}) const {
        return detail::receive_value<std::int64_t>([&](std::int64_t *out) {
            return sshpm_manager_wait_until_started(get(), uuid.c_str(), wait.seconds(), out);
        });
    }
    /// Waits until a process is ready, as its request says. Throws SSHPM_ERROR_NOT_READY when it does not count as
    /// ready, SSHPM_ERROR_NOT_RUNNING when it ended before, SSHPM_ERROR_TIMED_OUT, or why the start failed.
    void wait_until_ready(const input_text &uuid, timeout wait = {}) const {
        detail::check(sshpm_manager_wait_until_ready(get(), uuid.c_str(), wait.seconds()));
    }
    /// Waits until a process has ended, and returns the code to show and to judge by. Throws SSHPM_ERROR_TIMED_OUT,
    /// SSHPM_ERROR_NO_EXIT_CODE when there is no such code, or why the start failed.
    std::int32_t wait_for_process_exit_code(const input_text &uuid, timeout wait = {}) const {
        return detail::receive_value<std::int32_t>([&](std::int32_t *out) {
            return sshpm_manager_wait_for_process_exit_code(get(), uuid.c_str(), wait.seconds(), out);
        });
    }

    /// Sends a signal to the application alone.
    void send_signal(const input_text &uuid, std::int32_t signal) {
        detail::check(sshpm_manager_send_signal(get(), uuid.c_str(), signal));
    }
    /// Simulates a crash: sends a signal to the application alone.
    void crash_process(const input_text &uuid, std::int32_t signal) {
        detail::check(sshpm_manager_crash_process(get(), uuid.c_str(), signal));
    }
    /// Ends a process by a signal to its ssh client on this machine, removes it from the table and returns how it
    /// ended. Use `kill_process` for all other purposes.
    exit_status kill_process_without_metadata(const input_text &uuid, std::int32_t signal, bool as_manual_kill,
                                              timeout wait = {}) {
        return exit_status(detail::receive<sshpm_exit_status>([&](sshpm_exit_status **out) {
            return sshpm_manager_kill_process_without_metadata(get(), uuid.c_str(), signal, as_manual_kill,
                                                               wait.seconds(), out);
        }));
    }
    /// Ends a process by the kill sequence, removes it from the table and returns how it ended. Throws
    /// SSHPM_ERROR_STILL_RUNNING when it did not end in time: it stays in the table, and can be killed again.
    exit_status kill_process(const input_text &uuid, timeout wait = {}) {
        return exit_status(detail::receive<sshpm_exit_status>([&](sshpm_exit_status **out) {
            return sshpm_manager_kill_process(get(), uuid.c_str(), wait.seconds(), out);
        }));
    }
    /// Ends a process as kill_process does, starts it again with the same request under the same uuid, and returns the
    /// new start number. Throws SSHPM_ERROR_RESTART_... when another call restarts the process or has ended it.
    std::uint64_t restart_process(const input_text &uuid, timeout wait = {}) {
        return detail::receive_value<std::uint64_t>([&](std::uint64_t *out) {
            return sshpm_manager_restart_process(get(), uuid.c_str(), wait.seconds(), out);
        });
    }
    /// Ends processes, role by role in the shutdown order, with one timeout for each, or the default for all. Does not
    /// throw when a process has not ended: its result says so.
    [[nodiscard]] kill_results kill_processes(const std::vector<std::string> &uuids,
                                              const std::vector<timeout> &timeouts = {}) {
        const detail::c_texts c_uuids(uuids);
        const detail::c_timeouts c_timeouts(timeouts, uuids.size());
        return kill_results(detail::receive<sshpm_kill_results>([&](sshpm_kill_results **out) {
            return sshpm_manager_kill_processes(get(), c_uuids.data(), c_uuids.size(), c_timeouts.data(), out);
        }));
    }
    /// Ends those of the given processes that have a role, at the same time. Does not throw when a process has not
    /// ended: its result says so.
    [[nodiscard]] kill_results kill_processes_by_role(const input_text &role, const std::vector<std::string> &uuids,
                                                      const std::vector<timeout> &timeouts = {}) {
        const detail::c_texts c_uuids(uuids);
        const detail::c_timeouts c_timeouts(timeouts, uuids.size());
        return kill_results(detail::receive<sshpm_kill_results>([&](sshpm_kill_results **out) {
            return sshpm_manager_kill_processes_by_role(get(), role.c_str(), c_uuids.data(), c_uuids.size(),
                                                        c_timeouts.data(), out);
        }));
    }
    /// Ends all processes of the table, role by role in the shutdown order. Does not throw when a process has not
    /// ended: its result says so.
    [[nodiscard]] kill_results kill_all_processes(timeout wait = {}) {
        return kill_results(detail::receive<sshpm_kill_results>([&](sshpm_kill_results **out) {
            return sshpm_manager_kill_all_processes(get(), wait.seconds(), out);
        }));
    }
    /// Ends all processes in the shutdown order within the timeout. The manager starts nothing any more. Does not throw
    /// when a process has not ended: its result says so.
    kill_results shutdown(timeout wait = {}) {
        return kill_results(detail::receive<sshpm_kill_results>(
            [&](sshpm_kill_results **out) { return sshpm_manager_shutdown(get(), wait.seconds(), out); }));
    }

    /// Subscribes to all events from now on. The subscription can outlive the manager.
    [[nodiscard]] subscription subscribe() {
        return subscription(detail::receive<sshpm_subscription>(
            [&](sshpm_subscription **out) { return sshpm_manager_subscribe(get(), out); }));
    }
    /// Subscribes to what the application writes from now on. The subscription can outlive the manager.
    [[nodiscard]] output_subscription subscribe_output(const input_text &uuid) {
        return output_subscription(detail::receive<sshpm_output_subscription>([&](sshpm_output_subscription **out) {
            return sshpm_manager_subscribe_output(get(), uuid.c_str(), out);
        }));
    }

    /// Waits on a host for the metadata file of a process, and reads it.
    [[nodiscard]] metadata read_process_metadata(const input_text &uuid, const input_text &host,
                                                 const optional_input_text &user = std::nullopt,
                                                 timeout wait = {}) const {
        return metadata(detail::receive<sshpm_metadata>([&](sshpm_metadata **out) {
            return sshpm_manager_read_process_metadata(get(), uuid.c_str(), host.c_str(), user.c_str(), wait.seconds(),
                                                       out);
        }));
    }
    /// Lists the processes of a user that have a metadata file on a host.
    [[nodiscard]] found_processes find_processes(const input_text &host,
                                                 const optional_input_text &user = std::nullopt) const {
        return found_processes(detail::receive<sshpm_found_processes>([&](sshpm_found_processes **out) {
            return sshpm_manager_find_processes(get(), host.c_str(), user.c_str(), out);
        }));
    }
    /// Adopts a kept process that no manager controls. Returns the start number.
    std::uint64_t adopt_process(const input_text &uuid, const input_text &host,
                                const optional_input_text &user = std::nullopt) {
        return detail::receive_value<std::uint64_t>([&](std::uint64_t *out) {
            return sshpm_manager_adopt_process(get(), uuid.c_str(), host.c_str(), user.c_str(), out);
        });
    }
    /// Adopts a kept process on the host and of the user of a request, with which it can be restarted. Returns the
    /// start number.
    std::uint64_t adopt_process_with_request(const input_text &uuid, boot_request_view request) {
        return detail::receive_value<std::uint64_t>([&](std::uint64_t *out) {
            return sshpm_manager_adopt_process_with_request(get(), uuid.c_str(), request.get(), out);
        });
    }
    /// Ends the processes of a user on a host that no manager can reach, and removes their files. Does not throw when a
    /// process could not be ended: its result says so.
    [[nodiscard]] clean_up_results clean_up_host(const input_text &host,
                                                 const optional_input_text &user = std::nullopt, timeout grace = {},
                                                 bool kill_tree = false) const {
        return clean_up_results(detail::receive<sshpm_clean_up_results>([&](sshpm_clean_up_results **out) {
            return sshpm_manager_clean_up_host(get(), host.c_str(), user.c_str(), grace.seconds(), kill_tree, out);
        }));
    }
    /// Reads the last lines of a file on a host.
    [[nodiscard]] buffer read_log_file(const input_text &host, const optional_input_text &user,
                                       const input_text &path, std::size_t lines, timeout wait = {}) const {
        return buffer(detail::receive<sshpm_buffer>([&](sshpm_buffer **out) {
            return sshpm_manager_read_log_file(get(), host.c_str(), user.c_str(), path.c_str(), lines, wait.seconds(),
                                               out);
        }));
    }
    /// Follows a file on a host as it grows. The follower can outlive the manager.
    [[nodiscard]] log_follower follow_log_file(const input_text &host, const optional_input_text &user,
                                               const input_text &path, std::size_t lines) const {
        return log_follower(detail::receive<sshpm_log_follower>([&](sshpm_log_follower **out) {
            return sshpm_manager_follow_log_file(get(), host.c_str(), user.c_str(), path.c_str(), lines, out);
        }));
    }
    /// Logs in to a host, and returns information about it. Throws what went wrong.
    host_info validate_host_connection(const input_text &host, const optional_input_text &user = std::nullopt,
                                       const optional_input_text &auth_method = std::nullopt) const {
        return host_info(detail::receive<sshpm_host_info>([&](sshpm_host_info **out) {
            return sshpm_manager_validate_host_connection(get(), host.c_str(), user.c_str(), auth_method.c_str(), out);
        }));
    }
    /// Logs in to many hosts, 16 at the same time. Does not throw when a login failed: its result says so. `progress`
    /// is called on the thread that calls this function. After it has thrown, it is not called again, and this function
    /// throws that exception when all results are known.
    [[nodiscard]] host_results validate_hosts(const std::vector<destination> &hosts,
                                              const host_progress_function &progress = {}) const {
        std::vector<const char *> c_hosts, c_users;
        for (const destination &one : hosts) {
            detail::check_text(one.host);
            detail::check_text(one.user.value_or(""));
            c_hosts.push_back(one.host.c_str());
            c_users.push_back(one.user ? one.user->c_str() : nullptr);
        }
        progress_slot slot{progress, nullptr};
        host_results results(detail::receive<sshpm_host_results>([&](sshpm_host_results **out) {
            return sshpm_manager_validate_hosts(get(), c_hosts.data(), c_users.data(), c_hosts.size(),
                                                progress ? progress_slot::call : nullptr, &slot, out);
        }));
        if (slot.thrown) {
            std::rethrow_exception(slot.thrown);
        }
        return results;
    }

private:
    struct exit_slot {
        exit_function function;
        exception_function on_exception;

        static void call(const char *uuid, std::uint64_t start_number, const sshpm_exit_status *status,
                         sshpm_result error, const char *error_message, void *slot) noexcept {
            const auto &self = *static_cast<const exit_slot *>(slot);
            try {
                self.function({detail::view(uuid), start_number,
                               status != nullptr ? std::optional<exit_status_view>(status) : std::nullopt, error,
                               detail::view(error_message)});
            } catch (...) {
                self.report(std::current_exception());
            }
        }
        static void finalize(void *slot) noexcept {
            const std::unique_ptr<exit_slot> owned(static_cast<exit_slot *>(slot));
        }

        void report(const std::exception_ptr &thrown) const noexcept {
            try {
                if (on_exception) {
                    on_exception(thrown);
                }
            } catch (...) {
                // Nobody is left to report this to.
            }
        }
    };

    struct progress_slot {
        const host_progress_function &function;
        std::exception_ptr thrown;

        static void call(std::size_t index, sshpm_result result, const char *message, void *slot) noexcept {
            auto &self = *static_cast<progress_slot *>(slot);
            try {
                if (!self.thrown) {
                    self.function(index, result, detail::view(message));
                }
            } catch (...) {
                self.thrown = std::current_exception();
            }
        }
    };

    struct session_slot {
        const session_progress_function &function;
        std::exception_ptr thrown;

        static bool call(std::size_t stage, std::size_t stages, const char *uuid, std::int32_t state,
                         const sshpm_exit_status *status, sshpm_result error, const char *message,
                         void *slot) noexcept {
            auto &self = *static_cast<session_slot *>(slot);
            try {
                return self.function({stage, stages, detail::view(uuid),
                                      uuid != nullptr ? std::optional<boot_state>(static_cast<boot_state>(state))
                                                      : std::nullopt,
                                      status != nullptr ? std::optional<exit_status_view>(status) : std::nullopt,
                                      error, detail::view(message)});
            } catch (...) {
                self.thrown = std::current_exception();
                return false;
            }
        }
    };

    /// Refuses options that were moved from: in C, NULL would stand for the default options.
    [[nodiscard]] static sshpm_manager *make(const options &with) {
        if (with.get() == nullptr) {
            throw error(SSHPM_ERROR_NULL_ARGUMENT, "the options were moved from");
        }
        return make(with.get());
    }

    [[nodiscard]] static sshpm_manager *make(const sshpm_options *with) {
        return detail::receive<sshpm_manager>([&](sshpm_manager **out) { return sshpm_manager_new(with, out); });
    }

    [[nodiscard]] static std::optional<exit_status> status_or_nothing(sshpm_exit_status *status) noexcept {
        return status != nullptr ? std::optional<exit_status>(status) : std::nullopt;
    }

    template <class T, class Function>
    [[nodiscard]] T value(Function function, const input_text &uuid) const {
        return detail::receive_value<T>([&](T *out) { return function(get(), uuid.c_str(), out); });
    }

    template <class T, class Function>
    [[nodiscard]] T *handle(Function function, const input_text &uuid) const {
        return detail::receive<T>([&](T **out) { return function(get(), uuid.c_str(), out); });
    }
};

/// An exit callback that is removed when this object is destroyed. After that, the callback is not running and is never
/// called again; if the object is destroyed inside the callback, that call goes on to its end. Destroy this object
/// before its manager is destroyed or assigned to. The manager may be moved.
class [[nodiscard]] scoped_callback {
public:
    /// Registers the function, as sshpm::manager::on_process_exit does.
    scoped_callback(manager &of, exit_function function, exception_function on_exception = {})
        : id_(of.on_process_exit(std::move(function), std::move(on_exception))), manager_(of.get()) {}
    /// Takes ownership of the callback.
    scoped_callback(scoped_callback &&other) noexcept
        : id_(other.id_), manager_(std::exchange(other.manager_, nullptr)) {}
    /// Takes ownership of the callback, and removes the callback that this object had before.
    scoped_callback &operator=(scoped_callback &&other) noexcept {
        scoped_callback former(std::move(other));
        std::swap(id_, former.id_);
        std::swap(manager_, former.manager_);
        return *this;
    }
    /// Removes the callback. Waits while it runs on another thread.
    ~scoped_callback() {
        if (manager_ != nullptr) {
            static_cast<void>(sshpm_manager_remove_callback(manager_, id_));
        }
    }

private:
    std::uint64_t id_;
    sshpm_manager *manager_;
};

} // namespace sshpm

#endif // SSHPM_HPP
