/* What the programs share that provoke result codes. */
#ifndef CODES_H
#define CODES_H

#include "check.h"

#define NULL_ARGUMENT(call) GIVES(call, SSHPM_ERROR_NULL_ARGUMENT, "NULL")
#define NOT_UTF8(call) GIVES(call, SSHPM_ERROR_UTF8, "UTF-8")
#define INVALID(call) GIVES(call, SSHPM_ERROR_INVALID, "invalid ")
#define UNKNOWN(call) GIVES(call, SSHPM_ERROR_UNKNOWN_UUID, "nobody")
/* The code of one that failed, which the family's functions give. */
#define FAILED(call, code) GIVES(call, code, "")

/* No UTF-8. */
#define LATIN1 "\xe9t\xe9"

#endif
