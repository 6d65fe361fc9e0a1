// What ThreadSanitizer cannot see on Linux, shown to it: preloaded by `make tsan`.
//
// 1. Synchronization.Mutex: its fast path is inlined into our code and instrumented, but under contention it calls
//    into the standard library, which is not. Every value below a contended Mutex then looks like a race. Here the
//    slow calls tell ThreadSanitizer what they acquire and release.
// 2. C11 threads: librdkafka of Debian uses thrd_create and mtx_lock of glibc, which ThreadSanitizer does not
//    intercept. A thread it has not seen begin dies in its runtime at the first intercepted call. Here they are
//    pthreads, which glibc's are too.
//
// With this no race has to be suppressed by the name of its lock, which would hide true ones.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

// Absent in the processes that the tests start: there everything is as without this file.
void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));

static void acquire(void *address) {
    if (__tsan_acquire) __tsan_acquire(address);
}

static void release(void *address) {
    if (__tsan_release) __tsan_release(address);
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

// _MutexHandle._lockSlow(UInt32), _tryLockSlow() -> Bool, _unlockSlow()
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void swift_lock(uint32_t thread, SELF) __asm__(LOCK);
SWIFT bool swift_try_lock(SELF) __asm__(TRY_LOCK);
SWIFT void swift_unlock(SELF) __asm__(UNLOCK);

SWIFT void swift_lock(uint32_t thread, SELF) {
    static _Atomic(void *) real;
    if (!real) real = next(LOCK);
    SWIFT void (*call)(uint32_t, SELF) = real;
    call(thread, self);
    acquire(self);
}

SWIFT bool swift_try_lock(SELF) {
    static _Atomic(void *) real;
    if (!real) real = next(TRY_LOCK);
    SWIFT bool (*call)(SELF) = real;
    bool locked = call(self);
    if (locked) acquire(self);
    return locked;
}

SWIFT void swift_unlock(SELF) {
    static _Atomic(void *) real;
    if (!real) real = next(UNLOCK);
    SWIFT void (*call)(SELF) = real;
    release(self);
    call(self);
}

// C11 threads. glibc's types hold the pthread ones (thrd_t is pthread_t, mtx_t and cnd_t have their sizes).

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t holds a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t holds a pthread_cond_t");

static int outcome(int error) { return error == 0 ? thrd_success : thrd_error; }

struct start {
    thrd_start_t body;
    void *argument;
};

static void *begin(void *raw) {
    struct start start = *(struct start *)raw;
    free(raw);
    return (void *)(intptr_t)start.body(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t body, void *argument) {
    struct start *start = malloc(sizeof *start);
    if (!start) return thrd_nomem;
    *start = (struct start){body, argument};
    int error = pthread_create(thread, NULL, begin, start);
    if (error) free(start);
    return outcome(error);
}

int thrd_join(thrd_t thread, int *result) {
    void *value = NULL;
    int error = pthread_join(thread, &value);
    if (result) *result = (int)(intptr_t)value;
    return outcome(error);
}

int mtx_init(mtx_t *mutex, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return outcome(error);
}

void mtx_destroy(mtx_t *mutex) { pthread_mutex_destroy((pthread_mutex_t *)mutex); }
int mtx_lock(mtx_t *mutex) { return outcome(pthread_mutex_lock((pthread_mutex_t *)mutex)); }
int mtx_unlock(mtx_t *mutex) { return outcome(pthread_mutex_unlock((pthread_mutex_t *)mutex)); }

int cnd_init(cnd_t *condition) {
    return outcome(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition) { pthread_cond_destroy((pthread_cond_t *)condition); }
int cnd_signal(cnd_t *condition) {
    return outcome(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition) {
    return outcome(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex) {
    return outcome(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
    int error = pthread_cond_timedwait(
        (pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return error == ETIMEDOUT ? thrd_timedout : outcome(error);
}
