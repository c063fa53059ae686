# The remote parent of one application.
# needs: identity files wait job reader protocol directories runtime attend run
# may use: lease tree keep
# takes: _nonce _uuid _instance _grace _umask _log_file _log_mode _setup_shell _wants_bash _may_be_slow
# takes: _by_launcher _metadata_rest _kill_tree _is_kept _lease_period _lease_ticks
#
# Descriptors: 3 commands (ssh's stdin) and 4 reports (ssh's stderr), as script.rs has it for every script, 5
# and 6 the application's stdout and stderr, 7 ssh's stdout, 8 the notebook.
#
# The notebook is a fifo that this shell holds open for reading and writing, so that it never blocks and never
# ends: a pipe that needs no other process. This shell's own messages go there too (2>&8), because "Killed" in
# it, or its absence, distinguishes death by a signal from an exit code above 128. Lines:
#   p PID        the inner process
#   o PID START  the shell that hands over to it
#   x            the program is next
#   f WHY        a step of the start has failed
#   unread       the inner process has ended before it had read what it is to run: it needs a process for that
#   signal       the application, or its group, is about to get a signal that ends a shell
#   unreached    it did not get that
#   b            the manager says good-bye: HUP follows
#   l            the link is gone: HUP follows
#   n            there was no link any more
#   exit …       the application's end, as it is about to be reported
#   else         what the shell says
# Their order decides what a failed step is: behind a signal it can be the signal's doing, and no failure of
# the start.

# Finds out who the process is. sshd has set LOGNAME, and that costs no fork; with another launcher it can be
# that of the manager's user.
# Needs _by_launcher. Sets _user.
# Returns 0.
_find_user() {
    _user=
    [ -n "$_by_launcher" ] || _user=${LOGNAME:-}
    [ -n "$_user" ] || _user=$(id -un)
    case $_user in *[!A-Za-z0-9._@+-]* | -* | '') _user=$(id -u) ;; esac
}

# Waits for the manager's go-ahead, because this script may have waited behind a start-up file that hung, and
# its start may be over. Behind it stands what the inner process runs: environment, setup lines, start.sh.
# Sets _inner_script.
# Returns 0; ends this shell if there is no go-ahead, or if it is cut.
_await_go_ahead() {
    read -r _command _block_length <&3 && [ "$_command" = go ] || { trap - EXIT; _leave 125; }
    _inner_script=$(head -c "$_block_length" <&3 || dd bs=1 count="$_block_length" <&3)
    # A link that broke cuts it, and then nobody hears this.
    case $_inner_script in *"
}") ;; *) _die no-process ;; esac
}

# Finds out the umask of the application and its log file: the request's, or the login's. The second line of
# status has that since Linux 4.7, and costs no process.
# Sets _umask.
# Returns 0.
_find_umask() {
    [ -n "$_umask" ] || { read -r _status_key && read -r _status_key _umask; } </proc/self/status
    case $_umask in 0[0-7]*) ;; *) _umask=$(umask) ;; esac
}

# Chooses the shell of the inner process. bash reads ~/.bashrc where SSH_CLIENT is set and SHLVL is below 2,
# zsh ~/.zshenv always: start-up files are for the setup lines to source.
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

# XFSZ comes of a write where files may not grow; the write fails then.
trap : HUP INT QUIT TERM USR1 USR2 VTALRM XFSZ
exec 5>&1 6>&4 7>&1
_open_reports
# This shell ends for want of a process, see reader.sh.
_attendant=
trap '_say fail no-process; [ -z "$_attendant" ] || kill -PROF "$_attendant"' EXIT
_wrapper=$$
_find_user
_say begin 1 "$$" "$_user"
# What start-up files wrote on stdout stands before this one.
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
if [ -n "$_is_kept" ]; then
    _start_kept
    exit
fi
_run
[ "$_exit_code" -lt 256 ] || _exit_code=$((_exit_code % 128 + 128))
_leave "$_exit_code"
