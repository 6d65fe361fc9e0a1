#define _GNU_SOURCE
#include "CShims.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

_Static_assert(sizeof(((struct ucred *)0)->pid) == sizeof(int32_t), "pid_t is 32 bits");
_Static_assert(sizeof(((struct ucred *)0)->uid) == sizeof(uint32_t), "uid_t is 32 bits");

int shims_name_current_thread(const char *name) {
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = 0;
    return pthread_setname_np(pthread_self(), cut);
}

int shims_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 ? 0 : errno; }

static pthread_t taker;

static void pass_on(int signal) {
    int before = errno;
    pthread_kill(taker, signal);
    errno = before;
}

int shims_take_signals_here(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int index = 0; index < count; index++) {
        sigaddset(&set, signals[index]);
    }
    int code = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (code != 0) {
        return code;
    }
    taker = pthread_self();
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    for (int index = 0; index < count; index++) {
        if (sigaction(signals[index], &action, NULL) != 0) {
            return errno;
        }
    }
    return 0;
}

int shims_peer_credentials(int descriptor, shims_peer *peer) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
        return errno;
    }
    peer->pid = credentials.pid;
    peer->uid = credentials.uid;
    peer->gid = credentials.gid;
    return 0;
}

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

int shims_peer_groups(int descriptor, uint32_t *groups, int capacity, int *count) {
    socklen_t length = (socklen_t)capacity * sizeof *groups;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &length) != 0) {
        return errno;
    }
    *count = (int)(length / sizeof *groups);
    return 0;
}
