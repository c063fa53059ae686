# The remote parent of one application.
# needs: identity files wait job reader protocol directories runtime attend run
# may use: lease tree keep ready
# takes: _nonce _uuid _instance _grace _umask _log_file _log_mode _setup_shell _wants_bash _may_be_slow
# takes: _by_launcher _known_user _metadata_rest _kill_tree _is_kept _lease_period _lease_ticks _ready
#
# Descriptors: 3 commands (ssh's stdin) and 4 reports (ssh's stderr), as script.rs has it for every script, 5
# and 6 the application's stdout and stderr, 7 ssh's stdout, 8 the notebook.
#
# The programs of each start get LC_ALL=C: so they load no locale, which would take a fifth of their time.
#
# The notebook is a fifo that this shell holds open for reading and writing, so that it never blocks and never
# ends: a pipe that needs no other process. This shell's own messages go there too (2>&8), because "Killed" in
# it, or its absence, distinguishes death by a signal from an exit code above 128. Lines:
#   p PID        the inner process
#   o PID START  the shell that hands over to it
#   x            the program is next
#   f WHY        a step of the start has failed
#   unread       the inner process has ended before it had read its script: it needs a process for that
#   signal       the application, or its group, is about to get a signal that can end a shell
#   unreached    it did not get that signal
#   b            the manager has said bye: HUP follows
#   l            the link is gone: HUP follows
#   n            no link lives any more, or the program had not run
#   exit …       the exit report, before it is sent
#   else         a message of the shell
# Their order tells why a step has failed: behind a signal, the signal may be the cause, and then the start
# has not failed by itself.

# Finds out which user runs this shell. sshd has set LOGNAME, which costs no fork; with another launcher,
# LOGNAME can name the manager's user.
# Needs _by_launcher and _known_user. Sets _user.
# Returns 0.
_find_user() {
    _user=$_known_user
    [ -n "$_user$_by_launcher" ] || _user=${LOGNAME:-}
    [ -n "$_user" ] || _user=$(id -un)
    case $_user in *[!A-Za-z0-9._@+-]* | -* | '') _user=$(id -u) ;; esac
}

# Waits for the manager's go-ahead, because a start-up file may have delayed this script until the manager
# gave the start up. Behind the go-ahead comes the script of the inner process: environment, setup lines,
# start.sh.
# Sets _inner_script.
# Returns 0; ends this shell if there is no go-ahead, or if the script was cut.
_await_go_ahead() {
    read -r _command _block_length <&3 && [ "$_command" = go ] || { trap - EXIT; _leave 125; }
    # See script.rs, which reads the first block like this.
    case ${KSH_VERSION:-} in ?*) LC_ALL=C IFS= read -rN "$_block_length" _inner_script <&3 ;; *) false ;; esac ||
        _inner_script=$(umask 077; LC_ALL=C exec head -c "$_block_length" <&3) ||
        _inner_script=$(umask 077; LC_ALL=C exec dd bs=1 count="$_block_length" <&3)
    # A broken link cuts the script, and then nobody reads this report.
    case $_inner_script in *"
}") ;; *) _die no-process ;; esac
}

# Finds out the umask for the application and its log file: that of the request, or that of the login. Since
# Linux 4.7 the second line of status has the login's, and reading it costs no process.
# Sets _umask.
# Returns 0.
_find_umask() {
    [ -n "$_umask" ] || { read -r _status_key && read -r _status_key _umask; } </proc/self/status
    case $_umask in 0[0-7]*) ;; *) _umask=$(umask) ;; esac
}

# Chooses the shell of the inner process, and keeps it from reading start-up files: the setup lines source
# those that they need. bash would read ~/.bashrc where SSH_CLIENT is set and SHLVL is below 2, and zsh would
# always read ~/.zshenv.
# Needs _setup_shell and _wants_bash. Sets _shell and _shell_option.
# Returns 0, or reports that the start has failed, and ends this shell.
_choose_shell() {
    _shell=/bin/sh
    if [ -n "$_setup_shell" ]; then
        command -v "$_setup_shell" >/dev/null || _quit shell
        _shell=$_setup_shell
    elif [ -n "$_wants_bash" ] && command -v bash >/dev/null; then
        _shell=bash
    fi
    case $_shell in
    bash | */bash) _shell_option=--norc ;;
    zsh | */zsh) _shell_option=-f ;;
    *) _shell_option= ;;
    esac
}

# The kernel sends XFSZ for a write beyond the size limit of files. With a trap, that write only fails.
trap : HUP INT QUIT TERM USR1 USR2 VTALRM XFSZ
exec 5>&1 6>&4 7>&1
_open_reports
# This shell ends here if the host cannot make a process, see reader.sh.
_attendant=
trap '[ -z "$_ready" ] || _kill_sign_reader; _say fail no-process; [ -z "$_attendant" ] || kill -PROF "$_attendant"' EXIT
_wrapper=$$
_find_user
_say begin 1 "$$" "$_user"
# What start-up files wrote to stdout stands before this report.
_say begin 4>&7
_await_go_ahead
_find_umask
# The wrapper's own files are private.
umask 077
_with_directories _refuse_used_uuid
_choose_directory
_sweep_words
[ -z "$_log_file" ] || _open_log
_choose_shell
[ -z "$_ready" ] || _prepare_ready
if [ -n "$_is_kept" ]; then
    _start_kept
    exit
fi
_run
[ "$_exit_code" -lt 256 ] || _exit_code=$((_exit_code % 128 + 128))
_leave "$_exit_code"
