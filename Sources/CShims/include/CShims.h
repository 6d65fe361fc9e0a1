// What Swift cannot import from glibc: GNU-only calls and macros.
#ifndef MILLRACE_CSHIMS_H
#define MILLRACE_CSHIMS_H

#include <stdint.h>

/// Names the calling thread (at most 15 bytes are kept). Returns 0 or an errno.
int shims_name_current_thread(const char *name);

/// Asks the kernel to send this process SIGTERM when its parent ends (prctl(2), PR_SET_PDEATHSIG). Returns 0 or an
/// errno.
int shims_end_with_parent(void);

/// Blocks `signals` in the calling thread, for it to take with sigtimedwait(2), and has every other thread that does
/// not block them pass them on to it. A library that starts threads when it is loaded (OpenBLAS does) leaves some
/// where a signal would end the process. For one thread of a process. Returns 0 or an errno.
int shims_take_signals_here(const int *signals, int count);

/// Who is at the other end of a connected Unix socket (SO_PEERCRED, unix(7)).
typedef struct {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
} shims_peer;

/// Fills `peer`; returns 0 or an errno.
int shims_peer_credentials(int descriptor, shims_peer *peer);

/// The supplementary groups of the peer (SO_PEERGROUPS): fills `groups` and `count`; returns 0 or an errno (ERANGE
/// when they are more than `capacity`).
int shims_peer_groups(int descriptor, uint32_t *groups, int capacity, int *count);

#endif
