//! Sessions: the processes that boot together, and how they boot.

use std::ffi::{CString, c_char};
use std::mem;
use std::ptr;

use super::boundary::{c_string, call, free, give, plain, pointer_to};
use super::codes::sshpm_result;
use super::input::{choice, handle, handle_mut, output, text, texts, timeout};
use super::request::sshpm_boot_request;
use crate::{BootRequest, OnFailure, Role, Session};

/// On failure: the boot stops. It cancels the starts that are not done, and leaves what runs. The default.
pub const SSHPM_ON_FAILURE_STOP: i32 = 0;
/// On failure: the boot stops, and ends all processes that it has started, in the shutdown order.
pub const SSHPM_ON_FAILURE_ROLL_BACK: i32 = 1;
/// On failure: the boot goes on with the next stage.
pub const SSHPM_ON_FAILURE_CONTINUE: i32 = 2;

/// The processes that boot together, and how they boot. sshpm_manager_start_session boots them.
pub struct sshpm_session {
    // Each in a box, because C may keep the pointers that it got.
    #[allow(clippy::vec_box)]
    processes: Vec<Box<SessionProcess>>,
    /// Without the processes.
    options: Session,
}

struct SessionProcess {
    uuid: CString,
    request: sshpm_boot_request,
}

impl From<Session> for sshpm_session {
    fn from(mut session: Session) -> sshpm_session {
        let processes = mem::take(&mut session.processes);
        let process = |(uuid, request): (String, BootRequest)| {
            Box::new(SessionProcess { uuid: c_string(uuid), request: sshpm_boot_request { request } })
        };
        sshpm_session { processes: processes.into_iter().map(process).collect(), options: session }
    }
}

impl sshpm_session {
    /// Returns the session in the form of Rust.
    pub(super) fn session(&self) -> Session {
        let add = |session: Session, process: &SessionProcess| {
            session.process(process.uuid.to_string_lossy(), process.request.request.clone())
        };
        self.processes.iter().map(Box::as_ref).fold(self.options.clone(), add)
    }
}

/// Makes a session without processes.
///
/// Any thread. Does not block.
///
/// @param out_session Receives the session. It is the caller's, to be freed with sshpm_session_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_new(out_session: *mut *mut sshpm_session) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a place for the output.
        let out_session = unsafe { output(out_session, "out_session")? };
        give(out_session, Session::new().into());
        Ok(())
    })
}

/// Reads a session from a JSON object. Its keys are "processes", which is required, "defaults" and "session":
///
/// "processes" is an array of requests in the format of sshpm_boot_request_from_json. A request has one more key,
/// "uuid". Without it, its name is the uuid. "defaults" is an object with keys of a request, for all requests that do
/// not have them. The entries of "environment" and "limits" are added to those of the request, whose own entries win;
/// any other value of a request replaces the default. "session" is an object with "order" (an array of roles),
/// "minimum" (an object of roles and numbers), "on_failure" ("stop", "roll-back", "continue") and "timeout" (seconds).
///
/// An array of requests is read, too: it stands for an object that has only "processes". docs/session.schema.json
/// describes both forms as a JSON Schema.
///
/// Any thread. Does not block.
///
/// @param json The JSON; UTF-8, at most 64 MiB.
/// @param out_session Receives the session. It is the caller's, to be freed with sshpm_session_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_JSON, and SSHPM_ERROR_INVALID for values
/// that sshpm_session_check refuses. The message names the place and the value, such as `processes[3].host`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_from_json(
    json: *const c_char,
    out_session: *mut *mut sshpm_session,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string and a place for the output.
        let (json, out_session) = unsafe { (text(json, "json")?, output(out_session, "out_session")?) };
        give(out_session, Session::from_json(json)?.into());
        Ok(())
    })
}

/// Frees a session and its requests. Processes that were started with it keep their copies.
///
/// Any thread. Does not block.
///
/// @param session The session. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_free(session: *mut sshpm_session) {
    // SAFETY: the caller's pointer is NULL or points to a session that nobody uses any more.
    unsafe { free(session) };
}

/// Adds a process.
///
/// One thread at a time for the same session. Does not block.
///
/// @param session The session.
/// @param uuid Names the process, as for sshpm_manager_start_process; UTF-8. Copied.
/// @param request What to run. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. sshpm_session_check checks the values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_add_process(
    session: *mut sshpm_session,
    uuid: *const c_char,
    request: *const sshpm_boot_request,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a session that only this thread uses, a string and a
        // request.
        let (this, uuid, request) =
            unsafe { (handle_mut(session, "session")?, text(uuid, "uuid")?, handle(request, "request")?) };
        let request = sshpm_boot_request { request: request.request.clone() };
        this.processes.push(Box::new(SessionProcess { uuid: c_string(uuid), request }));
        Ok(())
    })
}

/// Sets the order in which the boot starts roles, one stage for each role. Processes of roles that the order does not
/// name start first, together. Default: the manager's shutdown order in reverse, so that the processes that end last
/// start first.
///
/// One thread at a time for the same session. Does not block.
///
/// @param session The session.
/// @param roles The names of the roles; UTF-8. Copied. May be NULL if the count is 0.
/// @param count The number of roles.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID. sshpm_session_check refuses a
/// role that is named twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_set_order(
    session: *mut sshpm_session,
    roles: *const *const c_char,
    count: usize,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a session that only this thread uses and `count` strings.
        let (this, roles) = unsafe { (handle_mut(session, "session")?, texts(roles, count, "roles")?) };
        this.options.order = Some(roles.into_iter().map(Role::from_name).collect::<Result<_, _>>()?);
        Ok(())
    })
}

/// Sets how many processes of a role are enough: the role is complete when so many of its processes are ready, and
/// fails when so many cannot become ready any more. Then sshpm_boot_request_set_critical does not count for its
/// processes. The last call for a role counts. Default: each critical process of the role must be ready.
///
/// One thread at a time for the same session. Does not block.
///
/// @param session The session.
/// @param role The role's name; UTF-8. Copied.
/// @param processes How many are enough. sshpm_session_check refuses a number above that of the role's processes.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_set_minimum(
    session: *mut sshpm_session,
    role: *const c_char,
    processes: usize,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a session that only this thread uses and a string.
        let (this, role) = unsafe { (handle_mut(session, "session")?, text(role, "role")?) };
        this.options.minimum.insert(Role::from_name(role)?, processes);
        Ok(())
    })
}

/// Sets what the boot does when a stage has failed. With SSHPM_ON_FAILURE_ROLL_BACK, it also ends its processes when it
/// is cancelled or its time is over.
///
/// One thread at a time for the same session. Does not block.
///
/// @param session The session.
/// @param action One of SSHPM_ON_FAILURE_...
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_set_on_failure(session: *mut sshpm_session, action: i32) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a session that only this thread uses.
        let this = unsafe { handle_mut(session, "session")? };
        let actions = [
            (SSHPM_ON_FAILURE_STOP, OnFailure::Stop),
            (SSHPM_ON_FAILURE_ROLL_BACK, OnFailure::RollBack),
            (SSHPM_ON_FAILURE_CONTINUE, OnFailure::Continue),
        ];
        this.options.on_failure = choice("on_failure", action, &actions)?;
        Ok(())
    })
}

/// Sets how long all stages together may take. When the time is over, the boot stops, although its processes may have
/// time left to start and to be ready.
///
/// One thread at a time for the same session. Does not block.
///
/// @param session The session.
/// @param timeout_s Seconds. SSHPM_TIMEOUT_DEFAULT: no limit but those of the processes.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_set_timeout(session: *mut sshpm_session, timeout_s: f64) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a session that only this thread uses.
        let this = unsafe { handle_mut(session, "session")? };
        this.options.timeout = timeout("timeout", timeout_s)?.unwrap_or(Session::new().timeout);
        Ok(())
    })
}

/// Checks all values, as sshpm_manager_start_session does before it starts anything.
///
/// Any thread. Does not block.
///
/// @param session The session.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID. The message names the place and the value, such as
/// `processes[3].host`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_check(session: *const sshpm_session) -> sshpm_result {
    // SAFETY: the caller's pointer is NULL or points to a session.
    call(|| Ok(unsafe { handle(session, "session")? }.session().check()?))
}

/// Returns one of the processes.
///
/// # Safety
/// The pointer is NULL, or points to a session that lives as long as the returned reference is used.
unsafe fn at<'a>(session: *const sshpm_session, index: usize) -> Option<&'a SessionProcess> {
    // SAFETY: the caller promises it.
    unsafe { session.as_ref() }.and_then(|this| this.processes.get(index)).map(Box::as_ref)
}

/// Returns the number of processes of a session.
///
/// Any thread, but not while another thread changes the session. Does not block.
///
/// @param session The session.
/// @return The number; 0 when the session is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_count(session: *const sshpm_session) -> usize {
    // SAFETY: the caller's pointer is NULL or points to a session.
    plain(0, || unsafe { session.as_ref() }.map_or(0, |this| this.processes.len()))
}

/// Returns the uuid of one process. The processes have the order of the JSON, or that in which they were added.
///
/// Any thread, but not while another thread changes the session. Does not block.
///
/// @param session The session.
/// @param index The index of the process, from 0.
/// @return The uuid, which is owned by the session and valid until the session is freed. NULL when the index is not
/// below the count, or the session is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_get_uuid(session: *const sshpm_session, index: usize) -> *const c_char {
    // SAFETY: the caller's pointer is NULL or points to a session.
    plain(ptr::null(), || pointer_to(unsafe { at(session, index) }.map(|process| &process.uuid)))
}

/// Returns the request of one process.
///
/// Any thread, but not while another thread changes the session. Does not block.
///
/// @param session The session.
/// @param index The index of the process, from 0.
/// @return The request, which is owned by the session and valid until the session is freed. NULL when the index is not
/// below the count, or the session is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_session_get_request(
    session: *const sshpm_session,
    index: usize,
) -> *const sshpm_boot_request {
    // SAFETY: the caller's pointer is NULL or points to a session.
    let request = || unsafe { at(session, index) }.map(|process| &process.request);
    plain(ptr::null(), || request().map_or(ptr::null(), ptr::from_ref))
}
