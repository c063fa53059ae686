//! Roles and signals by name.

use std::ffi::c_char;

use super::boundary::{call, give_string};
use super::codes::sshpm_result;
use super::input::{output, text};
use crate::{Role, Signal};

/// The role that the place in the session's tree implies: of "" it is unknown, of "0" and a controller
/// root-controller, of what begins with "0." segment-controller for a controller and else application, of all others
/// infrastructure-applications.
///
/// Any thread. Does not block.
///
/// @param tree_id The path of segments, joined by dots; UTF-8.
/// @param controller Whether the process is a controller.
/// @param out_role Gets the role's name. It is the caller's, to be freed with sshpm_string_free.
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

/// The number of a signal on this machine.
///
/// Any thread. Does not block.
///
/// @param name A name of POSIX with or without SIG, in any case, or a number from 1 to 64; UTF-8.
/// @param out_signal Gets the number.
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

/// The name of a signal, as sshpm_signal_from_name takes it.
///
/// Any thread. Does not block.
///
/// @param signal A signal of this machine's <signal.h>.
/// @param out_name Gets the name of POSIX without SIG, or the number where there is none. It is the caller's, to be
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
