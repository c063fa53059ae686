//! Roles and signals by name.

use std::ffi::c_char;

use super::boundary::{call, give_string};
use super::codes::sshpm_result;
use super::input::{output, text};
use crate::{Role, Signal};

/// Gets the role that follows from the place of a process in its session's tree. "" gives unknown. "0" gives
/// root-controller for a controller. A place that begins with "0." gives segment-controller for a controller, and
/// application for any other process. In all other cases the role is infrastructure-applications.
///
/// Any thread. Does not block.
///
/// @param tree_id The place: the path of segments, joined by dots; UTF-8.
/// @param controller Whether the process is a controller.
/// @param out_role Receives the role's name. It is the caller's, to be freed with sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_role_from_tree_id(
    tree_id: *const c_char,
    controller: bool,
    out_role: *mut *mut c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string and a place for the output.
        let (tree_id, out_role) = unsafe { (text(tree_id, "tree_id")?, output(out_role, "out_role")?) };
        give_string(out_role, Role::from_tree_id(tree_id, controller).as_str());
        Ok(())
    })
}

/// Gets the number of a signal on this machine.
///
/// Any thread. Does not block.
///
/// @param name The POSIX name of a signal, with or without SIG, in upper or lower case, or a number from 1 to 64;
/// UTF-8.
/// @param out_signal Receives the number.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_signal_from_name(name: *const c_char, out_signal: *mut i32) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string and a place for the output.
        let (name, out_signal) = unsafe { (text(name, "name")?, output(out_signal, "out_signal")?) };
        out_signal.write(name.parse::<Signal>()?.number());
        Ok(())
    })
}

/// Gets the name of a signal. sshpm_signal_from_name accepts this name.
///
/// Any thread. Does not block.
///
/// @param signal A signal of this machine's <signal.h>.
/// @param out_name Receives the POSIX name without SIG, or the number when there is no name. It is the caller's, to be
/// freed with sshpm_string_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_signal_to_name(signal: i32, out_name: *mut *mut c_char) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a place for the output.
        let out_name = unsafe { output(out_name, "out_name")? };
        give_string(out_name, &Signal::from_number(signal)?.to_string());
        Ok(())
    })
}
