/* What the programs share that provoke result codes. */
#ifndef CODES_H
#define CODES_H

#include "check.h"

#define NULL_ARGUMENT(call) GIVES(call, SSHPM_ERROR_NULL_ARGUMENT, "NULL")
#define NOT_UTF8(call) GIVES(call, SSHPM_ERROR_UTF8, "UTF-8")
#define INVALID(call) GIVES(call, SSHPM_ERROR_INVALID, "invalid ")
#define UNKNOWN(call) GIVES(call, SSHPM_ERROR_UNKNOWN_UUID, "nobody")
/* Checks that a call returns the code of a process that failed. The function documents the family of such codes. */
#define FAILED(call, code) GIVES(call, code, "")

/* Text that is not UTF-8. */
#define LATIN1 "\xe9t\xe9"

#endif
